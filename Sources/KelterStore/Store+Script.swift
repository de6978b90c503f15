package import KelterModel

extension Store {
    /// Runs statements without parameters, several if separated by semicolons, and ignores their answers.
    ///
    /// For maintenance and tests; statements on rows go through the calls that take a tenant.
    package func runScript(_ sql: String) async throws(KelterError) {
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in try connection.run(sql) }
        }
    }

    /// Runs a script with a transaction of its own and no limit of time; a failure leaves nothing of it.
    func runTransactionScript(_ sql: String) async throws(KelterError) {
        let timeout = configuration.statementTimeoutMilliseconds
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.run("SET statement_timeout TO 0")
                do throws(DatabaseFailure) {
                    try connection.run(sql)
                } catch {
                    connection.rollBack()
                    throw error
                }
                try connection.run("SET statement_timeout TO \(timeout)")
            }
        }
    }

    /// Runs one statement, as ``runScript(_:)`` does, and returns its rows as text; a NULL is `nil`.
    ///
    /// - Parameters:
    ///   - sql: The statement.
    ///   - tenant: Whose rows a role bound by row level security sees.
    /// - Returns: The rows, each with its columns in order.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseError`` and others.
    package func rows(_ sql: String, tenant: Tenant? = nil) async throws(KelterError) -> [[String?]] {
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                guard let tenant else { return try connection.textRows(sql) }
                try connection.run("BEGIN; SET LOCAL kelter.tenant_id = '\(tenant.rowID)'")
                do throws(DatabaseFailure) {
                    let rows = try connection.textRows(sql)
                    try connection.run("COMMIT")
                    return rows
                } catch {
                    connection.rollBack()
                    throw error
                }
            }
        }
    }
}
