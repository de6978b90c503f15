/// What one check of the database found.
package struct CheckResult: Sendable, Equatable {
    /// How a check ended.
    package enum Status: String, Sendable {
        case ok
        /// Worth knowing, no reason to stop.
        case warning
        case failed
    }

    /// The check's stable name, such as `collections-key`.
    package let name: String
    package let status: Status
    /// What was found, on one line without a period at the end.
    package let detail: String
    /// What repairs it, commands in single quotes; `nil` when there is nothing to do.
    package let fix: String?

    package init(_ name: String, _ status: Status, _ detail: String, fix: String? = nil) {
        self.name = name
        self.status = status
        self.detail = detail
        self.fix = fix
    }
}

/// The names of the roles in the database, which are shared by all databases of a server.
package struct RoleNames: Sendable, Equatable {
    /// Owns the tables and runs migrations.
    ///
    /// Default `kelter_owner`.
    package var owner: String
    /// Reads and writes rows, bound by row level security, and owns nothing.
    ///
    /// Default `kelter_app`.
    package var app: String
    /// Reads rows, bound by row level security, and owns nothing.
    ///
    /// Default `kelter_read`.
    package var reader: String

    package init(
        owner: String = DatabaseRole.owner.rawValue,
        app: String = DatabaseRole.application.rawValue,
        reader: String = DatabaseRole.reader.rawValue
    ) {
        self.owner = owner
        self.app = app
        self.reader = reader
    }
}

/// What the checks expect and how far they go.
package struct CheckOptions: Sendable {
    /// The parameters the vector index must have.
    package var hnsw: StoreSchema.HNSW
    package var roles: RoleNames
    /// Of a table of vectors with more rows than this, a sample of about this size is measured.
    ///
    /// Default 200,000.
    package var measuredVectors: Int
    /// How long one statement may take; a longer timeout of the store stays.
    ///
    /// Default 120 s.
    package var statementTimeout: Duration

    package init(
        hnsw: StoreSchema.HNSW = .init(),
        roles: RoleNames = .init(),
        measuredVectors: Int = 200_000,
        statementTimeout: Duration = .seconds(120)
    ) {
        self.hnsw = hnsw
        self.roles = roles
        self.measuredVectors = measuredVectors
        self.statementTimeout = statementTimeout
    }
}
