import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// What foreign keys, unique keys and privileges let the application's role do.
@Suite("Attacks on the isolation of tenants by keys and privileges", .serialized)
struct IsolationKeyTests {
    /// Columns that a forged row needs for itself.
    private static let own = [
        "id": "gen_random_uuid()", "ordinal": "999", "external_id": "'forged'", "hash": "'forged'",
    ]

    @Test(
        "no row can be hung on another tenant's, nor is it told whether that exists",
        arguments: IsolationTests.schemas
    )
    func foreignKeys(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let before = try await world.dump()
            let links = try await world.links()
            #expect(Set(links.map(\.child)).count >= 6)
            for link in links {
                #expect(link.hasTenant, "\(link.child).\(link.column) has the tenant in its foreign key")
                let table = try #require(world.tables.first { $0.name == link.child })
                // One that has no such row yet: otherwise a unique key would be first to refuse.
                let target = try await world.truth.rows(
                    """
                    SELECT p.\(link.parentColumn) FROM \(link.parent) p
                    WHERE tenant_id = '\(IsolationWorld.victim.rowID)' AND NOT EXISTS (
                        SELECT FROM \(link.parent) o
                        WHERE o.tenant_id <> p.tenant_id AND o.\(link.parentColumn) = p.\(link.parentColumn)
                    )
                    ORDER BY EXISTS (SELECT FROM \(link.child) c WHERE c.\(link.column) = p.\(link.parentColumn)) LIMIT 1
                    """
                )
                let there = try #require(target.first?.first ?? nil)
                let row = try await world.row(of: IsolationWorld.attacker, in: table)
                for reference in [there, "\(Fixture.id())"] {
                    // A chunk of the attacker's that has no vector takes one.
                    let chunk = """
                        (SELECT c.id FROM \(schema).chunks c WHERE NOT EXISTS (
                            SELECT FROM \(schema).embeddings e WHERE e.chunk_id = c.id
                        ) LIMIT 1)
                        """
                    let new = ["chunk_id": chunk].merging([link.column: "'\(reference)'"]) { $1 }
                    let forged = table.forgery(of: row, Self.own.merging(new) { $1 })
                    #expect(await world.app.refusal(forged) == "23503", "\(forged)")
                    let moved = """
                        UPDATE \(table.name) SET \(link.column) = '\(reference)'
                        WHERE ctid = (SELECT min(ctid) FROM \(table.name))
                        """
                    #expect(await world.app.refusal(moved) == "23503", "\(moved)")
                }
            }
            #expect(try await world.crossings().isEmpty)
            #expect(try await world.dump() == before)
        }
    }

    /// A unique key refuses also what the policies hide: what it is made of must not be guessable.
    ///
    /// Each either has the tenant among its columns or is made of identifiers, of which at least 74 bits are random.
    @Test("no unique key tells what another tenant has", arguments: IsolationTests.schemas)
    func uniqueKeys(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let names = world.tables.map { "'\($0.name)'::regclass" }.joined(separator: ", ")
            let telling = try await world.truth.rows(
                """
                SELECT i.indexrelid::regclass FROM pg_index i
                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid IN (\(names)) AND (i.indisunique OR i.indisexclusion) GROUP BY 1
                HAVING NOT bool_or(a.attname = 'tenant_id') AND NOT bool_and(a.atttypid = 'uuid'::regtype)
                """
            )
            #expect(telling.isEmpty)
            for table in world.tables {
                // The victim's own row, as the attacker's: everything in it was guessed but the identifiers.
                let secret = try await world.row(of: IsolationWorld.victim, in: table)
                let forged = table.forgery(
                    of: secret,
                    [
                        "tenant_id": "'\(IsolationWorld.attacker.rowID)'", "id": "gen_random_uuid()",
                        "chunk_id": "gen_random_uuid()",
                    ]
                )
                let state = await world.app.refusal(forged)
                // Refused for what the row belongs to, or not at all.
                #expect(state == nil || state == "23503", "\(forged)")
            }
        }
    }

    @Test("neither role can change the protection or become another role", arguments: IsolationTests.schemas)
    func privileges(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let protection = """
                SELECT c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner::regrole,
                    (SELECT string_agg(p::text, ' ') FROM pg_policy p WHERE polrelid = c.oid)
                FROM pg_class c WHERE c.oid IN (\(world.tables.map { "'\($0.name)'::regclass" }.joined(separator: ", ")))
                ORDER BY 1
                """
            let (rows, before) = (try await world.dump(), try await world.truth.rows(protection))
            #expect(before.allSatisfy { $0[1] == "t" && $0[2] == "t" && $0[4] == "kelter_owner" }, "\(before)")
            let superuser = try #require(try await world.truth.rows("SELECT current_user").first?.first ?? nil)
            let reader = try world.database.roleStore(.reader, schema: schema)
            for store in [world.app, reader] {
                for sql in world.escalations(superuser: superuser) + world.tables.flatMap(world.ownersStatements) {
                    #expect(await store.refusal(sql, tenant: nil) == "42501", "\(sql)")
                }
                for table in world.tables {
                    // Without the right to pass a right on it is a warning, and nothing is granted.
                    _ = await store.refusal("GRANT ALL ON \(table.name) TO PUBLIC")
                }
            }
            for table in world.tables {
                #expect(await reader.refusal("LOCK TABLE \(table.name) IN ROW EXCLUSIVE MODE") == "42501")
            }
            #expect(try await world.truth.rows(protection) == before)
            #expect(try await world.dump() == rows)
            await reader.close()
        }
    }

    @Test("without a tenant, with an empty one or with nonsense no role sees a row", arguments: IsolationTests.schemas)
    func withoutTenant(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let reader = try world.database.roleStore(.reader, schema: schema)
            let owner = try world.database.roleStore(.owner, schema: schema)
            for table in world.tables {
                let count = "SELECT count(*) FROM \(table.name)"
                for store in [world.app, owner] + (table.name == "public.api_keys" ? [] : [reader]) {
                    #expect(try await store.count(count) == 0, "\(table.name)")
                    for value in ["''", "' '", "'*'", "'%'", "'null'", "'x'' OR true'", "'\(RowID(high: 0, low: 0))'"] {
                        try await store.runScript("SET kelter.tenant_id = \(value)")
                        let rows = try? await store.rows(count)
                        #expect(rows == nil || rows == [["0"]], "\(table.name) with \(value)")
                        try await store.runScript("RESET kelter.tenant_id")
                    }
                    // It is a wish to see all rows or none, not a way to see them.
                    try await store.runScript("SET row_security TO off")
                    #expect(await store.refusal(count) == "42501")
                    try await store.runScript("RESET row_security")
                }
            }
            await reader.close()
            await owner.close()
        }
    }

    @Test(
        "no function, view or publication runs with rights that the policies do not bind",
        arguments: IsolationTests.schemas
    )
    func detours(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let detours = try await world.truth.rows(
                """
                SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                UNION ALL
                SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                UNION ALL SELECT pubname FROM pg_publication
                """
            )
            #expect(detours.isEmpty)
            // Nothing that the application's role may execute could be replaced by it.
            #expect(
                try await world.truth.count(
                    "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'kelter_app'::regrole AND deptype = 'o'"
                        + " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
                ) == 0
            )
        }
    }
}
