import KelterModel

/// The documents and sources that matter for a group of items, and the rules that change them.
///
/// A pure value: it is filled from the database, decides one item after the other, each with the effects of those
/// before it, and at the end differs from its beginning by exactly what has to be written.
///
/// A document without a source row of its own name (older rows, deleted documents) counts as having one.
struct GuardState: Sendable {
    /// A name or hash inside one scope.
    struct Scoped: Hashable, Sendable {
        let scope: CollectionID?
        let value: String
    }

    /// A document as the guards see it.
    struct Document: Equatable, Sendable {
        let id: RowID
        let scope: CollectionID?
        var externalID: String
        var hash: String
        var metadataHash: String
        var isDeleted: Bool
        /// The index of the item whose attributes it gets; `nil` when it keeps its own.
        var attributesItem: Int?
        /// The index of the item whose chunks it gets; `nil` when it keeps its own.
        var contentItem: Int?
    }

    private(set) var documents: [RowID: Document] = [:]
    private(set) var sources: [Scoped: RowID] = [:]
    /// The hashes of sources whose bytes are nearly those of their document, and not the same.
    private(set) var sourceHashes: [Scoped: String] = [:]
    /// The sources that were linked or confirmed since the beginning, with the index of the item.
    private(set) var touchedSources: [Scoped: Int] = [:]
    private var byHash: [Scoped: RowID] = [:]
    private var links: [RowID: Set<String>] = [:]
    private var implicit: Set<Scoped> = []

    /// Takes what the database holds.
    init(
        documents: [Document],
        sources explicit: [(source: Scoped, document: RowID)],
        hashes: [Scoped: String] = [:]
    ) {
        sourceHashes = hashes
        for (source, document) in explicit {
            sources[source] = document
            links[document, default: []].insert(source.value)
        }
        for document in documents {
            self.documents[document.id] = document
            byHash[Scoped(scope: document.scope, value: document.hash)] = document.id
            let name = Scoped(scope: document.scope, value: document.externalID)
            if sources[name] == nil {
                sources[name] = document.id
                links[document.id, default: []].insert(document.externalID)
                implicit.insert(name)
            }
        }
    }

    /// Decides about one item and changes nothing.
    func decision(for key: GuardKey) -> GuardDecision {
        let name = Scoped(scope: key.collection, value: key.externalID)
        let twin = twin(of: key)
        guard let current = sources[name].flatMap({ documents[$0] }) else {
            guard let twin else { return .inserted }
            return twin.isDeleted ? .revived(twin.id, renamed: true) : .duplicate(of: twin.id, leaving: nil)
        }
        if current.hash == key.hash.hex {
            if current.isDeleted { return .revived(current.id, renamed: false) }
            if current.externalID != key.externalID { return .linked(current.id) }
            return current.metadataHash == key.metadataHash.hex ? .unchanged(current.id) : .updated(current.id)
        }
        // A document that has come to bear the name of such a source gets its bytes.
        if !current.isDeleted, current.externalID != key.externalID, sourceHashes[name] == key.hash.hex {
            return .linked(current.id)
        }
        if let twin, !twin.isDeleted { return .duplicate(of: twin.id, leaving: current.id) }
        let isShared = links[current.id, default: []].contains { $0 != key.externalID }
        return isShared ? .split(from: current.id, purging: twin?.id) : .replaced(current.id, purging: twin?.id)
    }

    /// Decides about an item that is nearly the same as a stored document.
    ///
    /// - Parameters:
    ///   - key: The item.
    ///   - document: The document that was found.
    ///   - replaces: Whether the item's content takes the place of the document's.
    /// - Returns: The decision; `nil` when the document is gone, or bears the item's own name.
    func decision(for key: GuardKey, near document: RowID, replaces: Bool) -> GuardDecision? {
        guard let near = documents[document], !near.isDeleted, near.scope == key.collection,
            near.externalID != key.externalID
        else { return nil }
        let source = sources[Scoped(scope: key.collection, value: key.externalID)]
        let current = source == document ? nil : source
        guard replaces else { return .duplicate(of: document, leaving: current) }
        return .merged(into: document, leaving: current, purging: twin(of: key)?.id)
    }

    /// The document of the scope with the item's bytes.
    private func twin(of key: GuardKey) -> Document? {
        byHash[Scoped(scope: key.collection, value: key.hash.hex)].flatMap { documents[$0] }
    }

    /// Changes the state as decided.
    ///
    /// - Parameters:
    ///   - decision: What ``decision(for:)`` said about this key in this state.
    ///   - key: The item.
    ///   - item: The item's index in its group.
    ///   - newDocument: The identifier of a document that may have to be made.
    /// - Returns: The document the item belongs to now.
    mutating func apply(_ decision: GuardDecision, key: GuardKey, item: Int, newDocument: RowID) -> RowID {
        let document: RowID
        switch decision {
        case .unchanged(let id), .linked(let id):
            document = id
        case .updated(let id):
            document = id
            takeAttributes(id, key: key, item: item)
        case .revived(let id, let renamed):
            document = id
            takeAttributes(id, key: key, item: item)
            if renamed { rename(id, to: key.externalID) }
        case .duplicate(let id, let left):
            document = id
            if let left { leave(left, name: key.externalID) }
        case .replaced(let id, let twin):
            document = id
            if let twin { purge(twin) }
            takeContent(id, key: key, item: item)
        case .merged(let id, let left, let twin):
            document = id
            if let left { leave(left, name: key.externalID) }
            if let twin { purge(twin) }
            // Its other sources have the bytes it had.
            if let old = documents[id]?.hash {
                for name in links[id, default: []] {
                    let source = Scoped(scope: key.collection, value: name)
                    sourceHashes[source] = sourceHashes[source] ?? old
                    touchedSources[source] = touchedSources[source] ?? item
                }
            }
            takeContent(id, key: key, item: item)
        case .split(let left, let twin):
            document = newDocument
            leave(left, name: key.externalID)
            if let twin { purge(twin) }
            insert(newDocument, key: key, item: item)
        case .inserted:
            document = newDocument
            insert(newDocument, key: key, item: item)
        }
        link(key, to: document, item: item)
        return document
    }
}

extension GuardState {
    private mutating func link(_ key: GuardKey, to document: RowID, item: Int) {
        let name = Scoped(scope: key.collection, value: key.externalID)
        sources[name] = document
        sourceHashes[name] = documents[document]?.hash == key.hash.hex ? nil : key.hash.hex
        links[document, default: []].insert(key.externalID)
        implicit.remove(name)
        touchedSources[name] = item
        // A row for the name the document bears, where an older system made none: otherwise the document would seem
        // to have no source once this one is gone.
        if let owner = documents[document], owner.externalID != key.externalID {
            let own = Scoped(scope: owner.scope, value: owner.externalID)
            if implicit.remove(own) != nil { touchedSources[own] = item }
        }
    }

    private mutating func insert(_ id: RowID, key: GuardKey, item: Int) {
        documents[id] = Document(
            id: id,
            scope: key.collection,
            externalID: key.externalID,
            hash: key.hash.hex,
            metadataHash: key.metadataHash.hex,
            isDeleted: false,
            attributesItem: item,
            contentItem: item
        )
        byHash[Scoped(scope: key.collection, value: key.hash.hex)] = id
    }

    private mutating func takeAttributes(_ id: RowID, key: GuardKey, item: Int) {
        documents[id]?.metadataHash = key.metadataHash.hex
        documents[id]?.isDeleted = false
        documents[id]?.attributesItem = item
    }

    private mutating func takeContent(_ id: RowID, key: GuardKey, item: Int) {
        if let old = documents[id]?.hash { byHash[Scoped(scope: key.collection, value: old)] = nil }
        byHash[Scoped(scope: key.collection, value: key.hash.hex)] = id
        documents[id]?.hash = key.hash.hex
        documents[id]?.externalID = key.externalID
        documents[id]?.contentItem = item
        takeAttributes(id, key: key, item: item)
    }

    /// Takes a source away from a document: it goes when that was the last, and never bears the name of one it lost.
    private mutating func leave(_ id: RowID, name: String) {
        links[id]?.remove(name)
        guard let heir = links[id]?.min() else {
            purge(id)
            return
        }
        if documents[id]?.externalID == name { documents[id]?.externalID = heir }
    }

    /// Takes a source away from a live document without purging it; the removal of sources uses it.
    mutating func unlink(_ source: Scoped, from document: Document) -> Removal {
        links[document.id]?.remove(source.value)
        guard let heir = links[document.id]?.min() else {
            // The document keeps its name, by which the source finds it again when it comes back.
            documents[document.id]?.isDeleted = true
            implicit.insert(source)
            links[document.id] = [source.value]
            return .deleted(document.id)
        }
        sources[source] = nil
        implicit.remove(source)
        if document.externalID == source.value { documents[document.id]?.externalID = heir }
        return .unlinked(document.id)
    }

    /// Gives a revived document a new name; a name it only had by bearing it is free again.
    private mutating func rename(_ id: RowID, to name: String) {
        guard let document = documents[id] else { return }
        let old = Scoped(scope: document.scope, value: document.externalID)
        if implicit.remove(old) != nil {
            sources[old] = nil
            links[id]?.remove(old.value)
        }
        documents[id]?.externalID = name
    }

    private mutating func purge(_ id: RowID) {
        guard let document = documents.removeValue(forKey: id) else { return }
        byHash[Scoped(scope: document.scope, value: document.hash)] = nil
        for name in links.removeValue(forKey: id) ?? [] {
            let source = Scoped(scope: document.scope, value: name)
            guard sources[source] == id else { continue }
            sources[source] = nil
            touchedSources[source] = nil
            implicit.remove(source)
        }
    }
}
