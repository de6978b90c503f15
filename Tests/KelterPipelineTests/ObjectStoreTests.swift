import Foundation
import KelterModel
import KelterPipeline
import Testing

@Suite struct ObjectStoreTests {
    private let document = RowID(high: 0x0193_0000_0000_7000, low: 0x8000_0000_0000_0001)

    @Test func `Objects lie under tenant and case and keep their extension`() throws {
        let store = ObjectStore(root: "/objects")
        let location = try store.location(
            tenant: Tenant("dev-tenant"),
            caseID: CaseID("local:1"),
            document: document,
            fileName: "Bericht März.pdf"
        )
        #expect(location.content == "dev-tenant/local_1/uploads/\(document).pdf")
        #expect(location.metadata == "dev-tenant/local_1/uploads/\(document).meta.json")
        let plain = try store.location(tenant: Tenant("t"), caseID: CaseID("c"), document: document, fileName: "README")
        #expect(plain.content == "t/c/uploads/\(document).bin")
    }

    @Test func `Writes replace as a whole and leave no temporary file`() throws {
        let directory = try TemporaryDirectory()
        let source = try directory.write("source.txt", String(repeating: "Inhalt ", count: 100_000))
        let store = ObjectStore(root: directory.path + "/objects")
        try store.copy(source, to: "t/c/uploads/x.txt")
        try store.write(.object([("collection_id", .null)]), to: "t/c/uploads/x.meta.json")
        try store.write(.object([("external_id", .string("ä"))]), to: "t/c/uploads/x.meta.json")
        let uploads = directory.path + "/objects/t/c/uploads"
        #expect(try FileManager.default.contentsOfDirectory(atPath: uploads).sorted() == ["x.meta.json", "x.txt"])
        #expect(FileManager.default.contentsEqual(atPath: source, andPath: uploads + "/x.txt"))
        #expect(
            try String(contentsOfFile: uploads + "/x.meta.json", encoding: .utf8) == "{\n  \"external_id\": \"ä\"\n}\n"
        )
    }

    @Test func `A place that cannot be written is named`() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("file")
        let error = #expect(throws: KelterError.self) { try ObjectStore(root: file).write(.null, to: "a/b.json") }
        #expect(error?.code == .objectStoreFailed && error?.code.exitCode == .serviceUnavailable)
    }
}
