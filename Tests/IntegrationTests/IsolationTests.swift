import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// What the application's role can do with SQL in the transaction of one tenant against the rows of another.
///
/// Both vector spaces are attacked: the shared one and one in a schema of its own.
@Suite("Attacks on the isolation of tenants", .serialized)
struct IsolationTests {
    static let schemas = ["rag", "tenant_x"]

    @Test("no read shows, counts or tells of another tenant's rows", arguments: schemas)
    func reading(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let reader = try world.database.roleStore(.reader, schema: schema)
            let known = [
                "collections", "documents", "sources", "chunks", "embeddings", "runs", "run_parts", "run_items",
                "near_bands", "file_stamps", "uploads",
            ]
            let expected = (known + ["idempotency_keys", "audit_log", "embedding_cache"]).map { "\(schema).\($0)" }
            let names = Set(world.tables.map(\.name))
            #expect(names.isSuperset(of: expected + ["public.api_keys", "\(schema)_standby.embeddings"]))
            let before = try await world.dump()
            for table in world.tables {
                // Attacks on nothing would prove nothing.
                #expect(before[table.name]?.isEmpty == false, "the victim has rows in \(table.name)")
                let own = try await world.truth.rows(Self.ownRows(table))
                #expect(own != [["0"]], "the attacker has rows in \(table.name)")
                #expect(
                    try await world.app.rows("SELECT count(*) FROM \(table.name)", tenant: IsolationWorld.attacker)
                        == own
                )
                for sql in world.reads(table, places: try await world.places(table)) {
                    #expect(try await world.app.count(sql, tenant: IsolationWorld.attacker) == 0, "\(sql)")
                    guard table.name != "public.api_keys" else {
                        let state = await reader.refusal(sql)
                        let isCatalog = sql.contains("FROM pg_stats")
                        #expect(state == (isCatalog ? nil : "42501"), "\(sql)")
                        continue
                    }
                    #expect(try await reader.count(sql, tenant: IsolationWorld.attacker) == 0, "\(sql)")
                }
                // The attack by an error has to be one: it does fail on rows that are seen.
                let control =
                    "SELECT FROM \(table.name) WHERE 1 / (tenant_id <> '\(IsolationWorld.attacker.rowID)')::int = 2"
                #expect(await world.app.refusal(control) == "22012")
            }
            #expect(try await world.dump() == before)
            await reader.close()
        }
    }

    @Test("functions that leak their arguments are called for the tenant's own rows only", arguments: schemas)
    func leakyFunctions(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            // What a RAISE NOTICE would show is written down; the price makes the planner call it first.
            try await world.app.runScript(
                """
                CREATE TEMPORARY TABLE seen (line text);
                CREATE FUNCTION pg_temp.leak(line text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
                    $$ BEGIN INSERT INTO pg_temp.seen VALUES (line); RETURN true; END $$;
                CREATE FUNCTION pg_temp.leaks(text, text) RETURNS boolean LANGUAGE sql COST 0.0001
                    RETURN pg_temp.leak($1 || $2);
                CREATE OPERATOR pg_temp.<<<< (FUNCTION = pg_temp.leaks, LEFTARG = text, RIGHTARG = text);
                """
            )
            for table in world.tables {
                for condition in ["pg_temp.leak(t::text)", "t::text OPERATOR(pg_temp.<<<<) ''"] {
                    let sql = "SELECT count(*) FROM \(table.name) t WHERE \(condition)"
                    #expect(try await world.app.count(sql, tenant: IsolationWorld.attacker) != 0)
                }
                let victim = IsolationWorld.victim.rowID
                let seen = try await world.app.rows(
                    "SELECT count(*), count(*) FILTER (WHERE line LIKE '%\(victim)%') FROM pg_temp.seen"
                )
                #expect(seen[0][0] != "0" && seen[0][1] == "0", "\(table.name)")
                try await world.app.runScript("TRUNCATE pg_temp.seen")
            }
        }
    }

    /// EXPLAIN ANALYZE and `pg_class.reltuples` tell how many rows a table has, of all tenants together.
    ///
    /// That names nobody. A text, however, must not change what is counted, or guesses could be tried. Identifiers are
    /// not tried here: at least 74 of their bits are random.
    @Test("the numbers of a plan do not depend on another tenant's texts", arguments: schemas)
    func plans(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            // Small tables are read from end to end unless that is forbidden.
            for scan in ["on", "off"] {
                try await world.app.runScript("SET enable_seqscan TO \(scan)")
                for table in world.tables {
                    for column in table.textColumns {
                        let secret = try await world.truth.rows(
                            """
                            SELECT \(column) FROM \(table.name) t WHERE tenant_id = '\(IsolationWorld.victim.rowID)'
                                AND \(column) IS NOT NULL AND NOT EXISTS (
                                    SELECT FROM \(table.name) o
                                    WHERE o.tenant_id <> t.tenant_id AND o.\(column) = t.\(column)
                                ) LIMIT 1
                            """
                        )
                        guard let text = secret.first?.first ?? nil else { continue }
                        let probe = { (value: String) in "SELECT FROM \(table.name) WHERE \(column) = $s$\(value)$s$" }
                        let hit = try await world.execution(probe(text), on: world.app)
                        let miss = try await world.execution(probe("nobody has this"), on: world.app)
                        #expect(!hit.isEmpty && hit == miss, "\(table.name).\(column)")
                    }
                    let all = try await world.execution("SELECT FROM \(table.name)", on: world.app)
                    let own = try await world.truth.count(Self.ownRows(table))
                    #expect(all.contains { $0.hasPrefix("\"Actual Rows\": \(own ?? -1).") }, "\(all)")
                }
            }
        }
    }

    @Test("nothing of another tenant is changed, moved or deleted", arguments: schemas)
    func writing(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let before = try await world.dump()
            let victim = IsolationWorld.victim.rowID
            let reader = try world.database.roleStore(.reader, schema: schema)
            for table in world.tables {
                for sql in world.writes(table, places: try await world.places(table)) {
                    #expect(try await world.app.count(sql, tenant: IsolationWorld.attacker) == 0, "\(sql)")
                    #expect(await reader.refusal(sql) == "42501", "\(sql)")
                }
                let own = try await world.row(of: IsolationWorld.attacker, in: table)
                let forged = table.forgery(of: own, ["tenant_id": "'\(victim)'"])
                let moved = "UPDATE \(table.name) SET tenant_id = '\(victim)'"
                for sql in [forged, moved, forged + " ON CONFLICT DO NOTHING"] {
                    #expect(await world.app.refusal(sql) == "42501", "\(sql)")
                    #expect(await reader.refusal(sql) == "42501", "\(sql)")
                }
            }
            #expect(try await world.dump() == before)
            // The same statements without any condition.
            for table in world.tables {
                let sql = "UPDATE \(table.name) SET tenant_id = '\(IsolationWorld.attacker.rowID)'"
                _ = try await world.app.rows(sql, tenant: IsolationWorld.attacker)
            }
            #expect(try await world.dump() == before)
            // Documents go before the collections that they are in.
            for table in world.tables.filter({ $0.baseName != "collections" }) + world.tables {
                _ = try await world.app.rows("DELETE FROM \(table.name)", tenant: IsolationWorld.attacker)
            }
            #expect(try await world.dump() == before)
            #expect(try await world.dump(IsolationWorld.attacker).values.allSatisfy(\.isEmpty))
            await reader.close()
        }
    }

    @Test("COPY writes nothing and reads the tenant's own rows", arguments: schemas)
    func copying(schema: String) async throws {
        try await IsolationWorld.with(schema: schema) { world in
            let tables = world.tables
            let setting = "SET LOCAL kelter.tenant_id = '\(IsolationWorld.attacker.rowID)';"
            let output = try world.psql(
                tables.map { "BEGIN; \(setting) COPY \($0.name) TO STDOUT; COMMIT;" }.joined(separator: "\n")
            )
            #expect(output.contains("\(IsolationWorld.attacker.rowID)"))
            #expect(!output.contains("\(IsolationWorld.victim.rowID)") && !output.contains("secret"))
            let refusals = try world.psql(
                tables.map { "BEGIN; \(setting) COPY \($0.name) FROM STDIN;\n\\.\nROLLBACK;" }.joined(separator: "\n")
            )
            let count = refusals.split(separator: "\n").count { $0.contains("COPY FROM not supported with row-level") }
            #expect(count == tables.count, "\(refusals)")
        }
    }

    private static func ownRows(_ table: IsolationTable) -> String {
        "SELECT count(*) FROM \(table.name) WHERE tenant_id = '\(IsolationWorld.attacker.rowID)'"
    }
}
