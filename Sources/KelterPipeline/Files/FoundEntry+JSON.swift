import KelterModel

/// A found entry as the ledger keeps it, so that another process can work on it: `{path}` of a file, with `sidecar` where
/// it has one and `at` where it is no file of its own, `{path, skipped}` with the reason, or
/// `{path, failed: {code, message, subject, fix}}`. Paths are relative to the root of the batch.
extension FoundEntry {
    /// The path relative to the root of the batch.
    var relativePath: String {
        switch self {
        case .file(let file): file.relativePath
        case .skipped(let path, _), .failed(let path, _): path
        }
    }

    /// The entry as JSON, with its paths relative to the root of the batch.
    func json(root: String) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [("path", .string(relativePath))]
        switch self {
        case .file(let file):
            if case .file = file.location {} else { members.append(("at", file.location.json(root: root))) }
            if let expected = file.expected { members.append(("expect", expected.json)) }
            if let sidecar = file.sidecar { members.append(("sidecar", sidecar.json(root: root))) }
        case .skipped(_, let reason):
            members.append(("skipped", .string(reason.rawValue)))
        case .failed(_, let error):
            members.append(
                (
                    "failed",
                    .object([
                        ("code", .string(error.code.rawValue)), ("message", .string(error.message)),
                        ("subject", .optional(error.subject)), ("fix", .optional(error.fix)),
                    ])
                )
            )
        }
        return .object(members)
    }

    /// Reads what ``json(root:)`` made; `nil` for anything else.
    init?(_ json: JSONValue, root: String) {
        guard let path = json["path"]?.string else { return nil }
        if let reason = json["skipped"]?.string {
            guard let reason = SkipReason(rawValue: reason) else { return nil }
            self = .skipped(relativePath: path, reason: reason)
        } else if let failure = json["failed"] {
            guard let code = failure["code"]?.string, let message = failure["message"]?.string else { return nil }
            let error = KelterError(
                ErrorCode(code),
                message,
                subject: failure["subject"]?.string,
                fix: failure["fix"]?.string
            )
            self = .failed(relativePath: path, error)
        } else {
            guard let location = ContentLocation(json["at"] ?? json, root: root) else { return nil }
            var sidecar: ContentLocation?
            if let value = json["sidecar"] {
                sidecar = ContentLocation(value, root: root)
                if sidecar == nil { return nil }
            }
            var file = FoundFile(location: location, relativePath: path, sidecar: sidecar)
            if let expected = json["expect"] {
                file.expected = PlannedState(expected)
                if file.expected == nil { return nil }
            }
            self = .file(file)
        }
    }
}
