package import KelterModel
import KelterStore

extension Question {
    /// Reads the body of a query; SPEC section 8.
    ///
    /// `{"question": "Ping?"}` is enough. Unknown members of the body are ignored; unknown members of `filters` and
    /// `hybrid` are refused, since a typing error must not widen a search. Null and blank filters count as absent.
    ///
    /// - Parameters:
    ///   - body: The JSON value of the request.
    ///   - headers: The headers of the request; `X-Collection-ID` takes part in the scope rule.
    ///   - tenant: Whose documents are asked.
    ///   - maySeeDeleted: Whether the caller is a superuser of the tenant.
    /// - Throws: ``KelterError`` with ``ErrorCode/missingQuestion``; ``ErrorCode/validationError``, naming the member at
    ///   fault; ``ErrorCode/invalidCollectionID`` or ``ErrorCode/invalidCollectionIDs``.
    package init(
        json body: JSONValue,
        headers: [(name: String, value: String)],
        tenant: Tenant,
        maySeeDeleted: Bool = false
    ) throws(KelterError) {
        guard body.members != nil else {
            let example = #"{"question": "…"}"#
            throw queryError("body", "The body is not a JSON object.", fix: "Send an object such as \(example).")
        }
        self.init(
            text: try Self.text(body),
            tenant: tenant,
            scope: ScopeInputs(query: body, headers: headers),
            filters: try Self.filters(body["filters"] ?? .null),
            visibility: try Self.visibility(body["visibility"] ?? .null),
            maySeeDeleted: maySeeDeleted
        )
        if let hybrid = body["hybrid"], hybrid != .null { self.hybrid = try HybridOptions(json: hybrid) }
        _ = try CollectionScope.resolve(scope)
    }

    /// `question`, or `query` where that is missing or blank.
    private static func text(_ body: JSONValue) throws(KelterError) -> String {
        for name in ["question", "query"] {
            if let text = try self.text(body[name] ?? .null, name) { return text }
        }
        throw missing
    }

    static var missing: KelterError {
        KelterError(.missingQuestion, "There is no question.", subject: "question", fix: "Ask something.")
    }

    /// A text; `nil` when it is null or blank.
    private static func text(_ value: JSONValue, _ name: String) throws(KelterError) -> String? {
        if value == .null { return nil }
        guard let text = value.string else {
            throw queryError(name, "The value is not a string.", fix: "Give a text in quotes.")
        }
        return trimmed(text).isEmpty ? nil : text
    }

    private static func visibility(_ value: JSONValue) throws(KelterError) -> SearchVisibility {
        if value == .null { return .active }
        guard let visibility = value.string.flatMap(SearchVisibility.init) else {
            throw queryError(
                "visibility",
                "The value is not a visibility.",
                fix: "Use active, all or deleted."
            )
        }
        return visibility
    }
}

extension Question {
    /// Reads every filter but the collections, which are the scope rule's to judge.
    private static func filters(_ value: JSONValue) throws(KelterError) -> SearchFilters {
        var filters = SearchFilters()
        if value == .null { return filters }
        guard let members = value.members else {
            throw queryError("filters", "The value is not an object.", fix: "Give a JSON object or leave it out.")
        }
        for (name, value) in members {
            let path = "filters.\(shortened(name))"
            switch name {
            case "collection_ids", "collection_id": break
            case "case_id":
                filters.caseID = try filter(value, path, "a case identifier") { try? CaseID($0).description }
            case "source": filters.source = try filter(value, path, "a source") { $0 }
            // Stored in lower case; SPEC section 3.
            case "doc_class": filters.docClass = try filter(value, path, "a document class") { $0.lowercased() }
            case "external_id": filters.externalID = try filter(value, path, "an external identifier") { $0 }
            case "id": filters.documentID = try filter(value, path, "a UUID") { RowID($0) }
            case "hash": filters.hash = try filter(value, path, "a SHA-256 in hexadecimal") { ContentHash(hex: $0) }
            default:
                throw queryError(
                    path,
                    "A query has no such filter.",
                    fix: "Use collection_ids, collection_id, case_id, source, doc_class, external_id, id and hash."
                )
            }
        }
        return filters
    }

    /// One filter, trimmed; `nil` when it is null or blank.
    private static func filter<Value>(
        _ value: JSONValue,
        _ path: String,
        _ kind: String,
        _ read: (String) -> Value?
    ) throws(KelterError) -> Value? {
        guard let text = try text(value, path).map(trimmed) else { return nil }
        guard !text.utf8.contains(0), let read = read(text) else {
            throw queryError(path, "The value is not \(kind).", fix: "Give \(kind).")
        }
        return read
    }
}
