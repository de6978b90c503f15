import Foundation
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// `kelter backfill-scope`, `backup` and its gate, `delete-tenant`.
@Suite("Maintenance")
struct MaintenanceTests {
    private let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
    /// Every row whose collection a backfill may touch.
    private static let scopes = """
        SELECT 'd', id::text, collection_id::text, external_id FROM rag.documents
        UNION ALL SELECT 'c', id::text, collection_id::text, '' FROM rag.chunks
        UNION ALL SELECT 'e', chunk_id::text, collection_id::text, '' FROM rag.embeddings
        UNION ALL SELECT 's', document_id::text, collection_id::text, external_id FROM rag.sources ORDER BY 1, 2, 4
        """

    @Test("backfill-scope: planned, applied by rule, left where the guards forbid it, and taken back")
    func backfill() async throws {
        try await World.with { world in
            for number in 1...12 {
                try world.write("\(number % 2 == 0 ? "hr" : "it")/doc-\(number).txt", "Dokument \(number).")
            }
            try await world.succeed("ingest", world.documents)
            // The bytes of one document are in the collection already, under another name.
            let copy = try world.write("kopie.txt", "Dokument 2.")
            try await world.succeed("upload", copy, "--collection", collection)
            let upload = try world.write("brief.txt", "Ein Brief.")
            let uploaded = try await world.kelter("upload", upload, "--external-id", "hr/brief", "--json").json
            let before = try await world.rows(Self.scopes)

            let rule = ["backfill-scope", "--collection", collection, "--where-external-id-prefix", "hr/", "--json"]
            let plan = try await KelterProcess.run(rule, environment: world.environment)
            #expect(try plan.json["matching"] == .int(7) && plan.json["conflicts"] == .int(1), "\(plan.messages)")
            #expect(try await world.rows(Self.scopes) == before)

            let applied = try await KelterProcess.run(rule + ["--apply"], environment: world.environment)
            #expect(try applied.json["moved"] == .int(6) && applied.json["conflicts"] == .int(1), "\(applied.messages)")
            for (table, name) in [("documents", "external_id"), ("sources", "external_id")] {
                #expect(
                    try await world.count(
                        "SELECT count(*) FROM rag.\(table) WHERE collection_id = '\(collection)' AND \(name) LIKE 'hr/%'"
                    ) == 6,
                    "\(table)"
                )
            }
            #expect(
                try await world.count(
                    """
                    SELECT count(*) FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
                    JOIN rag.embeddings e ON e.chunk_id = c.id JOIN rag.sources s ON s.document_id = d.id
                    WHERE (c.collection_id, e.collection_id, s.collection_id)
                        IS DISTINCT FROM (d.collection_id, d.collection_id, d.collection_id)
                    """
                ) == 0
            )
            let metadataPath = try #require(
                uploaded["documents"]?[0]?["meta_json"]?.string ?? uploaded["meta_json"]?.string
            )
            let metadata = try world.objectJSON(metadataPath)
            #expect(metadata["collection_id"] == .string(collection))
            let found = try await world.kelter("query", "Ein Brief.", "--collection", collection, "--json")
            #expect(found.output.contains("Ein Brief."))

            let run = try #require(try applied.json["run_id"]?.string)
            // Metadata that cannot be written is told, and costs nothing else.
            let broken = world.home + "/objects/" + metadataPath
            try FileManager.default.moveItem(atPath: broken, toPath: broken + ".away")
            let partly = try await KelterProcess.run(
                ["backfill-scope", "--undo", run, "--json"],
                environment: world.environment
            )
            #expect(try partly.exitCode == 1 && partly.json["moved"] == .int(6), "\(partly.messages)")
            #expect(try partly.json["metadata_failures"]?.array?.count == 1)
            try FileManager.default.moveItem(atPath: broken + ".away", toPath: broken)
            #expect(try await world.rows(Self.scopes) == before)
            let anew = try await KelterProcess.run(rule + ["--apply"], environment: world.environment)
            let second = try #require(try anew.json["run_id"]?.string)
            #expect(second != run)
            let undone = try await world.kelter("backfill-scope", "--undo", second, "--json")
            #expect(try undone.json["moved"] == .int(6), "\(undone.messages)")
            #expect(try await world.rows(Self.scopes) == before)
            for (arguments, code) in [
                (["backfill-scope", "--collection", collection], 2), (["backfill-scope", "--all"], 2),
                (["backfill-scope", "--undo", "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c12"], 2),
            ] as [([String], Int32)] {
                let result = try await KelterProcess.run(arguments, environment: world.environment)
                #expect(result.exitCode == code, "\(arguments) \(result.messages)")
            }
        }
    }

    @Test("backup: a dump that can be restored is recorded, and the gate lets nothing through without one")
    func backup() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try world.write("a.txt", "Ein Text.")
            try await world.succeed("ingest", world.documents)
            let gated = ["delete-tenant", "--schema", "dev", "--confirm", "dev", "--require-backup-within"]
            let refused = try await KelterProcess.run(gated + ["24h"], environment: world.environment)
            #expect(refused.exitCode == 4 && refused.messages.contains("BACKUP_REQUIRED"), "\(refused.messages)")
            #expect(try await KelterProcess.run(gated + ["bald"], environment: world.environment).exitCode == 2)

            let result = try await world.kelter("backup", "--out", world.home + "/dumps", "--json")
            #expect(result.exitCode == 0, "\(result.messages)")
            let path = try #require(try result.json["location"]?.string)
            #expect(try FileManager.default.contentsOfDirectory(atPath: world.home + "/dumps").count == 1)
            #expect(try result.json["bytes"]?.int ?? 0 > 1000)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(
                try await world.rows("SELECT kind, location, bytes IS NOT NULL FROM public.backups") == [
                    ["pg_dump", path, "t"]
                ]
            )
            // A backup of yesterday does not count for one hour.
            try await world.database.store.runScript("UPDATE public.backups SET taken_at = now() - interval '2 h'")
            #expect(try await KelterProcess.run(gated + ["1h"], environment: world.environment).exitCode == 4)
            let passed = try await KelterProcess.run(gated + ["3h"], environment: world.environment)
            #expect(passed.exitCode == 0, "\(passed.messages)")
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 0)

            let none = try await world.kelter("backup", "--pg-dump", "/bin/false")
            #expect(none.exitCode == 3 && none.messages.contains("BACKUP_FAILED"), "\(none.messages)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: world.home + "/backups").isEmpty)
            try await world.succeed("backup", "--record", "snapshot-17")
            #expect(try await world.count("SELECT count(*) FROM public.backups WHERE kind = 'external'") == 1)
        }
    }

    @Test("delete-tenant: says what goes, asks twice, and leaves the other tenants alone")
    func deleteTenant() async throws {
        try await World.with { world in
            try await world.registerTenants()
            try await world.succeed("create-tenant", "--schema=dev2", "--domain=dev2.localhost")
            let file = try world.write("a.txt", "Ein Text.")
            for tenant in ["dev-tenant", "dev2-tenant"] {
                try await world.succeed("upload", file, "--tenant", tenant)
            }
            try await world.succeed("api-key", "create", "--schema=dev2", "--label=x")
            let other =
                "SELECT * FROM rag.documents d JOIN public.tenants t ON t.id = d.tenant_id WHERE t.key = 'dev-tenant'"
            let before = try await world.rows(other)
            let asked = try await world.kelter("delete-tenant", "--schema", "dev2")
            #expect(asked.exitCode == 4 && asked.messages.contains("1 documents"), "\(asked.messages)")
            #expect(try await world.count("SELECT count(*) FROM public.tenants") == 3)
            // A run that a worker holds keeps the tenant.
            try await world.database.store.runScript(
                """
                INSERT INTO rag.runs (id, tenant_id, kind, status, lease_until)
                    SELECT gen_random_uuid(), id, 'upload', 'running', now() + interval '1 min' FROM public.tenants
                    WHERE key = 'dev2-tenant'
                """
            )
            let busy = try await world.kelter("delete-tenant", "--schema", "dev2", "--confirm", "dev2")
            #expect(busy.exitCode == 4 && busy.messages.contains("TENANT_BUSY"), "\(busy.messages)")
            try await world.database.store.runScript("UPDATE rag.runs SET lease_until = NULL")

            // What somebody else keeps in the schema was not confirmed, and holds everything back.
            try await world.database.store.runScript("CREATE TABLE dev2.projects_project (id int)")
            let shared = try await world.kelter("delete-tenant", "--schema", "dev2", "--confirm", "dev2")
            #expect(shared.exitCode == 4 && shared.messages.contains("projects_project"), "\(shared.messages)")
            #expect(try await world.count("SELECT count(*) FROM public.tenants") == 3)
            try await world.database.store.runScript("DROP TABLE dev2.projects_project")

            let gone = try await world.kelter("delete_tenant", "--schema", "dev2", "--confirm", "dev2")
            #expect(gone.exitCode == 0, "\(gone.messages)")
            #expect(try await world.rows(other) == before)
            #expect(try await world.rows("SELECT key FROM public.tenants ORDER BY 1") == [["dev-tenant"], ["public"]])
            #expect(try await world.rows("SELECT to_regnamespace('dev2')") == [[nil]])
            for table in ["documents", "chunks", "embeddings", "sources", "runs", "run_items", "uploads"] {
                #expect(
                    try await world.count(
                        "SELECT count(*) FROM rag.\(table) WHERE tenant_id NOT IN (SELECT id FROM public.tenants)"
                    ) == 0,
                    "\(table)"
                )
            }
            #expect(try await world.count("SELECT count(*) FROM public.api_keys") == 0)
            #expect(world.objects.allSatisfy { $0.hasPrefix("dev-tenant/") } && !world.objects.isEmpty)
            for (schema, code) in [("dev2", 2), ("public", 2)] as [(String, Int32)] {
                let result = try await world.kelter("delete-tenant", "--schema", schema, "--confirm", schema)
                #expect(result.exitCode == code)
            }
        }
    }

    @Test("a vector space may live in its tenant's schema, by the same SQL")
    func tenantSpace() async throws {
        try await World.with { world in
            var world = world
            try await world.registerTenants()
            world.environment["RAG_VECTOR_SCHEMA"] = "dev"
            try await world.succeed("schema", "apply")
            // The tenant can still be created again, and migrated.
            try await world.succeed("create-tenant", "--schema=dev", "--domain=dev.localhost")
            try await world.succeed("migrate-schemas", "--tenant")
            try world.write("a.txt", "Ein Text im eigenen Schema.")
            try await world.succeed("ingest", world.documents)
            #expect(try await world.count("SELECT count(*) FROM dev.documents") == 1)
            #expect(try await world.count("SELECT count(*) FROM rag.documents") == 0)
            let found = try await world.kelter("query", "Text im eigenen Schema")
            #expect(found.output.contains("Ein Text im eigenen Schema."), "\(found.messages)")
            let index = try await world.kelter("rebuild-rag-index")
            #expect(index.output.contains("using HNSW (scope: dev.embeddings, m=32 ef_construction=200)"))
            let checks = try await world.kelter("check", "--json").json["checks"]?.array ?? []
            let failed = checks.filter { $0["status"] == .string("failed") }.compactMap { $0["name"]?.string }
            // The tests' world connects as a superuser.
            #expect(Set(failed).isSubset(of: ["roles", "connection-role"]), "\(failed)")
            let kept = try await world.kelter("delete-tenant", "--schema", "dev", "--confirm", "dev")
            #expect(kept.exitCode == 4 && kept.messages.contains("TENANT_CONFLICT"), "\(kept.messages)")
        }
    }
}
