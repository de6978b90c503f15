import KelterChunking
import KelterHashing
import KelterModel
import KelterParsing
import KelterStore

/// What the stages made of one file, ready to be written to any number of scopes.
struct PreparedContent: Sendable {
    var chunks: [StoredChunk]
    var title: String?
    var language: String?
    var mediaType: String
    /// By what near duplicates are found.
    var signature: NearDuplicateSignature?
    /// Chunks whose vectors were already stored for the same text.
    var reused = 0
}

/// The stages of a document that cost something: read, parse, chunk, embed.
struct ContentProducer: Sendable {
    let tenant: Tenant
    let profile: EmbeddingProfile
    let parser: DocumentParser
    let chunker: Chunker
    let source: EmbeddingSource
    let store: Store
    let io: IOThreads
    let buckets: S3Client?
    /// How many documents are parsed at a time.
    let jobs: Budget
    /// Whether texts get a signature, by which near duplicates are found.
    let signs: Bool

    /// Parses and chunks an item.
    ///
    /// - Throws: ``KelterError`` of the file or its format.
    func chunks(of item: IngestItem) async throws(KelterError) -> (content: PreparedContent, chunks: [Chunk]) {
        let bytes = try await bytes(of: item)
        return try await limited { () throws(KelterError) in
            let result = try parser.parse(bytes, name: item.file.name, mediaType: item.sidecar.mediaType)
            let document = result.document
            let title = item.sidecar.title ?? document.title
            var content = PreparedContent(
                chunks: [],
                title: title,
                language: item.sidecar.language ?? document.language,
                mediaType: result.mediaType
            )
            if signs { content.signature = ShingleReader.signature(of: document.text) }
            return (content, try chunker.chunks(of: document, title: title))
        }
    }

    /// The texts of chunks for which there is neither a stored vector nor one in the cache.
    ///
    /// - Throws: ``KelterError`` of the database.
    func missing(_ chunks: [Chunk], previous: [RowID]) async throws(KelterError) -> [EmbeddingSource.Text] {
        var known: Set<ContentHash> = []
        for document in previous {
            known.formUnion(try await store.vectors(ofDocument: document, tenant: tenant).keys)
        }
        let texts = try chunks.map { (chunk) throws(KelterError) in
            EmbeddingSource.Text(
                text: chunk.embeddedText,
                tokens: chunk.tokens,
                hash: try SHA256.hash(chunk.embeddedText)
            )
        }
        return try await source.uncached(texts.filter { !known.contains($0.hash) }, tenant: tenant)
    }

    /// Gives every chunk its vector: a stored one for a text that did not change, a new one for the others.
    ///
    /// - Parameters:
    ///   - prepared: What ``chunks(of:)`` returned.
    ///   - item: The item.
    ///   - previous: Documents whose chunks may be the same.
    /// - Returns: The content with all chunks.
    /// - Throws: ``KelterError`` of the endpoint or the database.
    func embed(
        _ prepared: (content: PreparedContent, chunks: [Chunk]),
        of item: IngestItem,
        previous: [RowID]
    ) async throws(KelterError) -> PreparedContent {
        var content = prepared.content
        let hashes = try prepared.chunks.map { (chunk) throws(KelterError) in try SHA256.hash(chunk.embeddedText) }
        var known: [ContentHash: [Float]] = [:]
        for document in previous {
            known.merge(try await store.vectors(ofDocument: document, tenant: tenant)) { first, _ in first }
        }
        let missing = prepared.chunks.indices.filter { known[hashes[$0]] == nil }
        content.reused = prepared.chunks.count - missing.count
        var vectors: [UnitVector?] = hashes.map { known[$0].map { .unit($0) } }
        if !missing.isEmpty {
            let texts = missing.map {
                EmbeddingSource.Text(
                    text: prepared.chunks[$0].embeddedText,
                    tokens: prepared.chunks[$0].tokens,
                    hash: hashes[$0]
                )
            }
            let answer = try await source.vectors(for: texts, tenant: tenant)
            content.reused += answer.cached
            for (index, vector) in zip(missing, answer.vectors) { vectors[index] = vector }
        }
        content.chunks = zip(prepared.chunks.indices, prepared.chunks).map { index, chunk in
            StoredChunk(
                ordinal: chunk.ordinal,
                text: chunk.body,
                tokens: chunk.tokens,
                inputHash: hashes[index],
                metadata: metadata(of: chunk, item: item, title: content.title),
                vector: vectors[index] ?? .empty
            )
        }
        return content
    }

    /// The bytes of an item: those kept when it was hashed, or read again and compared.
    private func bytes(of item: IngestItem) async throws(KelterError) -> [UInt8] {
        if let bytes = item.content.bytes { return bytes }
        let location = item.file.location
        let (size, buckets) = (item.content.size, buckets)
        let again = await io.run { () -> Result<FileContent, KelterError> in
            do throws(KelterError) {
                return .success(try location.read(keepUpTo: size, maximum: size, buckets: buckets))
            } catch {
                return .failure(error.code == .fileTooLarge ? changed(location.path) : error)
            }
        }
        let content = try again.get()
        guard content.hash == item.content.hash, let bytes = content.bytes else { throw changed(item.externalID) }
        return bytes
    }

    @concurrent
    private func limited<Value>(_ body: () throws(KelterError) -> Value) async throws(KelterError) -> Value {
        let result: Result<Value, KelterError> = await jobs.with(1) {
            do throws(KelterError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// The metadata of a chunk; SPEC section 5.
    private func metadata(of chunk: Chunk, item: IngestItem, title: String?) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("section_path", .array(chunk.section.headings.map { .string($0) })),
            ("title", .optional(title)),
            ("byte_start", .int(chunk.range.lowerBound)),
            ("byte_end", .int(chunk.range.upperBound)),
            ("external_id", .string(item.externalID)),
            ("hash", .string(item.content.hash.hex)),
            ("case_id", .string(item.caseID.description)),
            ("embedding_profile", .string(profile.name)),
            ("vector_space_id", .string(profile.vectorSpace)),
        ]
        if let page = chunk.page { members.append(("page", .int(page))) }
        return .object(members)
    }
}
