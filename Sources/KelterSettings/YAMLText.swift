import KelterModel
import Yams

/// What is wrong with a YAML text.
struct YAMLFailure: Error {
    let message: String
    /// The line, from 1; `nil` when it is not known.
    let line: Int?
}

/// One mapping of a YAML text.
struct YAMLMapping {
    struct Member {
        let name: String
        let value: Node
        /// The line of the name, from 1.
        let line: Int
    }

    /// The members in their order, each name once.
    private(set) var members: [Member] = []

    init(_ mapping: Node.Mapping) throws(YAMLFailure) {
        var names: Set<String> = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                throw YAMLFailure(message: "A key is not a single value.", line: key.mark?.line)
            }
            // Yams itself lets a key pass that is written once with and once without quotes.
            guard names.insert(name).inserted else {
                throw YAMLFailure(message: "The key \"\(shortened(name))\" is given twice.", line: key.mark?.line)
            }
            members.append(Member(name: name, value: value, line: key.mark?.line ?? 0))
        }
    }
}

/// The root of a YAML text with one document; `nil` for a text that says nothing.
func composedYAML(_ text: String) throws(YAMLFailure) -> Node? {
    do {
        let root = try Yams.compose(yaml: text)
        return root?.isNull == true ? nil : root
    } catch let error as YamlError {
        throw YAMLFailure(error)
    } catch {
        throw YAMLFailure(message: "The file is not valid YAML.", line: nil)
    }
}

extension Node {
    /// Whether this is YAML's null: nothing at all, `~` or `null` without quotes.
    var isNull: Bool {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}

extension YAMLFailure {
    fileprivate init(_ error: YamlError) {
        var message = "The file is not valid YAML."
        switch error {
        case .duplicatedKeysInMapping(let duplicates, let context):
            if let name = duplicates.first { message = "The key \"\(shortened(name))\" is given twice." }
            line = context.mark.line
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            line = mark.line
        case .reader(_, let offset?, _, let text):
            line = 1 + text.prefix(offset).count { $0 == "\n" || $0 == "\r\n" }
        default:
            line = nil
        }
        self.message = message
    }
}
