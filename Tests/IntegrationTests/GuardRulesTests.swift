import KelterModel
import Testing

@testable import KelterStore

@Suite("The rules of the duplicate guards")
struct GuardRulesTests {
    private static let hashes = ["1", "2", "3"].map { ($0, Fixture.hash($0)) }
    private static let digests = Dictionary(uniqueKeysWithValues: hashes.map { ($0, $1.hex) })
    private static let metadataHash = Fixture.hash("m")
    private static let name = GuardState.Scoped(scope: nil, value: "a")

    private func document(
        _ number: UInt64,
        _ externalID: String,
        _ bytes: String,
        metadata: String = "m",
        isDeleted: Bool = false
    ) -> GuardState.Document {
        GuardState.Document(
            id: RowID(high: 0, low: number),
            scope: nil,
            externalID: externalID,
            hash: Fixture.hash(bytes).hex,
            metadataHash: Fixture.hash(metadata).hex,
            isDeleted: isDeleted
        )
    }

    private func state(_ documents: [GuardState.Document], links: [(String, UInt64)] = []) -> GuardState {
        GuardState(
            documents: documents,
            sources: links.map { (GuardState.Scoped(scope: nil, value: $0.0), RowID(high: 0, low: $0.1)) }
        )
    }

    private let one = RowID(high: 0, low: 1)
    private let two = RowID(high: 0, low: 2)

    @Test("nothing known: inserted")
    func inserted() {
        #expect(state([]).decision(for: Fixture.key("a", "1")) == .inserted)
    }

    @Test("the same name and bytes: unchanged, or updated when the metadata differ")
    func unchanged() {
        let state = state([document(1, "a", "1")], links: [("a", 1)])
        #expect(state.decision(for: Fixture.key("a", "1")) == .unchanged(one))
        #expect(state.decision(for: Fixture.key("a", "1", metadata: "n")) == .updated(one))
    }

    @Test("the same bytes in another scope are another document")
    func otherScope() {
        let state = state([document(1, "a", "1")], links: [("a", 1)])
        #expect(state.decision(for: Fixture.key("a", "1", in: Fixture.collection(1))) == .inserted)
    }

    @Test("the same bytes under another name: duplicate, then linked")
    func duplicate() {
        var state = state([document(1, "a", "1")], links: [("a", 1)])
        let key = Fixture.key("b", "1")
        let decision = state.decision(for: key)
        #expect(decision == .duplicate(of: one, leaving: nil))
        #expect(state.apply(decision, key: key, item: 0, newDocument: two) == one)
        #expect(state.decision(for: key) == .linked(one))
    }

    @Test("other bytes: the document changes when the source has it alone, else a new one is made")
    func replaced() {
        let alone = state([document(1, "a", "1")], links: [("a", 1)])
        #expect(alone.decision(for: Fixture.key("a", "2")) == .replaced(one, purging: nil))
        var shared = state([document(1, "a", "1")], links: [("a", 1), ("b", 1)])
        let key = Fixture.key("a", "2")
        #expect(shared.decision(for: key) == .split(from: one, purging: nil))
        #expect(shared.apply(.split(from: one, purging: nil), key: key, item: 0, newDocument: two) == two)
        #expect(shared.documents[one]?.externalID == "b")
        #expect(shared.documents[two]?.externalID == "a")
    }

    @Test("bytes that another live document has: the source moves there, and its lonely document goes")
    func supersedes() {
        var state = state([document(1, "a", "1"), document(2, "b", "2")], links: [("a", 1), ("b", 2)])
        let key = Fixture.key("a", "2")
        #expect(state.decision(for: key) == .duplicate(of: two, leaving: one))
        _ = state.apply(.duplicate(of: two, leaving: one), key: key, item: 0, newDocument: one)
        #expect(state.documents[one] == nil)
        #expect(state.sources[Self.name] == two)
    }

    @Test("a deleted document comes back, under the new name when its bytes come under one")
    func revived() {
        var deleted = state([document(1, "a", "1", isDeleted: true)])
        #expect(deleted.decision(for: Fixture.key("a", "1")) == .revived(one, renamed: false))
        let key = Fixture.key("b", "1")
        #expect(deleted.decision(for: key) == .revived(one, renamed: true))
        _ = deleted.apply(.revived(one, renamed: true), key: key, item: 0, newDocument: two)
        #expect(deleted.documents[one]?.externalID == "b" && deleted.documents[one]?.isDeleted == false)
        #expect(deleted.sources[Self.name] == nil)
    }

    @Test("a deleted document gets other bytes under its name, and a deleted twin of them goes for good")
    func deletedTwin() {
        let state = state([document(1, "a", "1", isDeleted: true), document(2, "b", "2", isDeleted: true)])
        #expect(state.decision(for: Fixture.key("a", "2")) == .replaced(one, purging: two))
    }

    @Test("content that takes another document's place purges a deleted document that has its bytes")
    func mergedTwin() throws {
        let documents = [document(1, "a", "1"), document(2, "b", "2"), document(3, "c", "3", isDeleted: true)]
        var state = state(documents, links: [("a", 1), ("b", 2)])
        let key = Fixture.key("b", "3")
        let decision = try #require(state.decision(for: key, near: one, replaces: true))
        #expect(state.apply(decision, key: key, item: 0, newDocument: RowID(high: 0, low: 9)) == one)
        #expect(state.documents.keys.elementsEqual([one]))
        #expect(state.decision(for: key) == .unchanged(one))
    }

    @Test("a source with bytes of its own gets them when the document comes to bear its name")
    func heir() {
        var state = GuardState(
            documents: [document(1, "a", "1")],
            sources: [(Self.name, one), (GuardState.Scoped(scope: nil, value: "b"), one)],
            hashes: [GuardState.Scoped(scope: nil, value: "b"): Fixture.hash("2").hex]
        )
        let key = Fixture.key("b", "2")
        #expect(state.decision(for: key) == .linked(one))
        #expect(state.remove(Self.name) == .unlinked(one))
        #expect(state.decision(for: key) == .replaced(one, purging: nil))
    }

    @Test("every sequence of four steps over three names and three contents keeps the guards' promises")
    func exhaustive() {
        var visited = 0
        visit(state([]), expected: [:], depth: 4, visited: &visited)
        #expect(visited == 1 + 12 + 144 + 1_728 + 20_736)
    }

    /// Tries every step from here; `expected` says which bytes each name must lead to.
    private func visit(_ state: GuardState, expected: [String: String], depth: Int, visited: inout Int) {
        visited += 1
        guard check(state, expected: expected), depth > 0 else { return }
        for name in ["a", "b", "c"] {
            for (bytes, hash) in Self.hashes {
                var next = state
                let key = GuardKey(collection: nil, externalID: name, hash: hash, metadataHash: Self.metadataHash)
                let decision = next.decision(for: key)
                let new = RowID(high: 1, low: UInt64(visited * 9) + UInt64(depth))
                _ = next.apply(decision, key: key, item: 0, newDocument: new)
                visit(next, expected: expected.merging([name: bytes]) { $1 }, depth: depth - 1, visited: &visited)
            }
            var next = state
            let removal = next.remove(GuardState.Scoped(scope: nil, value: name))
            if (removal == .missing) != (expected[name] == nil) { Issue.record("\(name) was \(removal)") }
            var left = expected
            left[name] = nil
            visit(next, expected: left, depth: depth - 1, visited: &visited)
        }
    }

    private func check(_ state: GuardState, expected: [String: String]) -> Bool {
        let documents = Array(state.documents.values)
        var problems: [String] = []
        for (name, bytes) in expected {
            let document = state.sources[GuardState.Scoped(scope: nil, value: name)].flatMap { state.documents[$0] }
            if document?.hash != Self.digests[bytes] { problems.append("\(name) does not lead to its bytes") }
            if document?.isDeleted != false { problems.append("\(name) leads to a deleted document") }
        }
        if Set(documents.map(\.hash)).count != documents.count { problems.append("two documents have the same bytes") }
        if Set(documents.map(\.externalID)).count != documents.count { problems.append("two documents have one name") }
        for document in documents where !document.isDeleted {
            if expected[document.externalID].flatMap({ Self.digests[$0] }) != document.hash {
                problems.append("\(document.externalID) is not a source of the document with its name")
            }
        }
        if !problems.isEmpty { Issue.record("\(problems) in \(documents)") }
        return problems.isEmpty
    }
}
