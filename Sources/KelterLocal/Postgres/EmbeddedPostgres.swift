package import KelterModel

/// What is known of the embedded PostgreSQL without connecting to it.
package struct PostgresStatus: Sendable, Equatable {
    /// Whether it accepts connections.
    package var running: Bool
    /// The connection string of its superuser, whether it runs or not.
    package var url: String
    package var dataDirectory: String
    /// The version of the installed server, such as `18.6`; `nil` when none is installed.
    package var version: String?
}

/// The embedded PostgreSQL of a Kelter home: a daemon that survives the command that started it.
package struct EmbeddedPostgres: Sendable {
    private let paths: LocalPaths
    private let settings: PostgresSettings

    /// - Parameters:
    ///   - paths: Its home and the parts.
    ///   - settings: The server's settings, written at every start.
    package init(paths: LocalPaths, settings: PostgresSettings = .standard) {
        self.paths = paths
        self.settings = settings
    }

    /// Starts the server, unless it runs; the first time it creates the data directory and the database `kelter`.
    ///
    /// Several processes may call it at once; one starts, the others wait for it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` or ``ErrorCode/serviceStartFailed``.
    @discardableResult
    package func start() async throws(KelterError) -> PostgresStatus {
        if status().running { return status() }
        return try await OwnedThread.run { () throws(KelterError) in
            let cluster = try cluster()
            try withLock { () throws(KelterError) in
                guard !cluster.isReady else { return }
                try cluster.prepare()
                try cluster.start()
            }
            return status()
        }
    }

    /// Stops the server, if it runs, and waits for its end.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it does not stop.
    package func stop() async throws(KelterError) {
        guard PostgresCluster.runningPostmaster(directory: paths.postgresDirectory) != nil else { return }
        try await OwnedThread.run { () throws(KelterError) in
            try withLock { () throws(KelterError) in try cluster().stop() }
        }
    }

    /// Whether the server runs, and where.
    package func status() -> PostgresStatus {
        PostgresStatus(
            running: PostgresCluster.isReady(directory: paths.postgresDirectory),
            url: PostgresCluster.url(directory: paths.postgresDirectory),
            dataDirectory: paths.postgresDirectory + "/data",
            version: (try? PostgresInstallation(parts: paths.parts))?.version
        )
    }

    private func cluster() throws(KelterError) -> PostgresCluster {
        PostgresCluster(
            installation: try PostgresInstallation(parts: paths.parts),
            directory: paths.postgresDirectory,
            settings: settings
        )
    }

    private func withLock(_ body: () throws(KelterError) -> Void) throws(KelterError) {
        try LocalFiles.makeDirectory(paths.runDirectory)
        try FileLock.whileHolding(paths.runDirectory + "/postgres.lock", body)
    }
}
