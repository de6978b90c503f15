import KelterModel
import KelterStore
import Synchronization
import Testing

@testable import KelterPipeline

@Suite("The writer of the ledger")
struct LedgerWriterTests {
    private func item(_ name: String) -> RunItem { RunItem(collection: nil, externalID: name, outcome: .unchanged) }

    @Test("who flushes waits for what another has begun to write")
    func flushing() async throws {
        let written = Mutex<[String]>([])
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let writer = LedgerWriter { items in
            if items.contains(where: { $0.externalID == "a" }) { for await _ in gate { break } }
            written.withLock { $0 += items.map(\.externalID) }
        }
        try await writer.record([item("a")])
        let first = Task { try await writer.flush() }
        // The first has taken the item when nothing is left for the second, which still has to wait.
        let second = Task {
            try await writer.flush()
            return written.withLock { $0 }
        }
        try await writer.record([item("b")])
        for _ in 0..<100 { await Task.yield() }
        #expect(written.withLock { $0.isEmpty })
        open.yield()
        try await first.value
        #expect(try await second.value.contains("a"))
        try await writer.flush()
        #expect(written.withLock { $0.sorted() } == ["a", "b"])
    }

    @Test("what could not be written fails every later call, and a cancelled caller writes all the same")
    func failing() async throws {
        let written = Mutex<[String]>([])
        let writer = LedgerWriter { (items) throws(KelterError) in
            if items[0].externalID == "bad" { throw KelterError(.databaseUnavailable, "away") }
            written.withLock { $0 += items.map(\.externalID) }
        }
        try await writer.record([item("a")])
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await writer.flush()
        }
        try await cancelled.value
        #expect(written.withLock { $0 } == ["a"])
        try await writer.record([item("bad")])
        for _ in 0..<2 {
            let error = await #expect(throws: KelterError.self) { try await writer.flush() }
            #expect(error?.code == .databaseUnavailable)
        }
    }
}
