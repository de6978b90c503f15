import Foundation
import KelterModel
import KelterTestSupport
import Testing

/// Everything a user can get wrong: one sentence with code and fix, the right exit code, nothing half written.
@Suite struct BadInputTests {
    private func expectNothingStored(_ world: World) async throws {
        for table in ["documents", "chunks", "embeddings", "sources", "collections"] {
            #expect(try await world.count("SELECT count(*) FROM rag.\(table)") == 0, "\(table)")
        }
    }

    @Test(arguments: [
        (["frobnicate"], "USAGE"), (["ingest", "--frobnicate", "."], "USAGE"), (["ingest"], "USAGE"),
        (["upload"], "USAGE"), (["query"], "USAGE"), (["ingest", "/nowhere"], "missing_file"),
        (["upload", "/nowhere"], "missing_file"), (["upload", "/etc"], "missing_file"),
        (["upload", "/etc/hostname", "--collection", "not-a-uuid"], "invalid_collection_id"),
        (["upload", "/etc/hostname", "--collections", "a,b"], "invalid_collection_id"),
        (["upload", "/etc/hostname", "--header", "X-Collection-ID: x"], "invalid_collection_id"),
        (["upload", "/etc/hostname", "--header", "no colon"], "INVALID_HEADER"),
        (["upload", "/etc/hostname", "--tenant=-bad"], "invalid_tenant_header"),
        (["upload", "/etc/hostname", "--case", "a b"], "invalid_case_header"),
        (["upload", "/etc/hostname", "--schema", "pg_x"], "USAGE"),
        (["upload", "/etc/hostname", "--profile", "other"], "EMB_UNKNOWN_PROFILE"),
        (["query", "  "], "missing_question"), (["query", "x", "--top-k", "11"], "USAGE"),
        (["ingest", "/etc/hostname", "--max-delete", "many"], "USAGE"),
        (["ingest", "/etc/hostname", "--jobs", "0"], "USAGE"), (["ingest", "--resume", "x"], "USAGE"),
        (["schema", "print", "--dimension", "5000"], "SETTING_INVALID"),
        (["schema", "print", "--schema", "A"], "USAGE"),
    ])
    func `Bad usage ends with 2 and a code`(arguments: [String], code: String) async throws {
        try await World.with { world in
            let result = try await KelterProcess.run(arguments + ["--json"], environment: world.environment)
            #expect(result.exitCode == 2, "\(result.output) \(result.messages)")
            #expect(try result.json["error"]?["code"]?.string == code, "\(result.output)")
            #expect(result.messages.hasPrefix(code + ": "))
            try await expectNothingStored(world)
        }
    }

    @Test func `A bad setting names variable, value and what is allowed before anything starts`() async throws {
        try await World.with { world in
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter("upload", file, "--json", environment: ["EMBEDDINGS_BATCH_SIZE": "0"])
            #expect(result.exitCode == 2)
            let detail = try result.json["error"]?["detail"]?.string ?? ""
            #expect(
                detail.contains("EMBEDDINGS_BATCH_SIZE") && detail.contains("\"0\"") && detail.contains("1 to 2048")
            )
            #expect(world.endpoint.log.requests == 0)
        }
    }

    @Test func `An endpoint that is down ends with 3 and stores nothing`() async throws {
        try await World.with { world in
            let file = try world.write("a.txt", "Text")
            for command in ["upload", "ingest"] {
                let result = try await world.kelter(
                    command,
                    file,
                    "--json",
                    environment: ["LITELLM_BASE_URL": "http://127.0.0.1:9/v1"]
                )
                #expect(result.exitCode == 3, "\(result.output)")
                #expect(try result.json["error"]?["code"]?.string == "EMBEDDING_UNREACHABLE")
                #expect(result.messages.contains("LITELLM_BASE_URL"))
            }
            try await expectNothingStored(world)
        }
    }

    @Test func `A wrong key ends with 3, names the setting and never shows the key`() async throws {
        var options = FaultInjectingEndpoint.Options()
        options.apiKey = "sk-right"
        try await World.with(options) { world in
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter(
                "ingest",
                file,
                "--json",
                environment: ["LITELLM_MASTER_KEY": "sk-wrong"]
            )
            #expect(result.exitCode == 3)
            #expect(try result.json["error"]?["code"]?.string == "EMBEDDING_UNAUTHORISED")
            #expect(result.messages.contains("LITELLM_MASTER_KEY"))
            #expect(!(result.output + result.messages).contains("sk-"))
            try await expectNothingStored(world)
            let good = try await world.kelter("ingest", file, "--json", environment: ["LITELLM_MASTER_KEY": "sk-right"])
            #expect(good.exitCode == 0, "\(good.messages)")
        }
    }

    @Test func `An endpoint of another width is refused with 4 before anything is written`() async throws {
        try await World.with { world in
            let other = try FaultInjectingEndpoint(dimension: 100)
            defer { other.stop() }
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter(
                "ingest",
                file,
                "--json",
                environment: ["LITELLM_BASE_URL": other.baseURL]
            )
            #expect(result.exitCode == 4, "\(result.output)")
            #expect(try result.json["error"]?["code"]?.string == "INGEST_VECTOR_DIMENSION_MISMATCH")
            try await expectNothingStored(world)
        }
    }

    @Test func `A vector space of another width is refused with 4`() async throws {
        try await World.with { world in
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter("ingest", file, "--json", environment: ["EMBEDDINGS_DIM": "768"])
            #expect(result.exitCode == 4)
            #expect(try result.json["error"]?["code"]?.string == "EMB_DIM_MISMATCH")
            #expect(world.endpoint.log.requests == 0)
        }
    }

    @Test func `A database that is down ends with 3 and shows no password`() async throws {
        try await World.with { world in
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter(
                "ingest",
                file,
                "--json",
                environment: ["RAG_DATABASE_URL": "postgresql://kelter:geheim@127.0.0.1:9/kelter"]
            )
            #expect(result.exitCode == 3)
            #expect(try result.json["error"]?["code"]?.string == "DATABASE_UNAVAILABLE")
            #expect(result.messages.contains("RAG_DATABASE_URL"))
            #expect(!(result.output + result.messages).contains("geheim"))
        }
    }

    @Test func `A database without schema is refused with 4 and the command that makes it`() async throws {
        try await World.with { world in
            let file = try world.write("a.txt", "Text")
            let result = try await world.kelter("ingest", file, "--json", environment: ["RAG_VECTOR_SCHEMA": "other"])
            #expect(result.exitCode == 4)
            #expect(try result.json["error"]?["code"]?.string == "SCHEMA_MISSING")
            #expect(result.messages.contains("kelter schema apply"))
            let apply = try await world.kelter("schema", "apply", "--json", environment: ["RAG_VECTOR_SCHEMA": "other"])
            #expect(apply.exitCode == 0, "\(apply.messages)")
            let good = try await world.kelter("ingest", file, "--json", environment: ["RAG_VECTOR_SCHEMA": "other"])
            #expect(good.exitCode == 0, "\(good.messages)")
        }
    }

    @Test func `Help is complete and goes to standard output`() async throws {
        let result = try await KelterProcess.run(["--help"], environment: [:])
        #expect(result.exitCode == 0 && result.messages.isEmpty)
        for command in ["up", "down", "status", "upload", "ingest", "query", "config", "schema"] {
            #expect(result.output.contains("  \(command)"))
            let help = try await KelterProcess.run([command, "--help"], environment: [:])
            #expect(help.exitCode == 0 && help.output.contains("USAGE: kelter \(command)"))
        }
    }
}
