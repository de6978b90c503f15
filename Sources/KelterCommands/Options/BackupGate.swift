import ArgumentParser
import KelterModel
import KelterStore

/// The gate of changes that cannot be taken back.
struct BackupGate: ParsableArguments {
    @Option(
        name: .customLong("require-backup-within"),
        help: ArgumentHelp(
            "Refuse (exit code 4) unless a backup not older than this is recorded, such as 24h.",
            valueName: "duration"
        )
    )
    var requireBackupWithin: String?

    /// Refuses without a recent backup, when that was asked for.
    ///
    /// - Parameter store: The owner's connection.
    /// - Throws: ``KelterError`` with ``ErrorCode/backupRequired``, or ``ErrorCode/usage`` for a malformed duration.
    func check(_ store: Store) async throws(KelterError) {
        guard let text = requireBackupWithin else { return }
        try await store.requireBackup(within: try Self.seconds(text))
    }

    /// A duration such as `90s`, `30m`, `24h` or `7d`, in seconds.
    static func seconds(_ text: String) throws(KelterError) -> Int {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let count = Int(text.dropLast()), count > 0,
            count <= 1_000_000
        else {
            throw KelterError(
                .usage,
                "\"\(shortened(text))\" is no duration.",
                subject: "--require-backup-within",
                fix: "Write it as a number with s, m, h or d, such as 24h."
            )
        }
        return count * unit
    }
}
