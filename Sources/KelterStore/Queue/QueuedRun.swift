package import KelterModel

/// A run to be worked later, with everything that is entered in the same transaction.
package struct RunSubmission: Sendable {
    /// The run; its status is set to ``RunStatus/queued``.
    package var run: RunRecord
    /// Runs with a higher number go first; default 0.
    package var priority: Int
    /// The trace of the request that asked for it.
    package var traceID: String?
    /// Objects that become known with the run.
    package var uploads: [UploadRecord]

    package init(run: RunRecord, priority: Int = 0, traceID: String? = nil, uploads: [UploadRecord] = []) {
        self.run = run
        self.priority = priority
        self.traceID = traceID
        self.uploads = uploads
    }
}

/// A run that this process works on until its lease ends.
package struct ClaimedRun: Sendable {
    package let run: RunRecord
    package let tenant: Tenant
    /// The fencing token: a later claim has a higher one, and the database refuses the words of an earlier.
    package let token: Int
    /// How often the run has been taken up, this time included.
    package let attempts: Int
}

/// How many runs wait and are worked on.
package struct QueueDepth: Sendable, Equatable {
    package var queued: Int
    package var running: Int

    package init(queued: Int = 0, running: Int = 0) {
        self.queued = queued
        self.running = running
    }
}
