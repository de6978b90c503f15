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
            // As an earlier version left it: the roles alone do not help.
            try await database.store.runScript("REVOKE ALL ON SCHEMA dev FROM kelter_app")
            let closed = await #expect(throws: KelterError.self) {
                try await application.migrationStatus(.embedded(.tenant), schema: "dev")
            }
            #expect(closed?.subject == "dev" && closed?.fix?.contains("kelter migrate-schemas --tenant") == true)
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

    @Test("what else lies in a tenant's schema stays with its owner")
    func neighbours() async throws {
        try await TemporaryDatabase.with { database in
            let django = database.name + "_django"
            try await database.store.runScript(
                """
                CREATE ROLE \(django) LOGIN;
                CREATE SCHEMA acme AUTHORIZATION \(django);
                CREATE TABLE acme.django_migrations (id int);
                CREATE TABLE acme.projects_project (id int);
                ALTER TABLE acme.django_migrations OWNER TO \(django);
                ALTER TABLE acme.projects_project OWNER TO \(django);
                CREATE TABLE public.customers_domain (id int, tenant_id bigint)
                """
            )
            try await database.store.applyRoles()
            let owner = try store(database, .owner)
            try await owner.applyRegistry()
            _ = try await owner.createTenant(
                TenantRecord(tenant: Fixture.tenant, schema: "acme", name: "Acme", domains: [])
            )
            try await database.store.applyRoles()
            var configuration = database.store.configuration
            configuration.url += (configuration.url.contains("?") ? "&" : "?") + "user=" + django
            let older = try Store(configuration: configuration)
            #expect(try await older.rows("SELECT * FROM acme.projects_project").isEmpty)
            try await older.runScript("CREATE TABLE acme.projects_task (id int)")
            #expect(
                try await database.store.rows(
                    "SELECT relname FROM pg_class WHERE relowner = 'kelter_owner'::regrole AND relkind = 'r' AND relnamespace = 'acme'::regnamespace ORDER BY 1"
                ) == [["kelter_migrations"], ["users"]]
            )
            let application = try store(database, .application)
            let record = try #require(try await application.tenant(schema: "acme"))
            _ = try await application.user("nobody", of: record)
            let results = try await application.databaseChecks(tenants: [Fixture.tenant])
            #expect(results.filter { $0.status != .ok }.map(\.name) == [])
            for each in [older, owner, application] { await each.close() }
            try await database.store.runScript("DROP SCHEMA acme CASCADE; DROP OWNED BY \(django); DROP ROLE \(django)")
        }
    }

    @Test("a vector space in a tenant's schema opens nothing else in it, in whatever order they are made")
    func tenantSpace() async throws {
        for isSpaceFirst in [true, false] {
            try await TemporaryDatabase.with(appliesSchema: false) { database in
                try await database.store.applyRoles()
                var configuration = try store(database, .owner).configuration
                configuration.schema = "tenant_x"
                let owner = try Store(configuration: configuration)
                try await owner.applyRegistry()
                let record = TenantRecord(tenant: Fixture.tenant, schema: "tenant_x", name: "X", domains: [])
                if isSpaceFirst { try await owner.applySchema() }
                _ = try await owner.createTenant(record)
                try await owner.applySchema()
                configuration.url = try store(database, .application).configuration.url
                let application = try Store(configuration: configuration)
                configuration.url = try store(database, .reader).configuration.url
                let reader = try Store(configuration: configuration)
                for (store, statement) in [
                    (application, "INSERT INTO tenant_x.users (username, email, password) VALUES ('a', 'b', 'c')"),
                    (application, "DELETE FROM tenant_x.kelter_migrations"), (reader, "SELECT * FROM tenant_x.users"),
                    (application, "UPDATE tenant_x.vector_space SET model = 'x'"),
                ] {
                    let error = await #expect(throws: KelterError.self) { try await store.runScript(statement) }
                    #expect(error?.message.contains("42501") == true, "\(statement)")
                }
                let results = try await application.databaseChecks(tenants: [Fixture.tenant])
                #expect(results.filter { $0.status != .ok }.map(\.name) == [])
                for each in [owner, application, reader] { await each.close() }
            }
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
