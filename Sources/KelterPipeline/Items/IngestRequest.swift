package import KelterModel

/// Who ingests and into which scope: what the caller said, valid for every item of a run.
package struct Caller: Equatable, Sendable {
    package var tenant: Tenant
    /// The case of items whose metadata names none.
    package var caseID: CaseID
    /// Collections given by flags (as list or body) and headers; a sidecar's values count where the caller gave none.
    package var scope: ScopeInputs

    package init(tenant: Tenant, caseID: CaseID, scope: ScopeInputs = ScopeInputs()) {
        self.tenant = tenant
        self.caseID = caseID
        self.scope = scope
    }
}

/// A batch: files and directories to bring into the database.
package struct IngestRequest: Sendable {
    package var caller: Caller
    /// Files and directories, and patterns of paths.
    package var inputs: [String]
    /// Paths of a list.
    package var listed: [String]
    package var filter: GlobFilter
    /// The embedding profile of all items; `nil` leaves it to their metadata and the routing rules.
    package var profile: String?
    /// Whether sources that are gone are deleted.
    package var sync: Bool
    /// The share of the batch root's sources, from 0 to 1, above which `sync` refuses.
    package var maximumDeletedShare: Double
    /// Whether a file with the size, times and number it had is taken to be unchanged without being read.
    package var trustsStamps: Bool
    /// Only report what would be done.
    package var plan: Bool
    /// Where a plan is written to.
    package var planWriter: PlanWriter?
    /// A plan to carry out, by its path; the inputs are its files then.
    package var apply: String?
    /// The run to complete, or `nil` for a new one.
    package var resume: RowID?
    /// The batch root of that run: its inputs, of which some may be gone, are named relative to it.
    package var root: String?
    /// The dead letters to work on of the run to complete, and nothing else.
    package var retry: DeadLetters?
    /// What `--resume` needs to repeat the command, kept in the ledger.
    package var arguments: JSONValue

    package init(
        caller: Caller,
        inputs: [String],
        listed: [String] = [],
        filter: GlobFilter = GlobFilter(),
        profile: String? = nil,
        sync: Bool = false,
        maximumDeletedShare: Double = 0.1,
        trustsStamps: Bool = false,
        plan: Bool = false,
        apply: String? = nil,
        resume: RowID? = nil,
        root: String? = nil,
        retry: DeadLetters? = nil,
        arguments: JSONValue = .object([])
    ) {
        self.caller = caller
        self.inputs = inputs
        self.listed = listed
        self.filter = filter
        self.profile = profile
        self.sync = sync
        self.maximumDeletedShare = maximumDeletedShare
        self.trustsStamps = trustsStamps
        self.plan = plan
        self.apply = apply
        self.resume = resume
        self.root = root
        self.retry = retry
        self.arguments = arguments
    }
}

/// Failed items of a run.
package enum DeadLetters: Equatable, Sendable {
    /// All that were not dropped.
    case all
    /// Those with these external identifiers.
    case named([String])

    /// The external identifiers; `nil` for all.
    package var names: [String]? {
        if case .named(let names) = self { names } else { nil }
    }
}
