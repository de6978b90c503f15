import KelterModel

/// Reads settings one by one from flags, environment, file and defaults, and remembers where each came from.
struct SettingsReader {
    /// The settings whose white space counts: the prefix of a text often ends in a space.
    private static let keptAsWritten: Set<String> = [ProfileKey.passagePrefix.setting, ProfileKey.queryPrefix.setting]

    let flags: [String: String]
    let environment: [String: String]
    let file: ConfigurationFile?
    /// A profile of the routing file, whose keys are settings under other names.
    let profile: RoutingFile.Profile?
    private(set) var explained: [ExplainedSetting] = []

    init(
        flags: [String: String] = [:],
        environment: [String: String] = [:],
        file: ConfigurationFile? = nil,
        profile: RoutingFile.Profile? = nil
    ) {
        self.flags = flags
        self.environment = environment
        self.file = file
        self.profile = profile
    }

    /// A text; blank values count as absent.
    ///
    /// White space at the ends is dropped, except from a prefix: its value is kept as it is written, and a quoted one
    /// in a file may be empty.
    mutating func text(_ names: String..., builtIn: String? = nil, mask: (String) -> String = { $0 }) -> String? {
        let found = lookUp(names) ?? profileValue(names[0]) ?? (builtIn, .builtIn)
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

    /// A number within a range, `nil` when there is none.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    mutating func number(_ name: String, in range: ClosedRange<Double>) throws(KelterError) -> Double? {
        guard let text = text(name) else { return nil }
        guard let value = Double(text), range.contains(value) else {
            throw invalid(name, allowed: "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The failure of the setting read last, with its value and what is allowed.
    ///
    /// A value of the routing file is called by its key and line there.
    func invalid(_ name: String, allowed: String) -> KelterError {
        let setting = explained.last { $0.name == name }
        let value = shortened(setting?.value ?? "")
        if let profile, let key = ProfileKey(setting: name), let origin = setting?.origin,
            case .file(let path, _) = origin,
            path == profile.path
        {
            return KelterError(
                .routeInvalid,
                "The value \"\(value)\" of \(key.rawValue) is not allowed.",
                subject: origin.description,
                fix: "Use \(allowed)."
            )
        }
        let origin = setting.map { " (from \($0.origin))" } ?? ""
        return KelterError(
            .settingInvalid,
            "The value \"\(value)\"\(origin) is not allowed.",
            subject: name,
            fix: "Use \(allowed)."
        )
    }

    /// Refuses a setting that is given, but not with the value that the routing file's profile gives it: the two texts
    /// must be equal.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``, naming the setting.
    func refuseContradictions() throws(KelterError) {
        guard let profile else { return }
        for key in ProfileKey.allCases {
            guard let own = profileValue(key.setting), let given = lookUp([key.setting]), given.0 != own.0 else {
                continue
            }
            throw KelterError(
                .settingInvalid,
                "The value \"\(shortened(given.0 ?? ""))\" (from \(given.1)) contradicts \"\(shortened(own.0 ?? ""))\","
                    + " the \(key.rawValue) of the profile \"\(profile.name)\" in \(own.1).",
                subject: key.setting,
                fix: "Remove one of the two."
            )
        }
    }

    /// The strongest origin decides; among several names of one setting the first that has a value there.
    private func lookUp(_ names: [String]) -> (String?, SettingOrigin)? {
        for name in names {
            if let value = flags[name] { return (value, .flag) }
        }
        for name in names {
            if let value = environment[name], !trimmed(value).isEmpty {
                return (cleaned(value, of: name), .environment)
            }
        }
        for name in names {
            if let file, let entry = file.entries[name], let value = value(of: entry, name) {
                return (value, .file(path: file.path, line: entry.line))
            }
        }
        return nil
    }

    private func profileValue(_ name: String) -> (String?, SettingOrigin)? {
        guard let profile, let key = ProfileKey(setting: name), let entry = profile.entries[key],
            let value = value(of: entry, name)
        else { return nil }
        return (value, .file(path: profile.path, line: entry.line))
    }

    private func value(of entry: ConfigurationFile.Entry, _ name: String) -> String? {
        let mayBeBlank = entry.isQuoted && Self.keptAsWritten.contains(name)
        return mayBeBlank || !trimmed(entry.value).isEmpty ? cleaned(entry.value, of: name) : nil
    }

    private func cleaned(_ value: String, of name: String) -> String {
        Self.keptAsWritten.contains(name) ? value : trimmed(value)
    }
}
