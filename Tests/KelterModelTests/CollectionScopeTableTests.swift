import KelterModel
import Testing

/// The scope rule held against every combination of its three inputs, the expected values written out by hand.
@Suite("Scope: list > body > header, every combination")
struct CollectionScopeTableTests {
    private static let first = "11111111-1111-4111-8111-111111111111"
    private static let second = "22222222-2222-4222-8222-222222222222"
    private static let third = "33333333-3333-4333-8333-333333333333"
    private static let fourth = "44444444-4444-4444-8444-444444444444"

    /// Rows: list and body; columns: header absent, blank, valid, malformed.
    ///
    /// A cell is the origin, followed by `/` and the ignored inputs (`b`ody, `h`eader), or `!` and the input at fault.
    /// `badlist` is no list at all, `baditem` a list with a malformed UUID.
    private static let table = """
        absent  absent  | none     none     header   !header
        absent  blank   | none     none     header   !header
        absent  valid   | body     body     body/h   body/h
        absent  bad     | !body    !body    !body    !body
        blank   absent  | none     none     header   !header
        blank   blank   | none     none     header   !header
        blank   valid   | body     body     body/h   body/h
        blank   bad     | !body    !body    !body    !body
        valid   absent  | list     list     list/h   list/h
        valid   blank   | list     list     list/h   list/h
        valid   valid   | list/b   list/b   list/bh  list/bh
        valid   bad     | list/b   list/b   list/bh  list/bh
        badlist absent  | !list    !list    !list    !list
        badlist blank   | !list    !list    !list    !list
        badlist valid   | !list    !list    !list    !list
        badlist bad     | !list    !list    !list    !list
        baditem absent  | !item    !item    !item    !item
        baditem blank   | !item    !item    !item    !item
        baditem valid   | !item    !item    !item    !item
        baditem bad     | !item    !item    !item    !item
        """

    private static let lists: [String: [JSONValue?]] = [
        "absent": [nil, .null],
        "blank": [
            .array([]), .string(""), .string(" \t"), .array([.string("")]),
            .array([.string(" "), .null, .string("\n")]),
        ],
        "valid": [
            .array([.string(first), .string(second)]),
            .array([.string(" "), .string(first), .null, .string("  \(second)\t"), .string(first)]),
        ],
        "badlist": [
            .string("nonsense"), .string(first), .number("7"), .bool(true), .object([]),
            .object([("collection_ids", .array([.string(first)]))]),
        ],
        "baditem": [
            .array([.string("nonsense")]), .array([.string(first), .string("nonsense")]), .array([.number("7")]),
            .array([.bool(false)]), .array([.array([.string(first)])]), .array([.object([])]),
        ],
    ]

    private static let bodies: [String: [JSONValue?]] = [
        "absent": [nil, .null],
        "blank": [.string(""), .string(" \r\n\t")],
        "valid": [.string(third), .string("  \(third) ")],
        "bad": [
            .string("nonsense"), .number("3"), .bool(true), .array([]), .array([.string(third)]), .object([]),
            .string(third + "0"), .string("{\(third)}"),
        ],
    ]

    private static let headerValues: [[[String]]] = [
        [[]], [[""], ["  "], ["", "\t"]], [[fourth], [" \(fourth) "], ["", fourth]], [["nonsense"], ["", "nonsense"]],
    ]

    struct Row: Sendable, CustomTestStringConvertible {
        let list: String
        let body: String
        let cells: [String]
        var testDescription: String { "list \(list), body \(body)" }
    }

    static var rows: [Row] {
        table.split(separator: "\n").map { line in
            let words = line.split(separator: " ").map(String.init)
            return Row(list: words[0], body: words[1], cells: Array(words[3...]))
        }
    }

    @Test("the table has every combination once")
    func tableIsComplete() {
        let keys = Self.rows.map { "\($0.list) \($0.body)" }
        #expect(Set(keys).count == Self.lists.count * Self.bodies.count)
        #expect(keys.count == 20)
        #expect(Self.rows.allSatisfy { $0.cells.count == Self.headerValues.count })
    }

    @Test("every way of writing a combination ends in its cell", arguments: rows)
    func combination(row: Row) throws {
        let lists = try #require(Self.lists[row.list])
        let bodies = try #require(Self.bodies[row.body])
        for (column, cell) in row.cells.enumerated() {
            for list in lists {
                for body in bodies {
                    for values in Self.headerValues[column] {
                        let headers = values.map { (name: "X-Collection-ID", value: $0) }
                        check(ScopeInputs(list: list, body: body, headers: headers), is: cell)
                    }
                }
            }
        }
    }

    private func check(_ inputs: ScopeInputs, is cell: String) {
        let result = Result { () throws(KelterError) in try CollectionScope.resolve(inputs) }
        switch result {
        case .failure(let error):
            let expected: (ErrorCode, String)? =
                switch cell {
                case "!list": (.invalidCollectionIDs, "collection_ids")
                case "!item": (.invalidCollectionID, "collection_ids")
                case "!body": (.invalidCollectionID, "collection_id")
                case "!header": (.invalidCollectionID, "X-Collection-ID")
                default: nil
                }
            #expect(error.code == expected?.0, "\(inputs) should be \(cell), was \(error)")
            #expect(error.subject == expected?.1, "\(inputs) should be \(cell), was \(error)")
        case .success(let scope):
            let parts = cell.split(separator: "/")
            let collections =
                switch parts[0] {
                case "list": [Self.first, Self.second]
                case "body": [Self.third]
                case "header": [Self.fourth]
                default: [String]()
                }
            let ignored = parts.count == 1 ? [] : parts[1].map { $0 == "b" ? "body" : "header" }
            #expect(scope.origin.rawValue == parts[0], "\(inputs) should be \(cell)")
            #expect(scope.collections.map(\.description) == collections, "\(inputs) should be \(cell)")
            #expect(scope.ignored.map(\.rawValue) == ignored, "\(inputs) should be \(cell)")
        }
    }
}
