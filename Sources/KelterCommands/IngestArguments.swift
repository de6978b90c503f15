import ArgumentParser
import Glibc
import KelterModel
import KelterPipeline

/// What a batch was asked to do, in the form that is kept in the ledger for `--resume`.
struct IngestArguments {
    private let json: JSONValue
    private let resume: RowID?

    /// Takes the arguments of a command line, with paths made absolute.
    ///
    /// - Throws: ``KelterError`` of an argument.
    init(_ command: IngestCommand) throws(KelterError) {
        var resume: RowID?
        if let text = command.resume {
            guard let run = RowID(text) else {
                throw KelterError(
                    .usage,
                    "\"\(shortened(text))\" is not a run.",
                    subject: "--resume",
                    fix: "Give a run_id."
                )
            }
            resume = run
        }
        let listed =
            try command.filesFrom.map { (source) throws(KelterError) in
                try listedPaths(from: source, separator: command.isNullSeparated ? 0 : UInt8(ascii: "\n"))
            } ?? []
        if let apply = command.apply {
            json = try Self.arguments(of: apply, command)
            self.resume = nil
            return
        }
        guard resume != nil || !command.paths.isEmpty || command.filesFrom != nil else {
            throw KelterError(.usage, "There is nothing to ingest.", subject: "PATH", fix: "Name files or directories.")
        }
        let sync = command.sync || command.watch
        guard !sync || command.filesFrom == nil && command.paths.allSatisfy(Self.saysWhatIsGone) else {
            throw KelterError(
                .usage,
                "Files, lists and patterns do not say which files are gone.",
                subject: command.watch ? "--watch" : "--sync",
                fix: "Give the directory instead."
            )
        }
        if command.watch, let bucket = command.paths.first(where: S3Location.isOne) {
            throw KelterError(
                .usage,
                "A bucket is not watched.",
                subject: bucket,
                fix: "Repeat 'kelter ingest --sync' from time to time: only what has changed is read."
            )
        }
        self.resume = resume
        let inputs = try command.scope.inputs()
        // Checked before anything starts; the rule itself decides again with each sidecar.
        _ = try CollectionScope.resolve(inputs)
        json = .object([
            (
                "paths",
                .array(try command.paths.map { (path) throws(KelterError) in .string(try Self.meaning(of: path)) })
            ),
            ("listed", .array(listed.map { .string($0) })),
            ("tenant", .string(command.caller.tenant)),
            ("case", .string(command.caller.caseID)),
            ("schema", .string(command.caller.schema)),
            ("collection_ids", inputs.list ?? .null),
            ("collection_id", inputs.body ?? .null),
            ("headers", .array(inputs.headers.map { .array([.string($0.name), .string($0.value)]) })),
            ("include", .array(command.include.map { .string($0) })),
            ("exclude", .array(command.exclude.map { .string($0) })),
            ("profile", .optional(command.profile)),
            ("sync", .bool(sync)),
            ("max_delete", .double(try Self.share(command.maxDelete))),
            ("trust_mtime", command.trustMtime.map { .bool($0) } ?? .null),
            ("plan", .bool(command.plan)),
        ])
    }

    /// An input that means the same everywhere.
    private static func meaning(of input: String) throws(KelterError) -> String {
        guard S3Location.isOne(input) else { return try absoluteInput(input) }
        _ = try S3Location(input)
        return input
    }

    /// Whether what is not found below an input is gone.
    private static func saysWhatIsGone(_ input: String) -> Bool {
        S3Location.isOne(input) ? (try? S3Location(input).isDirectory) == true : isDirectory(input)
    }

    /// The arguments of a plan, which is carried out instead of made.
    private static func arguments(of plan: String, _ command: IngestCommand) throws(KelterError) -> JSONValue {
        guard command.paths.isEmpty, command.filesFrom == nil, command.resume == nil, !command.plan else {
            throw KelterError(
                .usage,
                "A plan names its files itself.",
                subject: "--apply",
                fix: "Give neither paths nor --files-from, --plan or --resume beside it."
            )
        }
        let path = try resolvedPath(plan)
        guard case .object(let members) = try PlanWalk(path).arguments else { return .null }
        return .object(members.filter { $0.name != "plan" } + [("apply", .string(path))])
    }

    /// Takes the arguments of an earlier run from the ledger.
    init(_ json: JSONValue) {
        self.json = json
        resume = nil
    }

    /// The request these arguments stand for.
    ///
    /// - Parameter run: The run to resume, when the arguments come from the ledger.
    /// - Returns: The request.
    /// - Throws: ``KelterError`` of tenant, case or schema.
    func request(resuming run: RowID? = nil) throws(KelterError) -> IngestRequest {
        let caller = Caller(
            tenant: try Tenant(text("tenant")),
            caseID: try CaseID(text("case")),
            scope: ScopeInputs(
                list: present("collection_ids"),
                body: present("collection_id"),
                headers: (json["headers"]?.array ?? []).compactMap { header in
                    guard let name = header[0]?.string, let value = header[1]?.string else { return nil }
                    return (name, value)
                }
            )
        )
        try checkSchema(text("schema"))
        return IngestRequest(
            caller: caller,
            inputs: texts("paths"),
            listed: texts("listed"),
            filter: GlobFilter(include: texts("include"), exclude: texts("exclude")),
            profile: json["profile"]?.string,
            sync: json["sync"]?.bool ?? false,
            maximumDeletedShare: json["max_delete"]?.double ?? 0.1,
            trustsStamps: json["trust_mtime"]?.bool
                ?? (texts("paths") + texts("listed").prefix(1)).allSatisfy {
                    S3Location.isOne($0) || isLocalFileSystem($0)
                },
            plan: json["plan"]?.bool ?? false,
            apply: json["apply"]?.string,
            resume: run ?? resume,
            root: json["root"]?.string,
            arguments: json
        )
    }

    private func text(_ name: String) -> String { json[name]?.string ?? "" }
    private func texts(_ name: String) -> [String] { json[name]?.array?.compactMap(\.string) ?? [] }
    private func present(_ name: String) -> JSONValue? { json[name] == .null ? nil : json[name] }

    private static func share(_ text: String) throws(KelterError) -> Double {
        let number = text.hasSuffix("%") ? String(text.dropLast()) : text
        guard let percent = Double(number), (0...100).contains(percent) else {
            throw KelterError(
                .usage,
                "\"\(shortened(text))\" is not a percentage.",
                subject: "--max-delete",
                fix: "Give a number from 0% to 100%."
            )
        }
        return percent / 100
    }
}

/// The number of processors this process may use.
func availableCores() -> Int {
    max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
