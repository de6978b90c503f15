package import KelterModel

extension Store {
    /// Looks whether the database is as the runbook demands, and changes nothing.
    ///
    /// A check that cannot run is itself failed with the reason and costs none of the others. Each runs in a read-only
    /// transaction of its own.
    ///
    /// - Parameters:
    ///   - tenants: Whose rows are looked at when row level security binds the connection's role. A role that it does
    ///     not bind sees all rows.
    ///   - options: What is expected.
    ///   - progress: Is told each result as soon as there is one.
    /// - Returns: One result for each check, always in the same order.
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseUnavailable`` or ``ErrorCode/interrupted``.
    package func databaseChecks(
        tenants: [Tenant],
        options: CheckOptions = .init(),
        progress: (CheckResult) -> Void = { _ in }
    ) async throws(KelterError) -> [CheckResult] {
        let scope = CheckScope(
            schema: schema,
            dimension: configuration.dimension,
            tenants: tenants.map(\.rowID),
            options: options
        )
        var results: [CheckResult] = []
        for check in DatabaseCheck.all {
            let finding = try await finding(of: check, in: scope)
            let result = CheckResult(check.name, finding.status, finding.detail, fix: finding.fix)
            progress(result)
            results.append(result)
        }
        return results
    }

    private func finding(of check: DatabaseCheck, in scope: CheckScope) async throws(KelterError) -> Finding {
        let allowed = scope.options.statementTimeout.components.seconds * 1000
        let timeout = max(configuration.statementTimeoutMilliseconds, allowed)
        do throws(DatabaseFailure) {
            return try await registryTransaction { connection throws(DatabaseFailure) in
                try connection.run("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout TO \(timeout)")
                return try check.run(connection, scope)
            }
        } catch {
            let told = error.error(place: place)
            switch error {
            case .connection, .interrupted: throw told
            case .server, .finding:
                let reason = told.message.hasSuffix(".") ? String(told.message.dropLast()) : told.message
                return .failed(
                    "cannot be checked: " + reason,
                    fix: told.fix ?? "Repair what failed before it, then run 'kelter check' again."
                )
            }
        }
    }
}
