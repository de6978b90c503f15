import KelterModel

/// What became of one attempt at a transaction.
private enum Attempt<Value: Sendable>: Sendable {
    case committed(Value)
    /// The connection broke after COMMIT was sent: done or not, by the fate of this transaction.
    case unknown(Value, transaction: String)
}

extension Store {
    private static let longestPause = Duration.seconds(2)

    /// Runs the closure in a transaction of the tenant, on one connection.
    ///
    /// The closure is synchronous, so that no transaction can wait for anything but the database. It may run several
    /// times: after a deadlock, a serialisation failure or a lost connection. When the connection breaks during
    /// COMMIT and the closure has set ``Connection/transactionID``, the server is asked what became of it.
    ///
    /// - Parameters:
    ///   - tenant: Whose rows the transaction may see and write.
    ///   - preparing: Runs on the same connection before the transaction begins.
    ///   - body: The statements.
    /// - Returns: What the closure returned in the attempt that was committed.
    /// - Throws: The failure of the last attempt.
    func transaction<Value: Sendable>(
        tenant: Tenant,
        preparing: @Sendable (isolated Connection) throws(DatabaseFailure) -> Void = { _ in },
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async throws(DatabaseFailure) -> Value {
        try await transaction(
            begin: "BEGIN; SET LOCAL kelter.tenant_id = '\(tenant.rowID)'",
            preparing: preparing,
            body
        )
    }

    /// Runs the closure in a transaction without a tenant: for the registry of tenants, which has rows of none.
    ///
    /// Tables with a `tenant_id` show no rows here to a role that row level security binds.
    func registryTransaction<Value: Sendable>(
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async throws(DatabaseFailure) -> Value {
        try await transaction(begin: "BEGIN", preparing: { _ in }, body)
    }

    private func transaction<Value: Sendable>(
        begin: String,
        preparing: @Sendable (isolated Connection) throws(DatabaseFailure) -> Void,
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async throws(DatabaseFailure) -> Value {
        try await retrying { () async throws(DatabaseFailure) in
            let result = await self.pool.withConnection { connection throws(DatabaseFailure) in
                try preparing(connection)
                return try connection.transaction(begin: begin, body)
            }
            switch try result.get() {
            case .committed(let value): return value
            case .unknown(let value, let transaction):
                guard try await self.isCommitted(transaction) else {
                    throw DatabaseFailure.connection("the connection broke during COMMIT")
                }
                return value
            }
        }
    }

    /// Runs the closure on one connection, outside a transaction.
    func session<Value: Sendable>(
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async throws(DatabaseFailure) -> Value {
        try await retrying { () async throws(DatabaseFailure) in
            try await self.pool.withConnection(body).get()
        }
    }

    /// Repeats what a deadlock or a lost connection undid, with growing random waits.
    ///
    /// A database that was there before is waited for as long as ``StoreConfiguration/outagePatience`` says.
    private func retrying<Value: Sendable>(
        _ operation: () async throws(DatabaseFailure) -> Value
    ) async throws(DatabaseFailure) -> Value {
        var attempt = 1
        while true {
            do throws(DatabaseFailure) {
                return try await operation()
            } catch {
                // One outage for all calls: those that come late do not wait anew.
                let isPatient =
                    error.isConnectionLoss && pool.hasServed
                    && ContinuousClock.now < pool.noteLoss() + configuration.outagePatience
                guard isPatient || (error.isTransient || error.isConnectionLoss) && attempt < configuration.attempts
                else { throw error }
            }
            try await pause(attempt)
            attempt += 1
        }
    }

    private func pause(_ attempt: Int) async throws(DatabaseFailure) {
        let longest = min(configuration.retryBaseDelay * (1 << min(attempt - 1, 10)), Self.longestPause)
        do {
            try await Task.sleep(for: longest * Double.random(in: 0.5...1))
        } catch {
            throw .interrupted
        }
    }

    private func isCommitted(_ transaction: String) async throws(DatabaseFailure) -> Bool {
        // A transaction still "in progress" belongs to a server process that has not noticed the break yet.
        for attempt in 1...10 {
            let status = try await session { connection throws(DatabaseFailure) in
                try connection.query("SELECT pg_xact_status($1::text::xid8)", [.text(transaction)]).text(0, 0)
            }
            if status != "in progress" { return status == "committed" }
            try await pause(attempt)
        }
        return false
    }

    /// Runs the closure in a transaction of the tenant and tells its failures as the store's callers see them.
    func tenantCall<Value: Sendable>(
        _ tenant: Tenant,
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) async throws(KelterError) -> Value {
        try await reporting { () async throws(DatabaseFailure) in try await transaction(tenant: tenant, body) }
    }

    /// An SQL expression for a `timestamptz` as RFC 3339 in UTC with milliseconds.
    static func timestamp(_ column: String) -> String {
        #"to_char(\#(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#
    }

    /// Turns the failures of the connection layer into what the store's callers see.
    func reporting<Value>(_ operation: () async throws(DatabaseFailure) -> Value) async throws(KelterError) -> Value {
        do throws(DatabaseFailure) {
            return try await operation()
        } catch {
            throw error.error(place: place)
        }
    }
}

extension Connection {
    fileprivate func transaction<Value: Sendable>(
        begin: String,
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) throws(DatabaseFailure) -> Attempt<Value> {
        transactionID = nil
        try run(begin)
        let value: Value
        do throws(DatabaseFailure) {
            value = try body(self)
        } catch {
            rollBack()
            throw error
        }
        do throws(DatabaseFailure) {
            try run("COMMIT")
        } catch {
            guard error.isConnectionLoss, let transactionID else {
                rollBack()
                throw error
            }
            return .unknown(value, transaction: transactionID)
        }
        return .committed(value)
    }
}
