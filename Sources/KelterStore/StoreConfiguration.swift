/// How the store reaches its database.
package struct StoreConfiguration: Sendable {
    /// A PostgreSQL URL or `key=value` string; it may hold a password and is never printed.
    package var url: String
    /// The schema of the vector space.
    ///
    /// Default `rag`.
    package var schema: String
    /// The schema with the ledger of runs, which a run that fills several spaces has one of.
    ///
    /// Default `nil`: that of ``schema``.
    package var ledgerSchema: String?
    /// The width of the vectors.
    package var dimension: Int
    /// The model whose vectors are written and searched; the first write stamps it on the vector space, and no other is
    /// let in after that.
    ///
    /// Default `nil`: the space's model is not looked at.
    package var model: String?
    /// Connections at most, each with a thread of its own.
    ///
    /// Default 4.
    package var poolSize: Int
    /// How long one statement may take; schema work is not bound by it.
    ///
    /// Default 15 s.
    package var statementTimeout: Duration
    /// How often a transaction is tried when the database deadlocks, restarts or cannot be reached.
    ///
    /// Default 3.
    package var attempts: Int
    /// The longest wait before the second attempt; it doubles with each attempt.
    ///
    /// Default 50 ms.
    package var retryBaseDelay: Duration

    /// How long a database is waited for that was there and is away, as one that is being restarted.
    ///
    /// Default 0: not beyond ``attempts``.
    package var outagePatience: Duration

    package init(
        url: String,
        schema: String = "rag",
        ledgerSchema: String? = nil,
        dimension: Int,
        model: String? = nil,
        poolSize: Int = 4,
        statementTimeout: Duration = .milliseconds(15_000),
        attempts: Int = 3,
        retryBaseDelay: Duration = .milliseconds(50),
        outagePatience: Duration = .zero
    ) {
        self.url = url
        self.schema = schema
        self.ledgerSchema = ledgerSchema
        self.dimension = dimension
        self.model = model
        self.poolSize = poolSize
        self.statementTimeout = statementTimeout
        self.attempts = attempts
        self.retryBaseDelay = retryBaseDelay
        self.outagePatience = outagePatience
    }

    /// The statement timeout in PostgreSQL's unit; 0 would mean none and is never given by accident.
    var statementTimeoutMilliseconds: Int64 {
        let parts = statementTimeout.components
        return max(1, parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000)
    }
}
