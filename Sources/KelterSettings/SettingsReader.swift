import KelterModel

/// Reads settings one by one from flags, environment, file and defaults, and remembers where each came from.
struct SettingsReader {
    let flags: [String: String]
    let environment: [String: String]
    let file: ConfigurationFile?
    private(set) var explained: [ExplainedSetting] = []

    init(flags: [String: String], environment: [String: String], file: ConfigurationFile?) {
        self.flags = flags
        self.environment = environment
        self.file = file
    }

    /// A text; blank values count as absent.
    mutating func text(_ names: String..., builtIn: String? = nil, mask: (String) -> String = { $0 }) -> String? {
        let found = lookUp(names) ?? (builtIn, .builtIn)
        explained.append(ExplainedSetting(name: names[0], value: found.0.map(mask), origin: found.1))
        return found.0
    }

    /// A whole number within a range.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    mutating func integer(_ name: String, builtIn: Int, in range: ClosedRange<Int>) throws(KelterError) -> Int {
        guard let text = text(name, builtIn: String(builtIn)), let value = Int(text), range.contains(value) else {
            throw invalid(name, allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A number within a range.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    mutating func number(_ name: String, builtIn: Double, in range: ClosedRange<Double>) throws(KelterError) -> Double {
        guard let text = text(name, builtIn: "\(builtIn)"), let value = Double(text), range.contains(value) else {
            throw invalid(name, allowed: "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The failure of the setting read last, with its value and what is allowed.
    func invalid(_ name: String, allowed: String) -> KelterError {
        let setting = explained.last { $0.name == name }
        let origin = setting.map { " (from \($0.origin))" } ?? ""
        return KelterError(
            .settingInvalid,
            "The value \"\(shortened(setting?.value ?? ""))\"\(origin) is not allowed.",
            subject: name,
            fix: "Use \(allowed)."
        )
    }

    /// The strongest origin decides; among several names of one setting the first that has a value there.
    private func lookUp(_ names: [String]) -> (String?, SettingOrigin)? {
        for name in names {
            if let value = flags[name] { return (value, .flag) }
        }
        for name in names {
            if let value = environment[name].map(trimmed), !value.isEmpty { return (value, .environment) }
        }
        for name in names {
            if let file, let entry = file.entries[name], !trimmed(entry.value).isEmpty {
                return (trimmed(entry.value), .file(path: file.path, line: entry.line))
            }
        }
        return nil
    }
}
