import Foundation
import Glibc
import KelterHashing
import KelterModel
import KelterTestSupport
import Testing

/// Uploads over HTTP: what is accepted, what is refused, what is kept.
///
/// One after the other: each test starts servers of its own, and all at once would starve each other.
@Suite("HTTP: uploads", .serialized)
struct HTTPUploadTests {
    private let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
    private let other = "a1b2c3d4-0000-4000-8000-000000000001"

    @Test("the header's collection is the same in the answer, .meta.json, documents, chunks and embeddings")
    func headerBridge() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let accepted = try await server.upload(
                    "note.txt",
                    "The quick brown fox.",
                    headers: ["X-Collection-ID": " \(collection.uppercased()) "]
                )
                #expect(accepted.status == 202)
                #expect(accepted.json["status"] == .string("accepted"))
                #expect(accepted.json["collection_id"] == .string(collection))
                #expect(accepted.json["ingestion_status"] == .string("queued"))
                #expect(accepted.json["idempotent"] == .bool(false))
                #expect(accepted.json["scope"]?["origin"] == .string("header"))
                let document = try #require(accepted.json["document_id"]?.string)
                let meta = "dev-tenant/local/uploads/\(document).meta.json"
                let expected = JSONValue.object([
                    ("collection_id", .string(collection)),
                    ("external_id", accepted.json["external_id"] ?? .null),
                ])
                #expect(try world.objectJSON(meta) == expected, "it stands there when the upload is answered")

                let run = try await server.finished(try #require(accepted.json["ingestion_run_id"]?.string))
                #expect(run["status"] == .string("succeeded"))
                #expect(run["document_ids"] == .array([.string(document)]))
                #expect(run["inserted_documents"] == .number("1"))
                #expect(run["documents"]?[0]?["meta_json_collection_id"] == .string(collection))
                #expect(try world.objectJSON(meta) == expected)
                #expect(world.objects == [meta, "dev-tenant/local/uploads/\(document).txt"].sorted())
                let rows = try await world.rows(
                    """
                    SELECT d.id, d.collection_id, c.collection_id, e.collection_id FROM rag.documents d
                    JOIN rag.chunks c ON c.document_id = d.id JOIN rag.embeddings e ON e.chunk_id = c.id
                    """
                )
                #expect(rows == [[document, collection, collection, collection]])
                // SPEC 4: SHA-256 over file name, decimal size and the first 64 KiB.
                let digest = try SHA256.hash("note.txt" + "20" + "The quick brown fox.").hex
                #expect(accepted.json["external_id"] == .string(digest))
            }
        }
    }

    @Test("list beats body beats header; a list of two collections makes two documents, embedded once")
    func scopes() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let body = try await server.upload(
                    "a.txt",
                    "Alpha text.",
                    metadata: #"{"collection_id": "\#(collection)", "external_id": "a"}"#,
                    headers: ["X-Collection-ID": other]
                )
                #expect(body.json["scope"]?["origin"] == .string("body"))
                #expect(body.json["scope"]?["ignored"] == .array([.string("header")]))
                _ = try await server.finished(try #require(body.json["ingestion_run_id"]?.string))
                let before = world.endpoint.log.inputs
                let list = try await server.upload(
                    "b.txt",
                    "Beta text.",
                    metadata:
                        #"{"collection_ids": ["\#(collection)", "\#(other)"], "collection_id": "x", "external_id": "b"}"#,
                    headers: ["X-Collection-ID": "no uuid"]
                )
                #expect(list.status == 202, "a malformed value that loses is harmless: \(list.text)")
                #expect(list.json["document_ids"]?.array?.count == 2)
                let run = try await server.finished(try #require(list.json["ingestion_run_id"]?.string))
                #expect(run["inserted_documents"] == .number("2"))
                #expect(world.endpoint.log.inputs - before == 1)
                let rows = try await world.rows(
                    "SELECT external_id, collection_id FROM rag.documents ORDER BY external_id, collection_id"
                )
                #expect(rows == [["a", collection], ["b", collection], ["b", other]])
                for path in world.objects where path.hasSuffix(".meta.json") {
                    let name = URL(filePath: path).lastPathComponent.prefix(36)
                    let stored = try world.objectJSON(path)["collection_id"]?.string
                    #expect(
                        try await world.rows("SELECT collection_id FROM rag.documents WHERE id = '\(name)'") == [
                            [stored]
                        ]
                    )
                }
                let malformed = try await server.upload("c.txt", "C", headers: ["X-Collection-ID": "no uuid"])
                #expect(malformed.status == 400)
                #expect(malformed.code == "invalid_collection_id")
                let noList = try await server.upload("c.txt", "C", metadata: #"{"collection_ids": "x"}"#)
                #expect(noList.code == "invalid_collection_ids")
            }
        }
    }

    @Test(
        "the same file again, with other metadata, and with other bytes: skipped, skipped, replaced, without leftovers"
    )
    func generations() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world) { server in
                let name = #"{"external_id": "doc"}"#
                let first = try await server.ingest("doc.txt", "First words.", metadata: name)
                let id = try #require(first["document_ids"]?[0]?.string)
                let again = try await server.ingest("doc.txt", "First words.", metadata: name)
                #expect(again["documents"]?[0]?["outcome"] == .string("unchanged"))
                #expect(again["skipped_documents"] == .number("1"))
                let titled = try await server.ingest(
                    "doc.txt",
                    "First words.",
                    metadata: #"{"external_id": "doc", "title": "T"}"#
                )
                #expect(titled["documents"]?[0]?["outcome"] == .string("updated"))
                let replaced = try await server.ingest("doc.md", "Second words.", metadata: name)
                #expect(replaced["documents"]?[0]?["outcome"] == .string("replaced"))
                #expect(replaced["replaced_documents"] == .number("1"))
                #expect(replaced["document_ids"]?[0]?.string == id)
                let copy = try await server.ingest("copy.md", "Second words.", metadata: #"{"external_id": "copy"}"#)
                #expect(copy["documents"]?[0]?["outcome"] == .string("duplicate"))
                #expect(copy["documents"]?[0]?["duplicate_of"]?.string == id)
                #expect(try await world.count("SELECT count(*) FROM rag.documents") == 1)
                #expect(
                    try world.objectJSON("dev-tenant/local/uploads/\(id).meta.json")
                        == .object([("external_id", .string("doc"))])
                )
                #expect(!world.objects.contains { $0.hasPrefix(".incoming") }, "\(world.objects)")
                #expect(Set(try await world.rows("SELECT document_id FROM rag.uploads")) == [[id]])
            }
        }
    }

    @Test("what is no upload is refused with its code and leaves no file")
    func refusals() async throws {
        let boundary = HTTPServerProcess.boundary
        func part(_ disposition: String, _ content: String = "x") -> String {
            "--\(boundary)\r\nContent-Disposition: \(disposition)\r\n\r\n\(content)\r\n"
        }
        let file = part(#"form-data; name="file"; filename="a.txt""#)
        let end = "--\(boundary)--\r\n"
        let cases: [(name: String, body: String, status: Int, code: String)] = [
            ("no file", part(#"form-data; name="metadata""#, "{}") + end, 400, "missing_file"),
            ("no file name", part(#"form-data; name="file""#) + end, 400, "missing_file"),
            ("cut", file, 400, "invalid_multipart"),
            ("cut in the header", "--\(boundary)\r\nContent-Disposition: form", 400, "invalid_multipart"),
            ("no boundary", "hello", 400, "invalid_multipart"),
            ("empty", "", 400, "invalid_multipart"),
            (
                "unknown field", part(#"form-data; name="collection_id""#, collection) + file + end, 400,
                "invalid_multipart"
            ),
            ("two files", file + file + end, 400, "invalid_multipart"),
            ("no disposition", "--\(boundary)\r\nX-A: b\r\n\r\nx\r\n" + end, 400, "invalid_multipart"),
            ("metadata is no JSON", part(#"form-data; name="metadata""#, "{") + file + end, 400, "invalid_metadata"),
            ("bad key", part(#"form-data; name="metadata""#, #"{"tags": 1}"#) + file + end, 400, "invalid_metadata"),
            (
                "other tenant", part(#"form-data; name="metadata""#, #"{"tenant": "other"}"#) + file + end, 400,
                "invalid_metadata"
            ),
            (
                "picture", part(#"form-data; name="file"; filename="a.pdf""#, "%!PS-Adobe x") + end, 415,
                "unsupported_media_type"
            ),
            (
                "too large",
                part(#"form-data; name="file"; filename="a.txt""#, String(repeating: "x", count: 70_000)) + end, 413,
                "file_too_large"
            ),
        ]
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(world, environment: ["RAG_UPLOAD_MAX_BYTES": "65536"]) { server in
                for test in cases {
                    let answer = try await server.send(form: Array(test.body.utf8))
                    #expect(answer.status == test.status, "\(test.name): \(answer.text)")
                    #expect(answer.code == test.code, "\(test.name)")
                }
                let wrongType = try await server.post("/ai/rag/documents/upload/", .object([]))
                #expect(wrongType.status == 415)
                #expect(world.objects.isEmpty, "\(world.objects)")
                #expect(try await world.count("SELECT count(*) FROM rag.runs") == 0)
                // The server is as good as before.
                #expect(try await server.ingest("good.txt", "Good words.")["status"] == .string("succeeded"))
            }
        }
    }

    @Test("an upload of 200 MB takes less than 64 MB more memory, and arrives whole")
    func memory() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await HTTPServerProcess.with(
                world,
                ["--workers", "0"],
                environment: ["RAG_UPLOAD_MAX_BYTES": String(300 << 20)]
            ) { server in
                _ = try await server.get("/ai/ping/")
                let before = try peakMemory(server.process.pid)
                let line = Array("Zweihundert Megabyte sind viel Text, aber kein Grund, sie alle zu behalten.\n".utf8)
                var content: [UInt8] = []
                content.reserveCapacity(200 << 20)
                while content.count < 200 << 20 { content += line }
                let answer = try await server.send(form: HTTPServerProcess.form("large.txt", content))
                #expect(answer.status == 202, "\(answer.text)")
                let grown = try peakMemory(server.process.pid) - before
                #expect(grown < 64 << 20, "the peak grew by \(grown >> 20) MB")
                let id = try #require(answer.json["document_id"]?.string)
                #expect(
                    try await world.rows("SELECT hash, bytes FROM rag.uploads") == [
                        [
                            try SHA256.hash(content).hex, String(content.count),
                        ]
                    ]
                )
                let path = "\(world.home)/objects/dev-tenant/local/uploads/\(id).txt"
                let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
                #expect(size == content.count)
            }
        }
    }

    /// `VmHWM` of a process in bytes: the most memory it has had.
    private func peakMemory(_ pid: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.split(separator: " ", omittingEmptySubsequences: true).dropFirst().first ?? ""))
            << 10
    }
}
