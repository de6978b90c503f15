import Synchronization

/// The boundaries between the steps of a batch, in the order in which a batch comes across them.
///
/// Tests kill the process at each of them, by `KELTER_FAIL_POINT=NAME` or `NAME:N` for the N-th time. Release builds know
/// the list and nothing else.
package enum FailPoint: String, CaseIterable, Sendable {
    /// The run is in the ledger.
    case runEntered = "run_entered"
    /// Some inputs are in the ledger.
    case partAdded = "part_added"
    /// All inputs are in the ledger.
    case walkFinished = "walk_finished"
    /// A part is this process's.
    case partTaken = "part_taken"
    /// The files of a part are read and hashed.
    case partRead = "part_read"
    /// The guards have been asked about a part.
    case partProbed = "part_probed"
    /// An item is in chunks.
    case itemChunked = "item_chunked"
    /// A reply of the endpoint has been checked.
    case vectorsReceived = "vectors_received"
    /// Vectors are in the cache.
    case vectorsCached = "vectors_cached"
    /// The transaction of a group has its locks.
    case groupLocked = "group_locked"
    /// The documents of a group are written, their chunks not.
    case documentsWritten = "documents_written"
    /// The COPY of a group's chunks is under way.
    case chunksCopied = "chunks_copied"
    /// Everything of a group is written but its outcomes.
    case groupWritten = "group_written"
    /// The next statement commits a group.
    case groupRecorded = "group_recorded"
    /// A group is committed.
    case groupCommitted = "group_committed"
    /// Outcomes without a document of their own are in the ledger.
    case outcomesRecorded = "outcomes_recorded"
    /// A part is closed.
    case partFinished = "part_finished"
    /// All parts are closed, nothing is deleted.
    case syncBegun = "sync_begun"
    /// What is gone has been deleted.
    case sourcesDeleted = "sources_deleted"
    /// The totals have been counted again.
    case runCounted = "run_counted"
    /// The run is closed, its report not printed.
    case runClosed = "run_closed"

    #if DEBUG
        private static let observer = Mutex<(@Sendable (FailPoint) -> Void)?>(nil)

        /// Names who is told about every boundary that is passed.
        package static func observe(_ body: @escaping @Sendable (FailPoint) -> Void) {
            observer.withLock { $0 = body }
        }
    #endif

    /// Marks the boundary in the code.
    @inline(__always)
    package func pass() {
        #if DEBUG
            let observer = Self.observer.withLock { $0 }
            observer?(self)
        #endif
    }
}
