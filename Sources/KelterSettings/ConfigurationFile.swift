import KelterModel
import Yams

/// The values of a `kelter.yaml`: one flat mapping from setting names to scalars.
struct ConfigurationFile {
    struct Entry {
        let value: String
        /// The line of the value, from 1.
        let line: Int
        /// Whether the value is meant as it is written, be it empty.
        let isQuoted: Bool
    }

    let path: String
    private(set) var entries: [String: Entry] = [:]

    /// Reads the text of a configuration file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/configurationFileInvalid``, naming file and line.
    init(text: String, path: String) throws(KelterError) {
        self.path = path
        do throws(YAMLFailure) {
            guard let root = try composedYAML(text) else { return }
            guard let mapping = root.mapping else {
                throw YAMLFailure(
                    message: "The file is not a mapping of settings to values.",
                    line: root.mark?.line
                )
            }
            for member in try YAMLMapping(mapping).members {
                guard let scalar = member.value.scalar else {
                    throw YAMLFailure(message: "A setting is not a single value.", line: member.line)
                }
                entries[member.name] = Entry(
                    value: member.value.isNull ? "" : scalar.string,
                    line: scalar.mark?.line ?? member.line,
                    isQuoted: scalar.style != .plain
                )
            }
        } catch {
            throw Self.invalid(path, error.message, line: error.line)
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
