import Foundation
import KelterLocal
import KelterModel
import KelterTestSupport
import Testing

/// Buckets of moto's server, filled by AWS's own client.
@Suite(.serialized) struct BucketTests {
    /// Carries out one command of the client: `put KEY TEXT`, `parts KEY` (a text in two parts) or `delete KEY`.
    private static let script = """
        import sys, boto3
        client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="testing")
        for line in sys.stdin.read().splitlines():
            command, key, *text = line.split("\\t")
            if command == "make": client.create_bucket(Bucket=key)
            if command == "put": client.put_object(Bucket="akten", Key=key, Body=text[0].encode())
            if command == "delete": client.delete_object(Bucket="akten", Key=key)
            if command == "parts":
                upload = client.create_multipart_upload(Bucket="akten", Key=key)["UploadId"]
                parts = []
                for number in range(1, 3):
                    body = (f"Abschnitt {number} der langen Akte.\\n\\n" * 200000)[:(5 << 20) if number < 2 else 1 << 10]
                    part = client.upload_part(Bucket="akten", Key=key, UploadId=upload, PartNumber=number, Body=body)
                    parts.append({"PartNumber": number, "ETag": part["ETag"]})
                client.complete_multipart_upload(
                    Bucket="akten", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        """

    private func start(_ world: World, port: UInt16? = nil) async throws -> PythonService {
        let service = try PythonService("s3-test-venv/bin/moto_server", directory: world.home, port: port) {
            ["-H", "127.0.0.1", "-p", $0]
        }
        try await service.waitUntilReady("/moto-api/")
        return service
    }

    private func withBucket(
        _ body: (World, _ client: (String...) throws -> Void, _ service: PythonService) async throws -> Void
    ) async throws {
        try await World.with { world in
            let service = try await start(world)
            defer { service.stop() }
            let endpoint = "http://127.0.0.1:\(service.port)"
            var world = world
            world.environment.merge(
                [
                    "AWS_ENDPOINT_URL_S3": endpoint, "AWS_ACCESS_KEY_ID": "testing",
                    "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1",
                ]
            ) { $1 }
            try await body(
                world,
                { (commands: String...) in
                    let python = "\(TestServer.partsDirectory)/s3-test-venv/bin/python"
                    let made = try ChildProcess.run(
                        [python, "-c", Self.script, endpoint],
                        input: commands.joined(separator: "\n")
                    )
                    try #require(made.status == 0, "\(made.output)")
                },
                service
            )
        }
    }

    @Test("the objects of a bucket are kept in step, and unchanged ones are not read again")
    func sync() async throws {
        try await withBucket { world, client, service in
            try client(
                "make\takten",
                "put\tamt/plan.txt\tDer Plan für den Umbau.",
                "put\tamt/plan.txt.meta.json\t{\"title\": \"Umbau\", \"external_id\": \"plan-7\"}",
                "put\tamt/tief/ä b+c%//x.md\t# Titel\tx",
                "put\tamt/leer.txt\t",
                "put\tanderes/y.txt\tGehört nicht dazu.",
                "parts\tamt/lang.txt"
            )
            func ingest(_ options: String...) async throws -> JSONValue {
                let result = try await KelterProcess.run(
                    ["ingest", "s3://akten/amt/", "--sync", "--max-delete", "100%", "--json"] + options,
                    environment: world.environment
                )
                let report = try result.json
                #expect(report["balanced"] == .bool(true), "\(result.messages)")
                return report
            }
            let first = try await ingest()
            #expect(first["outcomes"]?["inserted"]?.int == 3, "\(first)")
            #expect(first["skipped"]?.array?.map { $0["reason"]?.string } == ["no_text"], "\(first)")
            let names = try await world.rows(#"SELECT external_id FROM rag.sources ORDER BY external_id COLLATE "C""#)
            #expect(names.map { $0[0] } == ["lang.txt", "plan-7", "tief/ä b+c%//x.md"])
            #expect(
                try await world.rows("SELECT title FROM rag.documents WHERE external_id = 'plan-7'") == [["Umbau"]]
            )
            #expect(try await world.count("SELECT count(*) FROM rag.file_stamps") == 4)
            func reads() -> Int { service.messages.split(separator: "GET /akten/amt/").count - 1 }
            // Of the long one twice: it is too large to be kept between hashing and parsing.
            #expect(reads() == 6, "\(service.messages)")
            let again = try await ingest()
            // What has no document cannot be told to be unchanged.
            #expect(reads() == 7)
            #expect(again["outcomes"]?["unchanged"]?.int == 3 && again["embedding_inputs"]?.int == 0, "\(again)")
            try client(
                "put\tamt/plan.txt\tDer Plan für den Neubau.",
                "put\tamt/neu.txt\tEin neuer Text.",
                "delete\tamt/lang.txt"
            )
            let changed = try await ingest()
            for (outcome, count) in ["replaced": 1, "inserted": 1, "deleted": 1, "unchanged": 1] {
                #expect(changed["outcomes"]?[outcome]?.int == count, "\(outcome): \(changed)")
            }
            #expect(try await world.count("SELECT count(*) FROM rag.sources") == 3)
        }
    }

    @Test("a plan of a bucket is carried out, and one object alone is ingested")
    func planned() async throws {
        try await withBucket { world, client, _ in
            try client("make\takten", "put\ta.txt\tEin Text.", "put\tb.txt\tEin anderer Text.")
            let plan = world.home + "/plan.jsonl"
            let made = try await world.kelter("ingest", "s3://akten", "--plan", "-o", plan, "--json")
            #expect(try made.json["outcomes"]?["inserted"]?.int == 2, "\(made.messages)")
            try client("put\tb.txt\tInzwischen geändert.")
            let applied = try await world.kelter("ingest", "--apply", plan, "--json")
            let report = try applied.json
            #expect(report["outcomes"]?["inserted"]?.int == 1 && report["balanced"] == .bool(true), "\(report)")
            #expect(report["failures"]?.array?.map { $0["code"]?.string } == ["PLAN_CHANGED"], "\(report)")
            let one = try await world.kelter("ingest", "s3://akten/b.txt", "--json").json
            #expect(one["outcomes"]?["inserted"]?.int == 1 && one["found"]?.int == 1, "\(one)")
        }
    }

    @Test("a service that goes away ends the run, which is completed when it is back")
    func outage() async throws {
        try await withBucket { world, client, service in
            try client("make\takten", "put\ta.txt\tEin Text.")
            try await world.succeed("ingest", "s3://akten", "--json")
            service.stop()
            let gone = try await world.kelter("ingest", "s3://akten", "--sync", "--max-delete", "100%", "--json")
            #expect(gone.exitCode == 3 && gone.messages.contains("S3_UNREACHABLE"), "\(gone.messages)")
            #expect(
                try await world.rows("SELECT status FROM rag.runs ORDER BY id") == [["succeeded"], ["interrupted"]]
            )
            // What could not be listed is not gone.
            #expect(try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == 1)
            let run = try #require(try gone.json["run_id"]?.string)
            let back = try await start(world, port: service.port)
            defer { back.stop() }
            // It keeps nothing on a disk.
            try client("make\takten", "put\ta.txt\tEin Text.")
            let rest = try await world.kelter("ingest", "--resume", run, "--json").json
            #expect(rest["outcomes"]?["unchanged"]?.int == 1 && rest["status"]?.string == "succeeded", "\(rest)")
        }
    }

    @Test(
        "what is no bucket is refused",
        arguments: [
            (["ingest", "s3://akten/x", "--sync"], "USAGE"), (["ingest", "s3://akten", "/etc/hostname"], "USAGE"),
            (["ingest", "s3://akten", "--watch"], "USAGE"), (["ingest", "s3://Akten"], "S3_INVALID"),
            (["ingest", "s3://akten"], "SETTING_INVALID"),
        ]
    )
    func refused(arguments: [String], code: String) async throws {
        try await World.with { world in
            let environment = ["AWS_ENDPOINT_URL_S3": code == "SETTING_INVALID" ? "ftp://x" : "http://127.0.0.1:1"]
            let result = try await KelterProcess.run(
                arguments,
                environment: world.environment.merging(environment) { $1 }
            )
            #expect(result.exitCode == 2 && result.messages.contains(code), "\(result.exitCode) \(result.messages)")
        }
    }
}
