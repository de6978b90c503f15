import KelterModel
import Yams

/// The text of a `routing.yaml`: vector spaces, profiles and rules, each with its line.
struct RoutingFile {
    /// A vector space with its width.
    struct Space {
        let dimension: Int
        let line: Int
    }

    /// What the file says of a profile; the values are not judged yet.
    struct Profile {
        let name: String
        let path: String
        let line: Int
        let entries: [ProfileKey: ConfigurationFile.Entry]

        /// Where one of the keys is written, else the profile itself.
        func place(_ key: ProfileKey? = nil) -> String {
            "\(path):\(key.flatMap { entries[$0]?.line } ?? line)"
        }
    }

    let path: String
    /// The spaces by their schemas; `nil` when the file has no such section.
    private(set) var spaces: [String: Space]?
    /// In the order of the file.
    private(set) var profiles: [Profile] = []
    /// In the order of the file.
    private(set) var rules: [RoutingRule] = []

    /// Reads the text of a routing file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/routeInvalid``, naming file and line.
    init(text: String, path: String) throws(KelterError) {
        self.path = path
        let root: Node?
        do throws(YAMLFailure) {
            root = try composedYAML(text)
        } catch {
            throw invalid(error.message, line: error.line)
        }
        guard let root else { return }
        for section in try members(root, of: "The file", line: 1) where !section.value.isNull {
            switch section.name {
            case "vector_spaces": spaces = try readSpaces(section)
            case "profiles": profiles = try readProfiles(section)
            case "rules": rules = try readRules(section)
            default: throw unknown(section, "a section of the file; there are vector_spaces, profiles and rules")
            }
        }
    }

    private func readSpaces(_ section: YAMLMapping.Member) throws(KelterError) -> [String: Space] {
        var spaces: [String: Space] = [:]
        for member in try members(section.value, of: section.name, line: section.line) {
            guard isSchemaName(member.name) else {
                throw invalid(
                    "The vector space \"\(shortened(member.name))\" cannot be a schema.",
                    line: member.line,
                    fix: "Use a lower-case SQL name such as rag_legal."
                )
            }
            for key in try members(member.value, of: member.name, line: member.line) {
                guard key.name == "dimension" else { throw unknown(key, "a key of a vector space") }
                let entry = try entry(key)
                let allowed = 1...EmbeddingProfile.largestDimension
                guard let dimension = Int(trimmed(entry.value)), allowed.contains(dimension) else {
                    throw invalid(
                        "The value \"\(shortened(entry.value))\" of dimension is not allowed.",
                        line: entry.line,
                        fix: "Use a whole number from 1 to \(allowed.upperBound)."
                    )
                }
                spaces[member.name] = Space(dimension: dimension, line: member.line)
            }
            guard spaces[member.name] != nil else {
                throw invalid(
                    "The vector space \"\(member.name)\" has no dimension.",
                    line: member.line,
                    fix: "Add the width of its vectors, such as {dimension: 1024}."
                )
            }
        }
        return spaces
    }

    private func readProfiles(_ section: YAMLMapping.Member) throws(KelterError) -> [Profile] {
        var profiles: [Profile] = []
        for member in try members(section.value, of: section.name, line: section.line) {
            guard isName(member.name, maximum: 64, marks: "._-") else {
                throw invalid(
                    "\"\(shortened(member.name))\" cannot be the name of a profile.",
                    line: member.line,
                    fix: "Use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit."
                )
            }
            var entries: [ProfileKey: ConfigurationFile.Entry] = [:]
            for key in try members(member.value, of: "The profile \(member.name)", line: member.line) {
                guard let profileKey = ProfileKey(rawValue: key.name) else { throw unknown(key, "a key of a profile") }
                let entry = try entry(key)
                let isPrefix = profileKey == .passagePrefix || profileKey == .queryPrefix
                guard isPrefix || !trimmed(entry.value).isEmpty else { throw absent(key) }
                entries[profileKey] = entry
            }
            guard entries[.model] != nil else {
                throw invalid(
                    "The profile \"\(member.name)\" has no model.",
                    line: member.line,
                    fix: "Add the alias that the endpoint knows, such as model: text-embedding-3-large."
                )
            }
            guard member.name == EmbeddingProfile.standardName || entries[.vectorSpace] != nil else {
                throw invalid(
                    "The profile \"\(member.name)\" has no vector_space.",
                    line: member.line,
                    fix: "Add the schema that holds its vectors."
                )
            }
            profiles.append(Profile(name: member.name, path: path, line: member.line, entries: entries))
        }
        return profiles
    }

    private func readRules(_ section: YAMLMapping.Member) throws(KelterError) -> [RoutingRule] {
        guard let nodes = section.value.sequence else {
            throw invalid(
                "The value of rules is not a list.",
                line: section.line,
                fix: "Write one rule a line, such as - {profile: legal, doc_class: contract}."
            )
        }
        var rules: [RoutingRule] = []
        for node in nodes {
            let line = node.mark?.line ?? section.line
            var profile: String?
            var values: [RouteKey: [String]] = [:]
            for key in try members(node, of: "A rule", line: line) {
                if key.name == "profile" {
                    profile = trimmed(try entry(key).value)
                } else if let routeKey = RouteKey(rawValue: key.name) {
                    values[routeKey] = try list(key)
                } else {
                    throw unknown(key, "a key of a rule")
                }
            }
            guard let profile, !profile.isEmpty else {
                throw invalid(
                    "The rule has no profile.",
                    line: line,
                    fix: "Add the name of a profile, such as profile: legal."
                )
            }
            rules.append(try RoutingRule(profile: profile, values: values, place: "\(path):\(line)"))
        }
        return rules
    }
}

extension RoutingFile {
    private func members(_ node: Node, of subject: String, line: Int) throws(KelterError) -> [YAMLMapping.Member] {
        guard let mapping = node.mapping else {
            throw invalid("\(subject) is not a mapping of keys to values.", line: node.mark?.line ?? line)
        }
        do throws(YAMLFailure) {
            return try YAMLMapping(mapping).members
        } catch {
            throw invalid(error.message, line: error.line)
        }
    }

    /// A single value.
    private func entry(_ member: YAMLMapping.Member) throws(KelterError) -> ConfigurationFile.Entry {
        guard let scalar = member.value.scalar else {
            throw invalid("The value of \(member.name) is not a single value.", line: member.line)
        }
        guard !member.value.isNull else { throw absent(member) }
        guard !scalar.string.utf8.contains(0) else {
            throw invalid("The value of \(member.name) contains NUL.", line: member.line)
        }
        return ConfigurationFile.Entry(
            value: scalar.string,
            line: member.line,
            isQuoted: scalar.style != .plain
        )
    }

    /// A single value or a list of them.
    private func list(_ member: YAMLMapping.Member) throws(KelterError) -> [String] {
        guard let nodes = member.value.sequence else { return [try entry(member).value] }
        var values: [String] = []
        for node in nodes {
            let line = node.mark?.line ?? member.line
            values.append(try entry(YAMLMapping.Member(name: member.name, value: node, line: line)).value)
        }
        return values
    }

    private func absent(_ member: YAMLMapping.Member) -> KelterError {
        invalid("The key \(member.name) has no value.", line: member.line, fix: "Give a value or leave the key out.")
    }

    private func unknown(_ member: YAMLMapping.Member, _ kind: String) -> KelterError {
        invalid("\"\(shortened(member.name))\" is not \(kind).", line: member.line)
    }

    private func invalid(
        _ message: String,
        line: Int?,
        fix: String = "Correct the file, or name another one with RAG_ROUTING_RULES_PATH."
    ) -> KelterError {
        KelterError(.routeInvalid, message, subject: line.map { "\(path):\($0)" } ?? path, fix: fix)
    }
}
