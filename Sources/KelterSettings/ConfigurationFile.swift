import KelterModel
import Yams

/// The values of a `kelter.yaml`: one flat mapping from setting names to scalars.
struct ConfigurationFile {
    struct Entry {
        let value: String
        let line: Int
    }

    let path: String
    private(set) var entries: [String: Entry] = [:]

    /// Reads the text of a configuration file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/configurationFileInvalid``, naming file and line.
    init(text: String, path: String) throws(KelterError) {
        self.path = path
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw Self.invalid(path, "The file is not valid YAML.", line: (error as? YamlError)?.line)
        }
        guard let root, root != Node("") else { return }
        guard let mapping = root.mapping else {
            throw Self.invalid(path, "The file is not a mapping of settings to values.", line: root.mark?.line)
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string, let scalar = value.scalar else {
                throw Self.invalid(path, "A setting is not a single value.", line: key.mark?.line)
            }
            entries[name] = Entry(value: scalar.string, line: value.mark?.line ?? 0)
        }
    }

    /// Refuses names that no setting has, so that a typing error is not silently without effect.
    func refuseUnknown(known: Set<String>) throws(KelterError) {
        for (name, entry) in entries.sorted(by: { $0.value.line < $1.value.line }) where !known.contains(name) {
            throw Self.invalid(path, "\"\(shortened(name))\" is not a setting of Kelter.", line: entry.line)
        }
    }

    private static func invalid(_ path: String, _ message: String, line: Int?) -> KelterError {
        KelterError(
            .configurationFileInvalid,
            message,
            subject: line.map { "\(path):\($0)" } ?? path,
            fix: "Correct the file, or name another one with KELTER_CONFIG."
        )
    }
}

extension YamlError {
    fileprivate var line: Int? {
        switch self {
        case .reader(_, _, _, _): nil
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        default: nil
        }
    }
}
