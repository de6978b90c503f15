package import KelterModel

/// One numbered change of a schema: SQL that runs once, in a transaction of its own.
package struct Migration: Sendable, Equatable {
    /// The name in the ledger, such as `users.0001_users`.
    package let name: String
    /// The part before the period.
    package let app: String
    /// The four digits.
    package let number: Int
    /// The text, with unqualified names and without transaction control.
    package let sql: String

    /// Checks name and text.
    ///
    /// - Parameters:
    ///   - name: `<app>.<4 digits>_<name>`.
    ///   - sql: The text; its bytes in UTF-8 are what the ledger's checksum is made of.
    /// - Throws: ``KelterError`` with ``ErrorCode/migrationInvalid``.
    package init(name: String, sql: String) throws(KelterError) {
        guard let parts = Self.parts(of: name) else {
            throw KelterError(
                .migrationInvalid,
                "\"\(shortened(name))\" is no name of a migration.",
                subject: name,
                fix: "Name the file <app>.<4 digits>_<name>.sql with lower-case letters, digits and '_'."
            )
        }
        if let obstacle = SQLStatements.obstacle(in: sql) {
            throw KelterError(
                .migrationInvalid,
                "The migration \(name) contains \(obstacle), but runs inside a transaction of the engine.",
                subject: name,
                fix: "Remove \(obstacle) from it."
            )
        }
        guard !containsNUL(sql) else {
            throw KelterError(
                .migrationInvalid,
                "The migration \(name) contains a NUL byte.",
                subject: name,
                fix: "Remove it."
            )
        }
        self.name = name
        (app, number) = parts
        self.sql = sql
    }

    private static func parts(of name: String) -> (app: String, number: Int)? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, isPlainName(parts[0]) else { return nil }
        let rest = parts[1].split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard rest.count == 2, rest[0].utf8.count == 4, rest[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(rest[0]), !rest[1].isEmpty, rest[1].utf8.allSatisfy(isNameByte)
        else { return nil }
        return (String(parts[0]), number)
    }

    /// Whether a text can be an app: lower-case letters, digits and `_`, beginning with a letter.
    static func isPlainName(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, (0x61...0x7A).contains(first), text.utf8.count <= 63 else { return false }
        return text.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
    }
}

extension Migration: Comparable {
    /// Migrations run by number, those of the same number by app.
    package static func < (left: Self, right: Self) -> Bool {
        (left.number, left.app, left.name) < (right.number, right.app, right.name)
    }
}

/// A migration in a schema's ledger.
package struct AppliedMigration: Sendable, Equatable {
    package let name: String
    /// How long it ran.
    package let durationMilliseconds: Int
    /// RFC 3339, in UTC.
    package let appliedAt: String
}

/// How far a schema is.
package struct MigrationStatus: Sendable, Equatable {
    /// What the ledger holds, in the order of the set.
    package let applied: [AppliedMigration]
    /// The names of what has not run yet, in order.
    package let pending: [String]
}
