import Foundation
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// The runbook, performed from top to bottom with the binary: on an empty server and on one of the older system.
///
/// Each step quotes the words of the runbook that it stands for; a command of the runbook that no step quotes fails the
/// test.
@Suite("The runbook")
struct RunbookTests {
    private struct Step {
        /// Words of the runbook; empty for what only Kelter needs.
        let quote: String
        let arguments: [String]
        var environment: [String: String] = [:]
        /// What the output must contain.
        var prints: [String] = []
    }

    private static let text: String = {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/runbook.md")
        return (try? String(contentsOf: url, encoding: .utf8)) ?? ""
    }()

    private static func steps(_ world: World) -> [Step] {
        let gate = ["--require-backup-within", "24h"]
        return [
            Step(quote: "getrennte Rollen/DSNs je Dienst (Least Privilege)", arguments: ["roles", "apply"]),
            Step(quote: "Datenbank-Backup/PITR prüfen", arguments: ["backup"], prints: ["recorded"]),
            Step(
                quote: "makemigrations <app>",
                arguments: ["makemigrations", "customers"],
                prints: ["No changes detected"]
            ),
            Step(quote: "COUNT(*)", arguments: ["legacy-workflows", "count", "--schema", "dev"]),
            Step(
                quote: "legacy_workflowinstance.csv",
                arguments: ["legacy-workflows", "backup", "--schema", "dev", "--out", world.home + "/legacy"]
            ),
            Step(quote: "migrate_schemas --shared", arguments: ["migrate_schemas", "--shared"] + gate),
            Step(
                quote: "bootstrap_public_tenant --domain=localhost",
                arguments: ["bootstrap_public_tenant", "--domain=localhost"]
            ),
            Step(quote: "", arguments: ["create_tenant", "--schema=dev", "--tenant-id=dev-tenant"]),
            Step(quote: "migrate_schemas --tenant", arguments: ["migrate_schemas", "--tenant"] + gate),
            Step(
                quote: #"create_tenant --schema=dev2 --name="Dev 2" --domain=dev2.localhost"#,
                arguments: ["create_tenant", "--schema=dev2", "--name=Dev 2", "--domain=dev2.localhost"]
            ),
            Step(
                quote: "DJANGO_SUPERUSER_PASSWORD=admin123 create_tenant_superuser --schema=dev2 --username=admin "
                    + "--email=admin@example.com --noinput",
                arguments: [
                    "create_tenant_superuser", "--schema=dev2", "--username=admin", "--email=admin@example.com",
                    "--noinput",
                ],
                environment: ["DJANGO_SUPERUSER_PASSWORD": "admin123"]
            ),
            Step(quote: "Schema anwenden (idempotent, nur einmal nötig)", arguments: ["schema", "apply"]),
            Step(
                quote: "Plane unmittelbar im Anschluss einen Re-Embed-Lauf",
                arguments: ["reembed", "--only-unnormalised"]
            ),
            Step(
                quote: "`python manage.py rebuild_rag_index`",
                arguments: ["rebuild_rag_index"] + gate,
                prints: ["using HNSW (scope: rag.embeddings, m=32 ef_construction=200)", "vector_cosine_ops"]
            ),
            Step(
                quote: "RAG_INDEX_KIND=IVFFLAT",
                arguments: ["rebuild_rag_index"],
                environment: ["RAG_INDEX_KIND": "IVFFLAT"],
                prints: ["using IVFFLAT"]
            ),
            Step(
                quote: "später auf HNSW/Cosine zurückschalten",
                arguments: ["rebuild_rag_index"],
                environment: ["RAG_INDEX_KIND": "HNSW"],
                prints: ["using HNSW"]
            ),
            Step(quote: "Header-Bridge Smoke-Test", arguments: ["smoke", "header-bridge"]),
            Step(quote: "Alle", arguments: ["check"], prints: ["0 warnings, 0 failed"]),
        ]
    }

    /// A world whose processes connect as the three roles; an administrator's address makes them.
    private func with(_ body: (World) async throws -> Void) async throws {
        try await World.with(appliesSchema: false) { world in
            var world = world
            let administrator = world.database.url
            func address(_ role: DatabaseRole) -> String {
                administrator + (administrator.contains("?") ? "&" : "?") + "user=" + role.rawValue
            }
            world.environment["RAG_DATABASE_URL"] = address(.application)
            world.environment["RAG_OWNER_DATABASE_URL"] = address(.owner)
            world.environment["RAG_READ_DATABASE_URL"] = address(.reader)
            world.environment["RAG_BACKUP_DATABASE_URL"] = administrator
            try await body(world)
        }
    }

    private func perform(_ world: World) async throws {
        for step in Self.steps(world) {
            var environment = world.environment.merging(step.environment) { $1 }
            // Roles are made by an administrator; everything else is done as the roles.
            if step.arguments == ["roles", "apply"] { environment["RAG_OWNER_DATABASE_URL"] = world.database.url }
            let result = try await KelterProcess.run(step.arguments, environment: environment)
            #expect(result.exitCode == 0, "\(step.arguments): \(result.messages) \(result.output)")
            for text in step.prints {
                #expect(result.output.contains(text), "\(step.arguments) prints \(result.output)")
            }
            #expect(!result.messages.contains("FALLBACK") && !result.output.contains("FALLBACK"))
        }
    }

    @Test("every command of the runbook has a step that quotes it")
    func complete() async throws {
        let quotes = Self.steps(try await placeholder()).map(\.quote)
        for quote in quotes where !quote.isEmpty && quote != "Alle" {
            #expect(Self.text.contains(quote), "the runbook does not say \(quote)")
        }
        let commands = Self.text.matches(of: /(?:npm run dev:manage|python manage\.py) ([^`]+)`/)
        #expect(commands.count >= 9)
        for command in commands {
            let words = String(command.output.1)
            #expect(quotes.contains { $0.contains(words) || words.contains($0) && !$0.isEmpty }, "no step for \(words)")
        }
    }

    /// A world of which only the paths are looked at.
    private func placeholder() async throws -> World {
        try await withCheckedThrowingContinuation { continuation in
            Task {
                do {
                    try await World.with(appliesSchema: false) { continuation.resume(returning: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    @Test("on an empty server")
    func empty() async throws {
        try await with { world in
            try await perform(world)
            // Everything may be repeated.
            try await perform(world)
        }
    }

    @Test("on a server of the older system: no row is lost, and the checks are ok at the end")
    func older() async throws {
        try await with { world in
            let tenants = [try Tenant("dev-tenant"), try Tenant("dev2-tenant")]
            try await world.database.store.runScript(LegacySchema.script(dimension: 384, tenants: tenants, count: 60))
            try await world.database.store.runScript(LegacySchema.workflows(schema: "dev"))
            let content = """
                SELECT d.id, d.tenant_id, d.collection_id, d.hash, d.metadata, d.created_at, c.id, c.text, e.chunk_id
                FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
                JOIN rag.embeddings e ON e.chunk_id = c.id
                WHERE d.metadata ->> 'case' = 'alt' ORDER BY d.id, c.id
                """
            let before = try await world.rows(content)
            let vectors = try await world.rows(
                "SELECT chunk_id, l2_normalize(embedding) FROM rag.embeddings ORDER BY 1"
            )
            #expect(before.count == 240)
            let workflows = try await world.rows(
                "SELECT id::text, template_id::text, state::text FROM dev.workflows_workflowinstance ORDER BY id"
            )

            // The migration that drops the tables refuses before there is a backup of them, naming table and rows.
            for arguments in [["roles", "apply", "--admin-url", world.database.url], ["migrate-schemas", "--shared"]] {
                let result = try await KelterProcess.run(arguments, environment: world.environment)
                #expect(result.exitCode == 0, "\(arguments): \(result.messages)")
            }
            let early = try await world.kelter("create-tenant", "--schema=dev", "--tenant-id=dev-tenant")
            #expect(early.exitCode == 4 && early.messages.contains("LEGACY_ROWS_WITHOUT_BACKUP"), "\(early.messages)")
            #expect(early.messages.contains("workflows_workflowinstance in dev holds 25 rows"), "\(early.messages)")
            #expect(try await world.count("SELECT count(*) FROM dev.workflows_workflowinstance") == 25)

            try await perform(world)

            #expect(try await world.rows(content) == before)
            let after = try await world.rows(
                """
                SELECT e.chunk_id, e.embedding FROM rag.embeddings e JOIN rag.chunks c ON c.id = e.chunk_id
                JOIN rag.documents d ON d.id = c.document_id WHERE d.metadata ->> 'case' = 'alt' ORDER BY 1
                """
            )
            #expect(after.map { $0[0] } == vectors.map { $0[0] })
            let turned = try await world.count(
                """
                SELECT count(*) FROM rag.embeddings
                WHERE abs(vector_norm(embedding) - 1) > 1e-6
                """
            )
            #expect(turned == 0)
            for (old, new) in zip(vectors, after).prefix(20) {
                let distance = try await world.rows("SELECT '\(old[1] ?? "")'::vector <=> '\(new[1] ?? "")'::vector")
                #expect(Double(distance[0][0] ?? "1") ?? 1 < 1e-6)
            }
            #expect(try await world.rows("SELECT to_regclass('dev.workflows_workflowinstance')") == [[nil]])
            let csv = try String(contentsOfFile: world.home + "/legacy/legacy_workflowinstance.csv", encoding: .utf8)
            #expect(csv.split(separator: "\n").count == 26 && csv.hasPrefix("id,template_id,state,created_at"))
            #expect(workflows.allSatisfy { row in csv.contains("\n\(row[0] ?? "?"),\(row[1] ?? "?"),") })
            // The older documents are found.
            let found = try await world.kelter("query", "Absatz 1 von Titel 7", "--json")
            #expect(found.output.contains("von Titel") && found.exitCode == 0, "\(found.output)")
        }
    }

    @Test("check says what is wrong outside the tables: endpoint, database, migrations, settings")
    func checkFailures() async throws {
        try await World.with { world in
            try await world.registerTenants()
            func failures(_ environment: [String: String] = [:]) async throws -> [String: String] {
                let result = try await world.kelter("check", "--json", environment: environment)
                let checks = try result.json["checks"]?.array ?? []
                let failed = checks.filter { $0["status"] == .string("failed") }
                #expect(result.exitCode == (failed.isEmpty ? 0 : 1))
                return Dictionary(
                    uniqueKeysWithValues: failed.map { ($0["name"]?.string ?? "", $0["fix"]?.string ?? "") }
                )
            }
            // The tests' world connects as a superuser, without roles.
            let usual = Set(try await failures().keys)
            #expect(usual.isSubset(of: ["roles", "connection-role"]))
            #expect(
                Set(try await failures(["LITELLM_BASE_URL": "http://127.0.0.1:9"]).keys)
                    == usual.union(["embedding-endpoint"])
            )
            let away = try await failures(["RAG_DATABASE_URL": "postgresql://127.0.0.1:9/x"])
            #expect(away.keys.sorted() == ["database"])

            try await world.database.store.runScript("DELETE FROM dev.kelter_migrations WHERE name LIKE 'users%'")
            var now = try await failures()
            #expect(now["migrations"]?.contains("kelter migrate-schemas --tenant") == true)
            try await world.database.store.runScript("DELETE FROM public.kelter_migrations WHERE name LIKE 'kelter%'")
            now = try await failures()
            #expect(now["migrations"]?.contains("kelter migrate-schemas --shared") == true)
            let superuser = ["create-tenant-superuser", "--schema=dev", "--username=a", "--email=b"]
            let another = ["create-tenant", "--schema=dev7"]
            for (command, kind) in [(superuser, "tenant"), (["worker"], "shared"), (another, "shared")] {
                let refused = try await KelterProcess.run(
                    command,
                    environment: world.environment.merging(["DJANGO_SUPERUSER_PASSWORD": "x"]) { $1 }
                )
                #expect(refused.exitCode == 4 && refused.messages.contains("MIGRATIONS_PENDING"), "\(refused.messages)")
                #expect(refused.messages.contains("kelter migrate-schemas --\(kind)"), "\(refused.messages)")
            }
            try await world.database.store.runScript("UPDATE public.kelter_migrations SET checksum = 'x'")
            #expect(try await failures()["migrations"] != nil)

            try world.write("a.txt", "Ein Text.")
            try await world.succeed("ingest", world.documents)
            let other = try await failures(["EMBEDDINGS_MODEL_PRIMARY": "fremd"])
            #expect(other["vector-space-model"]?.contains("EMBEDDINGS_MODEL_PRIMARY") == true)
        }
    }
}
