package import KelterModel

/// What belongs to a tenant in the database.
package struct TenantContents: Sendable, Equatable {
    package var documents = 0
    package var chunks = 0
    package var embeddings = 0
    package var runs = 0
    package var apiKeys = 0
    /// Runs that a worker holds now.
    package var activeRuns = 0
}

extension Store {
    /// Counts what belongs to a tenant.
    ///
    /// - Parameters:
    ///   - tenant: The tenant.
    ///   - others: The schemas of other vector spaces, of which those that are there are counted too.
    /// - Returns: The sums.
    /// - Throws: ``KelterError`` of the database.
    package func contents(
        of tenant: Tenant,
        others: [String] = []
    ) async throws(KelterError) -> TenantContents {
        var sum = try await contents(of: tenant, in: schema)
        for other in try await present(others) {
            let contents = try await contents(of: tenant, in: other)
            sum.documents += contents.documents
            sum.chunks += contents.chunks
            sum.embeddings += contents.embeddings
            sum.runs += contents.runs
            sum.activeRuns += contents.activeRuns
        }
        return sum
    }

    /// Those of some schemas that hold a vector space.
    private func present(_ schemas: [String]) async throws(KelterError) -> [SQLIdentifier] {
        let identifiers = try schemas.map { (name) throws(KelterError) in try SQLIdentifier(schema: name) }
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                var present: [SQLIdentifier] = []
                for schema in identifiers where try connection.hasTable("\(schema).embedding_cache") {
                    present.append(schema)
                }
                return present
            }
        }
    }

    private func contents(
        of tenant: Tenant,
        in schema: SQLIdentifier
    ) async throws(KelterError) -> TenantContents {
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                SELECT (SELECT count(*) FROM \(schema).documents WHERE tenant_id = $1),
                    (SELECT count(*) FROM \(schema).chunks WHERE tenant_id = $1),
                    (SELECT count(*) FROM \(schema).embeddings WHERE tenant_id = $1),
                    (SELECT count(*) FROM \(schema).runs WHERE tenant_id = $1),
                    (SELECT count(*) FROM public.api_keys WHERE tenant_id = $1),
                    (SELECT count(*) FROM \(schema).runs WHERE tenant_id = $1 AND status = 'running'
                        AND lease_until > clock_timestamp())
                """,
                [.uuid(tenant.rowID)]
            )
            var contents = TenantContents()
            contents.documents = rows.int(0, 0) ?? 0
            contents.chunks = rows.int(0, 1) ?? 0
            contents.embeddings = rows.int(0, 2) ?? 0
            contents.runs = rows.int(0, 3) ?? 0
            contents.apiKeys = rows.int(0, 4) ?? 0
            contents.activeRuns = rows.int(0, 5) ?? 0
            return contents
        }
    }

    /// Removes a tenant for good: its rows in the vector space, its keys, its schema and its entry in the registry.
    ///
    /// One transaction: afterwards the tenant is there as before or gone. A schema goes only with kelter's own tables in
    /// it: what others keep there is not part of what was counted and confirmed. Needs the owner's role.
    ///
    /// - Parameters:
    ///   - record: The tenant.
    ///   - others: The schemas of other vector spaces, from those of which that are there the tenant goes as well.
    /// - Throws: ``KelterError`` with ``ErrorCode/tenantBusy`` while a worker holds a run of it, and
    ///   ``ErrorCode/tenantConflict`` when its schema holds other tables, such as a vector space.
    package func deleteTenant(_ record: TenantRecord, others: [String] = []) async throws(KelterError) {
        let (schema, tenant) = (schema, record.tenant)
        let spaces = [schema] + (try await present(others))
        let own = try SQLIdentifier(schema: record.schema, subject: "--schema")
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.run("SET LOCAL statement_timeout TO 0")
            let rows = try connection.query(
                """
                SELECT (SELECT count(*) FROM \(schema).runs WHERE tenant_id = $1 AND status = 'running'
                        AND lease_until > clock_timestamp()),
                    count(*), min(c.relname::text)
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                    AND c.relname NOT IN ('users', 'kelter_migrations')
                """,
                [.uuid(tenant.rowID), .text(own.name)]
            )
            if let active = rows.int(0, 0), active > 0 { throw .finding(Self.busy(record, active)) }
            if let others = rows.int(0, 1), others > 0, let name = rows.text(0, 2) {
                throw .finding(Self.shared(record, others, such: name))
            }
            // Documents take chunks, vectors and sources with them, runs their items.
            let tables = [
                "documents", "collections", "runs", "file_stamps", "uploads", "idempotency_keys", "audit_log",
                "embedding_cache",
            ]
            for space in spaces {
                for table in tables {
                    try connection.execute("DELETE FROM \(space).\(table) WHERE tenant_id = $1", [.uuid(tenant.rowID)])
                }
            }
            try connection.execute("DELETE FROM public.api_keys WHERE tenant_id = $1", [.uuid(tenant.rowID)])
            try connection.execute("DELETE FROM public.tenants WHERE id = $1", [.uuid(tenant.rowID)])
            try connection.run(
                "DROP TABLE IF EXISTS \(own).users, \(own).kelter_migrations; DROP SCHEMA IF EXISTS \(own)"
            )
        }
    }

    private static func shared(_ record: TenantRecord, _ others: Int, such name: String) -> KelterError {
        KelterError(
            .tenantConflict,
            "The schema \(record.schema) holds \(others) tables that are not kelter's, such as \(shortened(name)).",
            subject: record.schema,
            fix: "Move or drop them by hand first."
        )
    }

    private static func busy(_ record: TenantRecord, _ runs: Int) -> KelterError {
        KelterError(
            .tenantBusy,
            "\(runs) runs of the tenant \(record.tenant.key) are being worked on.",
            subject: record.schema,
            fix: "Stop its workers, or wait until the runs have ended."
        )
    }
}
