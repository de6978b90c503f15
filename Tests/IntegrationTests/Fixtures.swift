import KelterModel
import KelterStore

/// Small builders that keep the tests about what they test.
enum Fixture {
    static let tenant = tenant("dev-tenant")

    static func tenant(_ key: String) -> Tenant {
        do {
            return try Tenant(key)
        } catch {
            preconditionFailure("\(key) is a valid tenant key")
        }
    }

    /// A digest that is different for every text.
    static func hash(_ text: String) -> ContentHash {
        var bytes = [UInt8](repeating: 0, count: 32)
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        for (index, byte) in (Array(text.utf8) + [UInt8](repeating: 7, count: 32)).enumerated() {
            state = (state ^ UInt64(byte)) &* 0x100_0000_01b3
            bytes[index % 32] ^= UInt8(truncatingIfNeeded: state >> 32)
        }
        guard let hash = ContentHash(bytes: bytes) else { preconditionFailure("32 bytes are a digest") }
        return hash
    }

    /// A collection with a number for a name.
    static func collection(_ number: UInt64) -> CollectionID {
        RowID(high: 0xC011_EC70_0000_4000, low: 0x8000_0000_0000_0000 | number)
    }

    static func id() -> RowID {
        .version7(milliseconds: 1_800_000_000_000)
    }

    /// A unit vector with 1 in one place.
    static func axis(_ place: Int, dimension: Int = 8) -> UnitVector {
        .unit((0..<dimension).map { $0 == place % dimension ? 1 : 0 })
    }

    static func chunk(
        _ ordinal: Int,
        _ text: String,
        vector: UnitVector? = nil,
        dimension: Int = 8
    ) -> StoredChunk {
        StoredChunk(
            ordinal: ordinal,
            text: text,
            tokens: 10,
            inputHash: hash("passage: " + text),
            metadata: .object([("section_path", .array([.string("A")])), ("ordinal", .int(ordinal))]),
            vector: vector ?? axis(ordinal, dimension: dimension)
        )
    }

    static func key(
        _ externalID: String,
        _ bytes: String,
        metadata: String = "m",
        in collection: CollectionID? = nil
    ) -> GuardKey {
        GuardKey(collection: collection, externalID: externalID, hash: hash(bytes), metadataHash: hash(metadata))
    }

    /// An item whose two chunks are made from its bytes.
    static func item(
        _ externalID: String,
        _ bytes: String,
        metadata: String = "m",
        in collection: CollectionID? = nil,
        root: String? = nil,
        title: String? = nil,
        language: String? = nil,
        hasContent: Bool = true,
        content: [StoredChunk]? = nil
    ) -> DocumentWrite {
        DocumentWrite(
            newDocumentID: id(),
            key: key(externalID, bytes, metadata: metadata, in: collection),
            attributes: DocumentAttributes(
                title: title,
                language: language,
                embeddingModel: "model",
                metadata: .object([("note", .string(metadata))])
            ),
            bytes: bytes.utf8.count,
            root: root,
            content: hasContent
                ? DocumentContent(content ?? [chunk(0, bytes + " eins"), chunk(1, bytes + " zwei")]) : nil
        )
    }
}

extension DocumentContent {
    /// Content that lies elsewhere, with keys at hand.
    init(_ keys: [Key], load: @escaping @Sendable (Range<Int>) throws(KelterError) -> [StoredChunk]) {
        let summary = keys.reduce(into: Summary()) { $0.add($1) }
        self.init(summary, keys: { Array(keys[$0]) }, load: load)
    }
}

extension Store {
    /// The first column of the first row as a number.
    func count(_ sql: String, tenant: Tenant? = nil) async throws -> Int? {
        try await rows(sql, tenant: tenant).first?.first.flatMap { $0 }.flatMap { Int($0) }
    }

    /// The hashes of all texts that chunks are made of, as a superuser sees them.
    func inputHashes() async throws -> [ContentHash] {
        try await rows("SELECT DISTINCT encode(input_hash, 'hex') FROM rag.chunks").compactMap { row in
            row.first.flatMap { $0 }.flatMap { ContentHash(hex: $0) }
        }
    }

    /// What must hold after everything: no document without a source, chunk gaps, stray rows or scope differences.
    func violations() async throws -> [String] {
        let checks = [
            (
                "live documents without a source",
                """
                SELECT count(*) FROM rag.documents d WHERE deleted_at IS NULL
                AND NOT EXISTS (SELECT FROM rag.sources s WHERE s.document_id = d.id)
                """
            ),
            (
                "documents whose name is not one of their sources",
                """
                SELECT count(*) FROM rag.documents d WHERE deleted_at IS NULL AND NOT EXISTS
                (SELECT FROM rag.sources s WHERE s.document_id = d.id AND s.external_id = d.external_id)
                """
            ),
            (
                "gaps in ordinals",
                """
                SELECT count(*) FROM (SELECT FROM rag.chunks GROUP BY document_id
                HAVING count(*) <> max(ordinal) + 1 OR min(ordinal) <> 0)
                """
            ),
            (
                "documents without chunks",
                """
                SELECT count(*) FROM rag.documents d
                WHERE NOT EXISTS (SELECT FROM rag.chunks c WHERE c.document_id = d.id)
                """
            ),
            (
                "scopes that differ",
                """
                SELECT count(*) FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
                LEFT JOIN rag.embeddings e ON e.chunk_id = c.id
                WHERE (d.tenant_id, d.collection_id) IS DISTINCT FROM (c.tenant_id, c.collection_id)
                OR (e.chunk_id IS NOT NULL AND
                    (d.tenant_id, d.collection_id) IS DISTINCT FROM (e.tenant_id, e.collection_id))
                """
            ),
        ]
        var found: [String] = []
        for (name, sql) in checks where try await count(sql) != 0 { found.append(name) }
        return found
    }
}
