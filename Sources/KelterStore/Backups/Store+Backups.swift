package import KelterModel

/// A recorded backup.
package struct BackupRecord: Sendable, Equatable {
    /// How it was made: `pg_dump`, or `external` for one that kelter was told about.
    package let kind: String
    /// A file, or words such as the name of a snapshot.
    package let location: String
    /// Its size; `nil` when it is not known.
    package let bytes: Int?
    /// RFC 3339, in UTC.
    package let takenAt: String
    /// Its age by the database's clock, in seconds.
    package let age: Int
}

extension Store {
    /// Records a backup that has been made.
    ///
    /// - Parameters:
    ///   - kind: How it was made.
    ///   - location: Where it is.
    ///   - bytes: Its size.
    ///   - seconds: How long ago it was begun: what came later is not in it.
    /// - Throws: ``KelterError`` of the database.
    package func recordBackup(
        kind: String,
        location: String,
        bytes: Int?,
        begun seconds: Int
    ) async throws(KelterError) {
        _ = try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                try connection.execute(
                    """
                    INSERT INTO public.backups (id, kind, location, bytes, server_version, taken_at)
                    VALUES (gen_random_uuid(), $1, $2, $3::text::bigint, current_setting('server_version'),
                        now() - make_interval(secs => $4::bigint))
                    """,
                    [.text(kind), .text(location), .text(bytes.map(String.init)), .int(seconds)]
                )
            }
        }
    }

    /// Whether there is a table to record backups in.
    package func canRecordBackups() async throws(KelterError) -> Bool {
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.hasTable("public.backups")
            }
        }
    }

    /// The newest recorded backup; `nil` when there is none, or no table to record one in.
    package func latestBackup() async throws(KelterError) -> BackupRecord? {
        try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                guard try connection.hasTable("public.backups") else {
                    return nil
                }
                let rows = try connection.query(
                    """
                    SELECT kind, location, bytes, \(Self.timestamp("taken_at")),
                        greatest(0, extract(epoch FROM now() - taken_at))::bigint
                    FROM public.backups ORDER BY taken_at DESC LIMIT 1
                    """
                )
                guard rows.count > 0 else { return nil }
                return BackupRecord(
                    kind: rows.text(0, 0) ?? "",
                    location: rows.text(0, 1) ?? "",
                    bytes: rows.int(0, 2),
                    takenAt: rows.text(0, 3) ?? "",
                    age: rows.int(0, 4) ?? .max
                )
            }
        }
    }

    /// Refuses to go on without a recent backup; the gate of changes that cannot be taken back.
    ///
    /// - Parameter seconds: How old it may be.
    /// - Throws: ``KelterError`` with ``ErrorCode/backupRequired``.
    package func requireBackup(within seconds: Int) async throws(KelterError) {
        let latest = try await latestBackup()
        if let latest, latest.age <= seconds { return }
        throw KelterError(
            .backupRequired,
            latest.map { "The newest recorded backup is of \($0.takenAt), which is too old." }
                ?? "No backup is recorded.",
            subject: "--require-backup-within",
            fix: "Run 'kelter backup', or record one that was made elsewhere with 'kelter backup --record NAME'."
        )
    }

    /// Whether this role sees the rows of every tenant, as a complete dump needs it.
    package func seesAllRows() async throws(KelterError) -> Bool {
        try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.query(
                    "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
                ).bool(0, 0) == true
            }
        }
    }

    /// The parts of an address as a program's arguments and environment, so that no password stands on a command line.
    ///
    /// - Parameter url: The address.
    /// - Returns: A `key='value'` string without password, and the password.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    package static func separatedPassword(
        _ url: String
    ) throws(KelterError) -> (connection: String, password: String?) {
        var parameters = try ServerAddress.parameters(url)
        let password = parameters.removeValue(forKey: "password")
        let quoted = parameters.sorted { $0.key < $1.key }.map { key, value in
            "\(key)='\(value.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
        }
        return (quoted.joined(separator: " "), password)
    }
}
