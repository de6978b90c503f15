import KelterModel
import KelterStore

/// Some inputs of a batch, to be worked on together.
struct InputPart: Sendable {
    /// By what its holder knows it.
    var number = 0
    /// This process's right to them; `nil` where no ledger is kept.
    let lease: PartLease?
    let entries: [FoundEntry]
    /// How often an input has been worked on before, by path; those of a first attempt are left out.
    var attempts: [String: Int] = [:]
    /// How many items an earlier attempt has recorded, by path.
    let recorded: [String: Int]

    /// Where an input of the part stands.
    func place(of path: String) -> BatchPlace {
        BatchPlace(path: path, lease: lease, attempts: attempts[path] ?? 1)
    }
}

/// Where a process gets the inputs of a batch from.
protocol BatchInputs: Sendable {
    /// The next part.
    ///
    /// - Parameter holding: How many parts this process has that are not finished.
    /// - Returns: The part, or `nil` when there will be none any more.
    /// - Throws: ``KelterError`` of the database.
    func next(holding: @Sendable () async -> Int) async throws(KelterError) -> InputPart?
}

/// How many inputs are read, hashed and probed together, and leased together.
let entriesPerPart = 256

/// The inputs of a plan: found as they are asked for.
actor PlannedInputs: BatchInputs {
    private var walk: any InputWalk
    private let io: IOThreads
    private let progress: RunProgress

    init(_ walk: any InputWalk, io: IOThreads, progress: RunProgress) {
        self.walk = walk
        self.io = io
        self.progress = progress
    }

    func next(holding: @Sendable () async -> Int) async throws(KelterError) -> InputPart? {
        let entries = try await entries(of: walk, entriesPerPart, on: io)
        guard !entries.found.isEmpty else {
            progress.update { $0.isWalkFinished = true }
            return nil
        }
        walk = entries.rest
        progress.update { $0.inputs += entries.found.count }
        return InputPart(lease: nil, entries: entries.found, recorded: [:])
    }
}

/// The parts of a batch in the ledger, which any number of processes take.
struct LeasedInputs: BatchInputs {
    let store: Store
    let run: RowID
    let tenant: Tenant
    let root: String
    let worker: String
    let lease: Duration
    /// Who finds the inputs; `nil` when this process does.
    let coordinator: String?
    /// What ends the run also ends the wait for inputs: they may never be found.
    let progress: RunProgress

    /// How long a process waits before it looks again, at most.
    private static let longestPause = Duration.milliseconds(250)

    func next(holding: @Sendable () async -> Int) async throws(KelterError) -> InputPart? {
        var pause = Duration.milliseconds(2)
        while !Task.isCancelled, progress.snapshot.error == nil {
            if let part = try await claim() { return part }
            if let coordinator, try await hasFallenSilent(coordinator) { return nil }
            // The parts of other processes may come back yet.
            let counts = try await store.partCounts(of: run, tenant: tenant)
            if counts.isFound, counts.added - counts.finished <= (await holding()) { return nil }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
        return nil
    }

    /// The next part that nobody works on at present.
    ///
    /// - Throws: ``KelterError`` of the database.
    func claim() async throws(KelterError) -> InputPart? {
        guard let part = try await store.claimPart(of: run, worker: worker, lease: lease, tenant: tenant) else {
            return nil
        }
        var input = InputPart(
            lease: part.lease,
            entries: try part.entries.map { (entry) throws(KelterError) in try found(entry) },
            recorded: part.recorded
        )
        for entry in part.entries {
            if let path = entry["path"]?.string, let count = entry["attempts"]?.int { input.attempts[path] = count }
        }
        return input
    }

    /// Whether there is nobody any more who would find the rest of the inputs.
    private func hasFallenSilent(_ coordinator: String) async throws(KelterError) -> Bool {
        if ProcessName(coordinator)?.hasEnded == true {
            try await store.endLeases(of: coordinator, run: run, tenant: tenant)
        }
        return !(try await store.isCoordinated(run, tenant: tenant))
    }

    private func found(_ entry: JSONValue) throws(KelterError) -> FoundEntry {
        guard let found = FoundEntry(entry, root: root) else {
            throw KelterError(
                .internalError,
                "An input of the run \(run) cannot be read: \(shortened(entry.compactText)).",
                fix: "It was begun by another version of kelter: start a new run."
            )
        }
        return found
    }
}

/// One part of a batch in the ledger, if there is one that nobody works on.
actor SinglePart: BatchInputs {
    private var inputs: LeasedInputs?

    init(_ inputs: LeasedInputs) {
        self.inputs = inputs
    }

    func next(holding: @Sendable () async -> Int) async throws(KelterError) -> InputPart? {
        defer { inputs = nil }
        return try await inputs?.claim()
    }
}

/// Finds the inputs of a batch and puts them into the ledger.
struct InputFinder: Sendable {
    let store: Store
    let coordinator: ClaimedRun
    let io: IOThreads
    let progress: RunProgress

    /// Walks to the end.
    ///
    /// - Parameters:
    ///   - start: The walk.
    ///   - known: The paths that have been added before.
    /// - Throws: ``KelterError`` of the walk or the database, ``ErrorCode/interrupted`` among them.
    func find(_ start: any InputWalk, except known: Set<String>) async throws(KelterError) {
        var walk = start
        var pending: [FoundEntry] = []
        while true {
            guard !Task.isCancelled else { throw KelterError(.interrupted, "The walk was interrupted.") }
            let entries = try await entries(of: walk, entriesPerPart, on: io)
            walk = entries.rest
            pending += entries.found.filter { !known.contains($0.relativePath) }
            while pending.count >= entriesPerPart || entries.found.isEmpty && !pending.isEmpty {
                let part = pending.prefix(entriesPerPart).map { $0.json(root: start.root) }
                pending.removeFirst(part.count)
                try await store.addParts([part], to: coordinator)
                progress.update { $0.inputs += part.count }
                FailPoint.partAdded.pass()
            }
            if entries.found.isEmpty { break }
        }
        try await store.finishFinding(coordinator)
        FailPoint.walkFinished.pass()
        progress.update { $0.isWalkFinished = true }
    }
}

/// The next entries of a walk, found on a thread that may block, and the rest of it.
private func entries(
    of walk: any InputWalk,
    _ count: Int,
    on io: IOThreads
) async throws(KelterError) -> (found: [FoundEntry], rest: any InputWalk) {
    try await io.attempt { () throws(KelterError) in
        var walk = walk
        let found = try walk.next(count)
        return (found, walk)
    }
}
