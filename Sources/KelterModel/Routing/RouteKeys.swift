/// What a routing rule may ask of an item, the strongest first.
package enum RouteKey: String, CaseIterable, Sendable {
    case collection
    case workflow
    case process
    case docClass = "doc_class"
    case tenant

    /// One bit for each key, so that a key outweighs all weaker ones together.
    var weight: Int {
        switch self {
        case .collection: 16
        case .workflow: 8
        case .process: 4
        case .docClass: 2
        case .tenant: 1
        }
    }

    /// A value as it is compared.
    ///
    /// A collection is its canonical UUID and a tenant the row identifier of its key. A process and a document class
    /// are trimmed and in lower case, as a sidecar stores them; a workflow is trimmed.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/routeInvalid`` for a blank or malformed value.
    package func canonical(_ text: String) throws(KelterError) -> String {
        let value = trimmed(text)
        guard !value.isEmpty else {
            throw KelterError(.routeInvalid, "A value of \(rawValue) is blank.", fix: "Give a value or leave it out.")
        }
        switch self {
        case .workflow: return value
        case .process, .docClass: return value.lowercased()
        case .collection:
            guard let collection = CollectionID(value) else {
                throw KelterError(
                    .routeInvalid,
                    "The collection \"\(shortened(value))\" is not a UUID.",
                    fix: "Give a UUID such as 6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11."
                )
            }
            return collection.description
        case .tenant:
            do throws(KelterError) {
                return try Tenant(value).rowID.description
            } catch {
                throw KelterError(.routeInvalid, error.message, fix: error.fix)
            }
        }
    }
}

/// What is known of an item, or of a question, when its embedding profile is looked for.
package struct RouteKeys: Equatable, Sendable {
    /// The values that are known, in the form of ``RouteKey/canonical(_:)``.
    let values: [RouteKey: String]

    /// Collects what is known; a blank text counts as absent.
    ///
    /// - Parameters:
    ///   - tenant: The tenant of the item.
    ///   - collection: The one collection it is written to; `nil` for the scope without collection.
    ///   - workflow: Its workflow.
    ///   - process: Its process, in any case.
    ///   - docClass: Its document class, in any case.
    package init(
        tenant: Tenant,
        collection: CollectionID? = nil,
        workflow: String? = nil,
        process: String? = nil,
        docClass: String? = nil
    ) {
        var values: [RouteKey: String] = [.tenant: tenant.rowID.description]
        values[.collection] = collection?.description
        for (key, text) in [(RouteKey.workflow, workflow), (.process, process), (.docClass, docClass)] {
            // Of these texts only a blank one has no canonical form.
            if let text { values[key] = try? key.canonical(text) }
        }
        self.values = values
    }

    /// Collects what a sidecar says of its item.
    ///
    /// - Parameters:
    ///   - tenant: The tenant of the item.
    ///   - collection: The one collection it is written to; `nil` for the scope without collection.
    ///   - sidecar: The metadata of the item.
    package init(tenant: Tenant, collection: CollectionID?, sidecar: Sidecar) {
        self.init(
            tenant: tenant,
            collection: collection,
            workflow: sidecar.workflowID,
            process: sidecar.process,
            docClass: sidecar.docClass
        )
    }
}
