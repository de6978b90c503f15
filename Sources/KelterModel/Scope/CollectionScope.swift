/// A collection as the database knows it; unique inside one tenant.
package typealias CollectionID = RowID

/// The resolved target of one request or item.
package struct CollectionScope: Equatable, Sendable {
    /// Where the effective value came from.
    package enum Origin: String, Sendable, CaseIterable {
        case list, body, header, none
    }

    /// The collections, in the caller's order and without duplicates; empty means the scope `NULL`.
    package let collections: [CollectionID]
    /// Which of the inputs won.
    package let origin: Origin
    /// The inputs that were given but lost to a stronger one, in order of strength.
    package let ignored: [Origin]

    /// The scope of a request without any collection.
    package static let none = CollectionScope(collections: [], origin: .none, ignored: [])

    /// The part of the scope that is one or some of its targets.
    package func only(_ targets: [CollectionID?]) -> CollectionScope {
        CollectionScope(collections: targets.compactMap { $0 }, origin: origin, ignored: ignored)
    }

    /// The database scopes an item is written to: one `NULL`, or one per collection.
    package var targets: [CollectionID?] {
        collections.isEmpty ? [nil] : collections
    }
}

/// What a caller said about collections, before anything is decided.
///
/// The values are kept as JSON because a malformed one counts only if it would win.
package struct ScopeInputs: Equatable, Sendable {
    /// `collection_ids` of a body, sidecar or flag; `filters.collection_ids` of a query.
    package var list: JSONValue?
    /// `collection_id` of a body or sidecar; in a query the stronger of `filters.collection_id` and `collection_id`.
    package var body: JSONValue?
    /// The headers of the request, in the order they came.
    package var headers: [(name: String, value: String)]

    package init(list: JSONValue? = nil, body: JSONValue? = nil, headers: [(name: String, value: String)] = []) {
        self.list = list
        self.body = body
        self.headers = headers
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.list == right.list && left.body == right.body
            && left.headers.elementsEqual(right.headers) { $0.name == $1.name && $0.value == $1.value }
    }

    /// The first non-blank value among `X-Collection-ID`, `collection_id` and `collection-id`, names in any case.
    var header: String? {
        for name in ["x-collection-id", "collection_id", "collection-id"] {
            for header in headers where lowercasedASCII(trimmed(header.name)) == name {
                let value = trimmed(header.value)
                if !value.isEmpty { return value }
            }
        }
        return nil
    }
}

extension CollectionScope {
    /// Resolves the scope of a request: list > body > header; SPEC section 2.
    ///
    /// The only implementation of the rule; the command line, batches, uploads, runs and queries all call it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidCollectionIDs`` for a list that is no list, and
    ///   ``ErrorCode/invalidCollectionID`` for a malformed UUID in the input that would win.
    package static func resolve(_ inputs: ScopeInputs) throws(KelterError) -> CollectionScope {
        let list = try listItems(inputs.list)
        let body = isAbsent(inputs.body) ? nil : inputs.body
        let header = inputs.header
        let hasHeader: [Origin] = header == nil ? [] : [.header]

        if !list.isEmpty {
            var collections: [CollectionID] = []
            for item in list {
                let collection = try collectionID(item, from: "collection_ids")
                if !collections.contains(collection) { collections.append(collection) }
            }
            return Self(collections: collections, origin: .list, ignored: (body == nil ? [] : [.body]) + hasHeader)
        }
        if let body {
            return Self(collections: [try collectionID(body, from: "collection_id")], origin: .body, ignored: hasHeader)
        }
        if let header {
            let collection = try collectionID(.string(header), from: "X-Collection-ID")
            return Self(collections: [collection], origin: .header, ignored: [])
        }
        return .none
    }

    /// The items of a list that are not blank; empty when the list is absent.
    private static func listItems(_ list: JSONValue?) throws(KelterError) -> [JSONValue] {
        switch list {
        case nil, .null:
            return []
        case .string(let text) where trimmed(text).isEmpty:
            return []
        case .array(let items):
            return items.filter { !isAbsent($0) }
        default:
            throw KelterError(
                .invalidCollectionIDs,
                "The value of collection_ids is not a list.",
                subject: "collection_ids",
                fix: "Give a JSON array of UUIDs."
            )
        }
    }

    static func isAbsent(_ value: JSONValue?) -> Bool {
        switch value {
        case nil, .null: true
        case .string(let text): trimmed(text).isEmpty
        default: false
        }
    }

    private static func collectionID(_ value: JSONValue, from name: String) throws(KelterError) -> CollectionID {
        guard case .string(let text) = value, let id = CollectionID(trimmed(text)) else {
            throw KelterError(
                .invalidCollectionID,
                "The collection \(shortened(value.compactText)) is not a UUID.",
                subject: name,
                fix: "Give a UUID such as 6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11."
            )
        }
        return id
    }
}

extension CollectionScope {
    /// The `scope` object of results, logs and traces: `{collection_ids, origin, ignored}`.
    package var json: JSONValue {
        .object([
            ("collection_ids", .array(collections.map { .string($0.description) })),
            ("origin", .string(origin.rawValue)),
            ("ignored", .array(ignored.map { .string($0.rawValue) })),
        ])
    }

    /// Reads ``json``: a scope that was resolved before.
    package init?(json: JSONValue) {
        guard let collections = json["collection_ids"]?.array?.compactMap({ $0.string.flatMap { CollectionID($0) } }),
            let origin = json["origin"]?.string.flatMap(Origin.init)
        else { return nil }
        let ignored = json["ignored"]?.array?.compactMap { $0.string.flatMap(Origin.init) } ?? []
        self.init(collections: collections, origin: origin, ignored: ignored)
    }
}
