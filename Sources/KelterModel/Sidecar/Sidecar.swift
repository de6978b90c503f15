/// The metadata of one file: its `.meta.json` sidecar, or the `metadata` field of an upload; SPEC section 3.
package struct Sidecar: Equatable, Sendable {
    package var externalID: String?
    package var title: String?
    /// A BCP 47 language tag.
    package var language: String?
    /// Unique and sorted.
    package var tags: [String] = []
    package var source: String?
    package var originURI: String?
    /// The raw `collection_id` and `collection_ids`, judged by ``CollectionScope/resolve(_:)`` and nowhere else.
    package var scope = ScopeInputs()
    package var caseID: CaseID?
    package var workflowID: String?
    /// Trimmed and in lower case.
    package var process: String?
    /// Trimmed and in lower case.
    package var docClass: String?
    package var embeddingProfile: String?
    package var mediaType: String?
    /// An RFC 3339 date or date-time, as written.
    package var createdAt: String?
    /// Members that are not known keys, verbatim and in their order.
    package var unknown: [(name: String, value: JSONValue)] = []

    /// An empty sidecar: that of a file without one.
    package init() {}

    /// Reads and validates a sidecar.
    ///
    /// - Parameters:
    ///   - bytes: The file's content: a JSON object in UTF-8, with or without byte order mark.
    ///   - tenant: The caller's tenant, which a sidecar may repeat but never override.
    /// - Throws: ``KelterError`` with ``ErrorCode/sidecarInvalid``, naming the key.
    package init(bytes: [UInt8], tenant: Tenant) throws(KelterError) {
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw Self.notJSON(error)
        }
        try self.init(value, tenant: tenant)
    }

    /// What is said of metadata that are no JSON.
    package static func notJSON(_ failure: JSONReader.Failure) -> KelterError {
        invalid("The metadata is not valid JSON: \(failure).", fix: "Correct the JSON.")
    }

    /// Validates a sidecar that has been read as JSON already.
    ///
    /// - Parameters:
    ///   - value: The metadata object.
    ///   - tenant: The caller's tenant, which a sidecar may repeat but never override.
    /// - Throws: ``KelterError`` with ``ErrorCode/sidecarInvalid``, naming the key.
    package init(_ value: JSONValue, tenant: Tenant) throws(KelterError) {
        guard case .object(let members) = value else {
            throw Self.invalid("The metadata is not a JSON object.", fix: "Write one object: { … }.")
        }
        for (name, value) in members {
            // The null of a known key says nothing, like an absent key; a scope is the scope rule's to judge.
            if value == .null, Self.nullableKeys.contains(name) { continue }
            switch name {
            case "external_id": externalID = try Self.text(value, name, maximum: 2048)
            case "title": title = try Self.text(value, name, maximum: 4096)
            case "language": language = try Self.languageTag(value)
            case "tags": tags = try Self.tagList(value)
            case "source": source = try Self.text(value, name, maximum: 2048)
            case "origin_uri": originURI = try Self.text(value, name, maximum: 4096)
            case "collection_id": scope.body = value
            case "collection_ids": scope.list = value
            case "case_id":
                let text = try Self.text(value, name, maximum: 128)
                do throws(KelterError) { caseID = try CaseID(text) } catch {
                    throw Self.invalid(error.message, key: name, fix: error.fix)
                }
            case "workflow_id": workflowID = try Self.text(value, name, maximum: 256)
            case "process": process = try Self.text(value, name, maximum: 256).lowercased()
            case "doc_class": docClass = try Self.text(value, name, maximum: 256).lowercased()
            case "embedding_profile": embeddingProfile = try Self.text(value, name, maximum: 128)
            case "media_type": mediaType = lowercasedASCII(try Self.text(value, name, maximum: 256))
            case "created_at": createdAt = try Self.timestamp(value)
            case "tenant_id", "tenant": try Self.check(tenant, against: value, name)
            default:
                guard !Self.containsNUL(.object([(name, value)])) else {
                    // Escaped, so that the error itself carries no NUL to the ledger.
                    let key = shortened(String(JSONValue.string(name).compactText.dropFirst().dropLast()))
                    throw Self.invalid("The member \(key) contains NUL.", key: key, fix: "Remove the NUL.")
                }
                unknown.append((name, value))
            }
        }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.json == right.json
    }
}

extension Sidecar {
    /// Every member but the scope, in a fixed order.
    package var json: JSONValue {
        guard let externalID, case .object(let members) = attributes else { return attributes }
        return .object([("external_id", .string(externalID))] + members)
    }

    /// Every member but the scope and the external identifier, in a fixed order: what `documents.metadata` keeps and
    /// what tells `updated` from `unchanged`, however the identifier was found.
    package var attributes: JSONValue {
        var members: [(name: String, value: JSONValue)] = []
        func add(_ name: String, _ text: String?) {
            if let text { members.append((name, .string(text))) }
        }
        add("title", title)
        add("language", language)
        if !tags.isEmpty { members.append(("tags", .array(tags.map { .string($0) }))) }
        add("source", source)
        add("origin_uri", originURI)
        add("case_id", caseID?.description)
        add("workflow_id", workflowID)
        add("process", process)
        add("doc_class", docClass)
        add("embedding_profile", embeddingProfile)
        add("media_type", mediaType)
        add("created_at", createdAt)
        return .object(members + unknown)
    }

    /// The `.meta.json` of the object store: the sidecar with the external identifier and the winning collection
    /// written back; SPEC section 3.
    package func stored(externalID: String, collection: CollectionID?) -> JSONValue {
        var copy = self
        copy.externalID = externalID
        guard case .object(var members) = copy.json else { return copy.json }
        if let collection { members.insert(("collection_id", .string(collection.description)), at: 0) }
        return .object(members)
    }
}

extension Sidecar {
    /// The known keys that may be null.
    private static let nullableKeys: Set<String> = [
        "external_id", "title", "language", "tags", "source", "origin_uri", "case_id", "workflow_id", "process",
        "doc_class", "embedding_profile", "media_type", "created_at", "tenant_id", "tenant",
    ]

    /// Whether a NUL stands in any name or string: PostgreSQL's `jsonb` cannot hold one.
    private static func containsNUL(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.utf8.contains(0)
        case .array(let items): items.contains(where: containsNUL)
        case .object(let members): members.contains { $0.name.utf8.contains(0) || containsNUL($0.value) }
        default: false
        }
    }

    private static func invalid(_ message: String, key: String? = nil, fix: String?) -> KelterError {
        KelterError(.sidecarInvalid, message, subject: key, fix: fix)
    }

    private static func text(_ value: JSONValue, _ name: String, maximum: Int) throws(KelterError) -> String {
        guard case .string(let raw) = value else {
            throw invalid("The value of \(name) is not a string.", key: name, fix: "Give a text in quotes.")
        }
        let text = trimmed(raw)
        guard !text.isEmpty else {
            throw invalid("The value of \(name) is blank.", key: name, fix: "Give a text or leave the key out.")
        }
        guard text.utf8.count <= maximum, !text.utf8.contains(0) else {
            throw invalid(
                "The value of \(name) is longer than \(maximum) bytes or contains NUL.",
                key: name,
                fix: "Shorten or clean it."
            )
        }
        return text
    }

    /// The shape of a BCP 47 tag (RFC 5646): subtags of 1 to 8 letters or digits, the first of 2 to 8 letters.
    private static func languageTag(_ value: JSONValue) throws(KelterError) -> String {
        let tag = try text(value, "language", maximum: 64)
        let subtags = tag.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let isWellFormed =
            subtags.allSatisfy { (1...8).contains($0.count) && $0.allSatisfy(isASCIILetterOrDigit) }
            && (subtags.first.map { $0.count >= 2 && $0.allSatisfy { !(0x30...0x39).contains($0) } } ?? false)
        guard isWellFormed else {
            throw invalid(
                "\"\(shortened(tag))\" is not a BCP 47 language tag.",
                key: "language",
                fix: "Use a tag such as de or en-GB."
            )
        }
        return tag
    }

    private static func tagList(_ value: JSONValue) throws(KelterError) -> [String] {
        guard case .array(let items) = value else {
            throw invalid("The value of tags is not a list.", key: "tags", fix: "Give a JSON array of strings.")
        }
        var tags: Set<String> = []
        for item in items {
            guard case .string(let tag) = item, (1...64).contains(tag.utf8.count),
                tag.utf8.allSatisfy({ isASCIILetterOrDigit($0) || "._-".utf8.contains($0) })
            else {
                throw invalid(
                    "The tag \(shortened(item.compactText)) is not allowed.",
                    key: "tags",
                    fix: "Use 1 to 64 letters, digits, '.', '_' or '-'."
                )
            }
            tags.insert(tag)
        }
        return tags.sorted()
    }

    /// The shape of an RFC 3339 full-date, or of a date-time with an offset.
    private static func timestamp(_ value: JSONValue) throws(KelterError) -> String {
        let text = try text(value, "created_at", maximum: 64)
        guard isTimestamp(Array(text.utf8)) else {
            throw invalid(
                "\"\(shortened(text))\" is not an RFC 3339 date or date-time.",
                key: "created_at",
                fix: "Write it like 2026-11-23 or 2026-11-23T08:49:00Z."
            )
        }
        return text
    }

    private static func isTimestamp(_ text: [UInt8]) -> Bool {
        func number(_ range: Range<Int>, _ allowed: ClosedRange<Int>) -> Bool {
            guard range.upperBound <= text.count, text[range].allSatisfy({ (0x30...0x39).contains($0) }) else {
                return false
            }
            return allowed.contains(text[range].reduce(0) { $0 * 10 + Int($1 - 0x30) })
        }
        func mark(_ index: Int, _ allowed: String) -> Bool {
            index < text.count && allowed.utf8.contains(text[index])
        }
        guard number(0..<4, 0...9999), mark(4, "-"), number(5..<7, 1...12), mark(7, "-"), number(8..<10, 1...31)
        else { return false }
        if text.count == 10 { return true }
        guard mark(10, "Tt "), number(11..<13, 0...23), mark(13, ":"), number(14..<16, 0...59), mark(16, ":"),
            number(17..<19, 0...60)
        else { return false }
        var position = 19
        if mark(position, ".") {
            let start = position + 1
            position = start
            while position < text.count, (0x30...0x39).contains(text[position]) { position += 1 }
            if position == start { return false }
        }
        if mark(position, "Zz") { return position + 1 == text.count }
        return mark(position, "+-") && number(position + 1..<position + 3, 0...23) && mark(position + 3, ":")
            && number(position + 4..<position + 6, 0...59) && position + 6 == text.count
    }

    private static func check(_ tenant: Tenant, against value: JSONValue, _ name: String) throws(KelterError) {
        guard case .string(let text) = value, let other = try? Tenant(text), other.rowID == tenant.rowID else {
            throw invalid(
                "The \(name) of the metadata differs from the caller's tenant \(tenant.key).",
                key: name,
                fix: "Remove the key, or ingest the file for the tenant it names."
            )
        }
    }
}
