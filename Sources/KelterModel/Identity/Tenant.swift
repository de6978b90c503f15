/// The hard isolation boundary: every store call takes one, none is ambient.
package struct Tenant: Hashable, Sendable {
    /// The key as the caller wrote it, trimmed.
    package let key: String
    /// The value of every `tenant_id` column: the key itself when it is a UUID, else the version 5 UUID of
    /// `"tenant:" + lowercased key` in the URL namespace; SPEC section 1.
    package let rowID: RowID

    /// Validates a tenant key: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$` after trimming.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidTenant``.
    package init(_ text: String) throws(KelterError) {
        let key = trimmed(text)
        guard isName(key, maximum: 64, marks: "._-") else {
            throw KelterError(
                .invalidTenant,
                "The tenant \"\(shortened(key))\" is not a valid tenant key.",
                fix: "Use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit."
            )
        }
        self.key = key
        rowID = RowID(key) ?? .version5(namespace: .namespaceURL, name: "tenant:" + lowercasedASCII(key))
    }
}

/// The business context of a request.
package struct CaseID: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Validates a case identifier: `^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$` after trimming.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidCase``.
    package init(_ text: String) throws(KelterError) {
        let value = trimmed(text)
        guard isName(value, maximum: 128, marks: "._:-") else {
            throw KelterError(
                .invalidCase,
                "The case \"\(shortened(value))\" is not a valid case identifier.",
                fix: "Use 1 to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit."
            )
        }
        description = value
    }
}
