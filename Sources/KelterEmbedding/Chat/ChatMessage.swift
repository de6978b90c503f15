/// One message of a conversation.
package struct ChatMessage: Sendable, Equatable {
    /// Who speaks.
    package enum Role: String, Sendable {
        case system, user
    }

    package var role: Role
    package var text: String

    package init(_ role: Role, _ text: String) {
        self.role = role
        self.text = text
    }
}
