import KelterModel
import Testing

@Suite("Scope: lists, headers and results")
struct CollectionScopeTests {
    private let a = "a0000000-0000-4000-8000-00000000000a"
    private let b = "b0000000-0000-4000-8000-00000000000b"
    private let c = "c0000000-0000-4000-8000-00000000000c"

    private func list(_ items: String...) -> JSONValue {
        .array(items.map { .string($0) })
    }

    private func header(_ pairs: (name: String, value: String)...) -> ScopeInputs {
        ScopeInputs(headers: pairs)
    }

    @Test("a list keeps the caller's order")
    func order() throws {
        let scope = try CollectionScope.resolve(ScopeInputs(list: list(c, a, b)))
        #expect(scope.collections.map(\.description) == [c, a, b])
    }

    @Test("duplicates of any case count once, where they first stood")
    func duplicates() throws {
        let scope = try CollectionScope.resolve(ScopeInputs(list: list(b, a.uppercased(), b.uppercased(), a, b)))
        #expect(scope.collections.map(\.description) == [b, a])
    }

    @Test("capitals become canonical lower case in list, body and header")
    func lowerCase() throws {
        let upper = a.uppercased()
        let inputs = [
            ScopeInputs(list: list(upper)), ScopeInputs(body: .string(upper)), header(("X-Collection-ID", upper)),
        ]
        for input in inputs {
            #expect(try CollectionScope.resolve(input).collections.map(\.description) == [a])
        }
    }

    @Test("blanks and nulls inside a list are dropped")
    func blanks() throws {
        let items: [JSONValue] = [.null, .string(" "), .string(a), .string(""), .string("\t\(b)\r\n")]
        #expect(try CollectionScope.resolve(ScopeInputs(list: .array(items))).collections.map(\.description) == [a, b])
    }

    @Test(
        "an item that is no UUID makes the list malformed, wherever it stands",
        arguments: [JSONValue.number("1"), .bool(true), .array([]), .object([]), .string("x"), .string("a0000000")]
    )
    func mixed(item: JSONValue) {
        for items in [[item, .string(a)], [.string(a), item], [.string(a), .string(""), item]] {
            let error = #expect(throws: KelterError.self) {
                try CollectionScope.resolve(ScopeInputs(list: .array(items), body: .string(b)))
            }
            #expect(error?.code == .invalidCollectionID)
        }
    }

    @Test(
        "the header goes by three names in any case",
        arguments: [
            "X-Collection-ID", "x-collection-id", "X-COLLECTION-ID", "collection_id", "Collection_Id", "collection-id",
            "COLLECTION-ID", " X-Collection-ID ",
        ]
    )
    func headerNames(name: String) throws {
        let scope = try CollectionScope.resolve(header(("Accept", "*/*"), (name, " \(a) ")))
        #expect(scope.collections.map(\.description) == [a])
        #expect(scope.origin == .header)
    }

    @Test(
        "other header names say nothing",
        arguments: ["X-Collection", "X-Collection-IDs", "X_Collection_ID", "collectionid", ""]
    )
    func otherHeaders(name: String) throws {
        #expect(try CollectionScope.resolve(header((name, a))) == .none)
    }

    @Test("X-Collection-ID beats collection_id, which beats collection-id, in whatever order they come")
    func headerPrecedence() throws {
        let x = (name: "x-collection-id", value: a)
        let underscore = (name: "collection_id", value: b)
        let hyphen = (name: "collection-id", value: c)
        #expect(try CollectionScope.resolve(header(hyphen, underscore, x)).collections.map(\.description) == [a])
        #expect(try CollectionScope.resolve(header(hyphen, underscore)).collections.map(\.description) == [b])
        #expect(try CollectionScope.resolve(header(hyphen)).collections.map(\.description) == [c])
    }

    @Test("a blank header gives way to the next name")
    func blankHeader() throws {
        let scope = try CollectionScope.resolve(
            header(("X-Collection-ID", "  "), ("collection-id", c), ("collection_id", ""))
        )
        #expect(scope.collections.map(\.description) == [c])
    }

    @Test("the first of two headers of one name wins")
    func repeatedHeader() throws {
        let scope = try CollectionScope.resolve(header(("X-Collection-ID", a), ("x-collection-id", b)))
        #expect(scope.collections.map(\.description) == [a])
    }

    @Test("a malformed stronger header is not rescued by a weaker one")
    func malformedStrongerHeader() {
        let error = #expect(throws: KelterError.self) {
            try CollectionScope.resolve(header(("X-Collection-ID", "nonsense"), ("collection_id", a)))
        }
        #expect(error?.code == .invalidCollectionID)
    }

    @Test("no collection is one NULL target, n collections are n targets")
    func targets() throws {
        #expect(CollectionScope.none.targets == [nil])
        let scope = try CollectionScope.resolve(ScopeInputs(list: list(a, b)))
        #expect(scope.targets.map { $0?.description } == [a, b])
    }

    @Test("the scope object of results has collection_ids, origin and ignored")
    func json() throws {
        let inputs = ScopeInputs(list: list(a), body: .string("x"), headers: [("X-Collection-ID", "y")])
        #expect(
            try CollectionScope.resolve(inputs).json.compactText
                == #"{"collection_ids":["\#(a)"],"origin":"list","ignored":["body","header"]}"#
        )
        #expect(CollectionScope.none.json.compactText == #"{"collection_ids":[],"origin":"none","ignored":[]}"#)
    }

    @Test("a long malformed value is shortened in the message")
    func message() {
        let error = #expect(throws: KelterError.self) {
            try CollectionScope.resolve(ScopeInputs(body: .string(String(repeating: "x", count: 10_000))))
        }
        #expect((error?.message.utf8.count ?? 0) < 200)
    }
}
