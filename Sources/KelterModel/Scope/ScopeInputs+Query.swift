extension ScopeInputs {
    /// What the body of a query says about collections; SPEC sections 2 and 8.
    ///
    /// `filters.collection_ids` beats `collection_ids`, and `filters.collection_id` beats `collection_id`; one that
    /// counts as absent beats nothing.
    ///
    /// - Parameters:
    ///   - body: The JSON object of the request.
    ///   - headers: The headers of the request, in the order they came.
    package init(query body: JSONValue, headers: [(name: String, value: String)]) {
        func stronger(_ name: String) -> JSONValue? {
            let inFilters = body["filters"]?[name]
            let isAbsent =
                if case .array(let items) = inFilters { items.allSatisfy(CollectionScope.isAbsent) } else {
                    CollectionScope.isAbsent(inFilters)
                }
            return isAbsent ? body[name] : inFilters
        }
        self.init(list: stronger("collection_ids"), body: stronger("collection_id"), headers: headers)
    }
}
