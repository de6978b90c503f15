/// A JSON value (RFC 8259) that can be written back as it was read.
///
/// Objects keep the order of their members and numbers their literal text, so that unknown keys of a sidecar reach
/// `documents.metadata` unharmed, whatever their precision.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// The literal as it stands in the document, such as `12345678901234567890` or `1.0`.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([(name: String, value: JSONValue)])
}

extension JSONValue {
    /// A number from an integer.
    package static func int(_ value: some BinaryInteger) -> JSONValue {
        .number(String(value))
    }

    /// A number from a floating-point value; `null` when it is not finite, which JSON cannot say.
    package static func double(_ value: Double) -> JSONValue {
        value.isFinite
            ? .number(value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)") : .null
    }

    /// A string, or `null` for `nil`.
    package static func optional(_ value: String?) -> JSONValue {
        value.map { .string($0) } ?? .null
    }

    /// The member of an object with this name; `nil` for another kind of value.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The item of an array at this index; `nil` when there is none.
    package subscript(index: Int) -> JSONValue? {
        guard case .array(let items) = self, items.indices.contains(index) else { return nil }
        return items[index]
    }

    /// An object with another member, which takes the place of one with its name; any other kind of value stays as it is.
    package func adding(_ name: String, _ value: JSONValue) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.name != name } + [(name, value)])
    }

    package var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    package var int: Int? {
        guard case .number(let literal) = self else { return nil }
        return Int(literal)
    }

    package var double: Double? {
        guard case .number(let literal) = self else { return nil }
        return Double(literal)
    }

    package var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    package var array: [JSONValue]? {
        guard case .array(let items) = self else { return nil }
        return items
    }

    package var members: [(name: String, value: JSONValue)]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
}

extension JSONValue: Equatable {
    /// Equality of content: members of objects in any order, numbers by literal.
    package static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)):
            a.count == b.count
                && a.sorted { $0.name < $1.name }.elementsEqual(b.sorted { $0.name < $1.name }) {
                    $0.name == $1.name && $0.value == $1.value
                }
        default: false
        }
    }
}
