package import KelterModel

/// The name of a schema, checked, and quoted when it is put into a statement.
///
/// The only way an identifier gets into SQL text.
package struct SQLIdentifier: Sendable, Equatable, CustomStringConvertible {
    /// The name without quotes.
    package let name: String

    /// Checks the name of a schema: `^[a-z_][a-z0-9_]{0,62}$`, not beginning with `pg_`.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - subject: The setting or option it comes from.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    package init(schema name: String, subject: String = "RAG_VECTOR_SCHEMA") throws(KelterError) {
        let bytes = name.utf8
        let isLetter: (UInt8) -> Bool = { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") }
        guard (1...63).contains(bytes.count), let first = bytes.first, isLetter(first),
            bytes.allSatisfy({ isLetter($0) || (0x30...0x39).contains($0) }),
            !name.hasPrefix("pg_"), name != "information_schema"
        else {
            throw KelterError(
                .settingInvalid,
                "\"\(shortened(name))\" is not a valid schema name.",
                subject: subject,
                fix: "Use 1 to 63 lower-case letters, digits and '_', not beginning with a digit or 'pg_'."
            )
        }
        self.name = name
    }

    /// The quoted form.
    package var description: String { "\"\(name)\"" }
}
