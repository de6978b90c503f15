/// What runs on the other side.
package struct ServerInfo: Sendable, Equatable {
    /// PostgreSQL's version, such as `18.6`.
    package let version: String
    /// The installed version of pgvector in this database, such as `0.8.6`; `nil` when it is not installed.
    package let pgvector: String?

    /// Whether filtered index scans can go on until enough rows match: pgvector 0.8.0 and newer.
    var hasIterativeScan: Bool {
        guard let pgvector else { return false }
        let parts = pgvector.split(separator: ".").compactMap { Int($0) }
        return parts.count >= 2 && (parts[0], parts[1]) >= (0, 8)
    }
}
