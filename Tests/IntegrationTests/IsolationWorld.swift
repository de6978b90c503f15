import KelterModel
import KelterStore
import KelterTestSupport

/// A database in which two tenants have rows in every table, and the roles that attack it.
///
/// The tenants share what can be shared: names, bytes and the identifier of a collection. What only the victim has is
/// called `secret`.
struct IsolationWorld: Sendable {
    /// Who attacks.
    static let attacker = Fixture.tenant("attacker")
    /// Whose rows nobody else may see, count, change, move or infer.
    static let victim = Fixture.tenant("victim")
    /// The collection whose identifier both tenants use.
    static let shared = Fixture.collection(1)
    /// The collection that only the victim has.
    static let secretCollection = Fixture.collection(2)

    let database: TemporaryDatabase
    let schema: String
    /// The superuser's store, for the truth about the rows.
    let truth: Store
    /// The store of `kelter_app`, with one connection, so that everything meets in one session.
    let app: Store
    /// The tables with a `tenant_id`, as the catalog has them.
    let tables: [IsolationTable]
    let attackerRows: IsolationRows
    let victimRows: IsolationRows

    /// Fills a database and runs the attack.
    static func with(schema: String = "rag", _ body: (IsolationWorld) async throws -> Void) async throws {
        try await TemporaryDatabase.with(appliesSchema: schema == "rag") { database in
            let truth = schema == "rag" ? database.store : try database.store(schema: schema, poolSize: 2)
            try await database.store.applyRegistry()
            if schema != "rag" { try await truth.applySchema() }
            try await truth.applyRoles()
            try await truth.runScript("GRANT SELECT ON public.tenants, public.domains TO kelter_app")
            try await truth.runScript("GRANT SELECT, INSERT, UPDATE, DELETE ON public.api_keys TO kelter_app")
            let owner = try database.roleStore(.owner, schema: schema)
            try await owner.createStandby(StandbySpace(model: "next", dimension: 8))
            await owner.close()
            let attackerRows = try await IsolationRows.fill(truth, attacker, isVictim: false)
            let victimRows = try await IsolationRows.fill(truth, victim, isVictim: true)
            try await truth.runScript("ANALYZE")
            let world = IsolationWorld(
                database: database,
                schema: schema,
                truth: truth,
                app: try database.roleStore(.application, schema: schema),
                tables: try await IsolationTable.all(of: truth, schemas: [schema, schema + "_standby", "public"]),
                attackerRows: attackerRows,
                victimRows: victimRows
            )
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(world))
            } catch {
                result = .failure(error)
            }
            await world.app.close()
            if schema != "rag" { await truth.close() }
            try result.get()
        }
    }

    /// All rows of a tenant with the transactions that wrote them: any change of any row shows, however small.
    func dump(_ tenant: Tenant = victim) async throws -> [String: [String?]] {
        var dump: [String: [String?]] = [:]
        for table in tables {
            dump[table.name] = try await truth.rows(
                "SELECT xmin::text || t::text FROM \(table.name) t WHERE tenant_id = '\(tenant.rowID)' ORDER BY t::text"
            ).map { $0[0] }
        }
        return dump
    }

    /// The references, in all tables, from a row of one tenant to a row of another.
    func crossings() async throws -> [String] {
        var found: [String] = []
        for link in try await links() {
            let count = try await truth.count(
                """
                SELECT count(*) FROM \(link.child) c JOIN \(link.parent) p ON p.\(link.parentColumn) = c.\(link.column)
                WHERE c.tenant_id <> p.tenant_id
                """
            )
            // Collections are two of the same identifier, each of its own tenant.
            if count != 0, !link.parent.hasSuffix("collections") { found.append("\(link.child).\(link.column)") }
        }
        return found
    }

    /// A foreign key between tables with a `tenant_id`, by its column that is not the tenant.
    struct Link: Sendable {
        let child: String
        let column: String
        let parent: String
        let parentColumn: String
        /// Whether the tenant is part of the key.
        let hasTenant: Bool
    }

    /// All foreign keys between the tables.
    func links() async throws -> [Link] {
        let names = tables.map { "'\($0.name)'::regclass" }.joined(separator: ", ")
        return try await truth.rows(
            """
            SELECT k.conrelid::regclass, a.attname, k.confrelid::regclass, b.attname, cardinality(k.conkey) = 2
            FROM pg_constraint k, unnest(k.conkey, k.confkey) u(here, there), pg_attribute a, pg_attribute b
            WHERE k.contype = 'f' AND k.conrelid IN (\(names)) AND k.confrelid IN (\(names))
                AND a.attrelid = k.conrelid AND a.attnum = u.here AND b.attrelid = k.confrelid AND b.attnum = u.there
                AND a.attname <> 'tenant_id'
            """
        ).map { row in
            let text = row.map { $0 ?? "" }
            return Link(
                child: text[0],
                column: text[1],
                parent: text[2],
                parentColumn: text[3],
                hasTenant: text[4] == "t"
            )
        }
    }
}

extension Store {
    /// The SQLSTATE of a refused statement, another error's code, or `nil` when the statement was carried out.
    func refusal(_ sql: String, tenant: Tenant? = IsolationWorld.attacker) async -> String? {
        await refusal { _ = try await rows(sql, tenant: tenant) }
    }

    /// The SQLSTATE or code with which a call fails, or `nil` when it was carried out.
    func refusal(of call: () async throws -> Void) async -> String? {
        do {
            try await call()
            return nil
        } catch {
            guard let error = error as? KelterError else { return "\(error)" }
            guard let range = error.message.firstRange(of: "SQLSTATE ") else { return error.code.rawValue }
            return String(error.message[range.upperBound...].prefix(5))
        }
    }
}
