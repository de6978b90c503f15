import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The roles")
struct RoleTests {
    private func store(_ database: TemporaryDatabase, _ role: DatabaseRole) throws -> Store {
        var configuration = database.store.configuration
        configuration.url += (configuration.url.contains("?") ? "&" : "?") + "user=" + role.rawValue
        return try Store(configuration: configuration)
    }

    @Test("they are applied twice without a change, and the owner alone can do everything after that")
    func applied() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            try await database.store.applyRoles()
            let owner = try store(database, .owner)
            try await owner.applySchema()
            try await owner.applyRegistry()
            _ = try await owner.createTenant(
                TenantRecord(tenant: Fixture.tenant, schema: "dev", name: "Dev", domains: ["dev.localhost"])
            )
            let listing = """
                SELECT oid::regclass::text, relowner::regrole::text, relacl::text FROM pg_class
                WHERE relnamespace::regnamespace::text IN ('rag', 'dev', 'public') AND relkind IN ('r', 'i')
                ORDER BY 1
                """
            let before = try await database.store.rows(listing)
            try await database.store.applyRoles()
            #expect(try await database.store.rows(listing) == before)
            let results = try await store(database, .application).databaseChecks(tenants: [Fixture.tenant])
            #expect(results.filter { $0.status != .ok }.map(\.name) == [])
            await owner.close()
        }
    }

    @Test("a database that a superuser set up is handed over, with the tenants' schemas")
    func handedOver() async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRegistry()
            _ = try await database.store.createTenant(
                TenantRecord(tenant: Fixture.tenant, schema: "dev", name: "Dev", domains: [])
            )
            try await database.store.applyRoles()
            #expect(
                try await database.store.rows(
                    """
                    SELECT DISTINCT relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname IN ('rag', 'dev') AND relkind IN ('r', 'i')
                    """
                ) == [["kelter_owner"]]
            )
            let results = try await store(database, .application).databaseChecks(tenants: [Fixture.tenant])
            #expect(results.filter { $0.status != .ok }.map(\.name) == [])
            // The application may check passwords and find tenants, and no more than that.
            let application = try store(database, .application)
            #expect(try await application.tenants().map(\.schema) == ["dev"])
            _ = try await application.user("nobody", of: try #require(try await application.tenant(schema: "dev")))
            for statement in [
                "INSERT INTO dev.users (username, email, password) VALUES ('a', 'b', 'c')",
                "UPDATE public.tenants SET name = 'x'", "DELETE FROM public.domains",
                "INSERT INTO public.kelter_migrations VALUES ('x', 'y', now(), 0)", "SELECT * FROM public.backups",
                "DROP TABLE rag.documents",
            ] {
                let error = await #expect(throws: KelterError.self) { try await application.runScript(statement) }
                #expect(error?.message.contains("42501") == true, "\(statement)")
            }
            await application.close()
        }
    }

    @Test("the users of a tenant are seen by its own transactions only")
    func users() async throws {
        try await TemporaryDatabase.with { database in
            let (a, b) = (Fixture.tenant("a-tenant"), Fixture.tenant("b-tenant"))
            try await database.store.applyRoles()
            let owner = try store(database, .owner)
            try await owner.applyRegistry()
            for (tenant, schema) in [(a, "a"), (b, "b")] {
                let record = TenantRecord(tenant: tenant, schema: schema, name: schema, domains: [])
                _ = try await owner.createTenant(record)
                #expect(try await owner.saveSuperuser("admin", email: "x", password: "hash of \(schema)", of: record))
                #expect(
                    try await owner.saveSuperuser("admin", email: "y", password: "hash of \(schema)", of: record)
                        == false
                )
            }
            let application = try store(database, .application)
            for (tenant, schema) in [(a, "a"), (b, "b")] {
                let record = try #require(try await application.tenant(schema: schema))
                #expect(try await application.user("admin", of: record)?.password == "hash of \(schema)")
                #expect(
                    try await application.rows("SELECT password FROM a.users", tenant: tenant).count
                        == (schema == "a" ? 1 : 0)
                )
            }
            #expect(try await application.rows("SELECT password FROM a.users").isEmpty)
            #expect(try await owner.rows("SELECT password FROM a.users").isEmpty)
            await application.close()
            await owner.close()
        }
    }

    @Test("a search by words uses its index under row level security")
    func lexicalIndex() async throws {
        try await TemporaryDatabase.with { database in
            let group = (0..<2_000).map { number in
                Fixture.item("\(number)", "\(number)", content: [Fixture.chunk(0, "Wort\(number) und anderes")])
            }
            _ = try await database.store.write(group, run: nil, tenant: Fixture.tenant)
            try await database.store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks")
            try await database.store.applyRoles()
            let reader = try store(database, .reader)
            let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'chunks_tsv_idx'"
            let before = try await database.store.count(scans) ?? -1
            let result = try await reader.search(SearchRequest(vector: nil, text: "Wort1234"), tenant: Fixture.tenant)
            #expect(result.matches.first?.externalID == "1234")
            _ = try await reader.rows("SELECT pg_stat_force_next_flush()")
            _ = try await reader.rows("SELECT 1")
            await reader.close()
            #expect(try await database.store.count(scans) ?? -1 > before)
        }
    }
}
