/// A failure a user can act on: one sentence, a stable code, what it is about and the fix.
///
/// The texts never carry document text, vectors or keys, so that they may go to logs and replies as they are.
package struct KelterError: Error, Sendable, Equatable {
    /// The stable code.
    package let code: ErrorCode
    /// One sentence that says what is wrong, ending with a period.
    package let message: String
    /// The file, setting, flag or service it is about.
    package let subject: String?
    /// What the user can do about it, ending with a period.
    package let fix: String?

    package init(_ code: ErrorCode, _ message: String, subject: String? = nil, fix: String? = nil) {
        self.code = code
        self.message = message
        self.subject = subject
        self.fix = fix
    }

    /// The same failure, about something named by the caller when the thrower could not know it.
    package func about(_ subject: String) -> Self {
        Self(code, message, subject: self.subject ?? subject, fix: fix)
    }

    /// The message with its subject and the fix, without the code: the `detail` of a JSON error.
    package var detail: String {
        var text = subject.map { "\($0): \(message)" } ?? message
        if let fix { text += " " + fix }
        return text
    }
}

extension KelterError: CustomStringConvertible {
    package var description: String { "\(code): \(detail)" }
}
