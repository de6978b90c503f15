import KelterChunking
import KelterHashing
import KelterModel
import KelterParsing
import KelterStore

/// What is known of a file's content before its chunks have vectors.
struct PreparedContent: Sendable {
    /// The text.
    enum Text: Sendable {
        case chunks([Chunk])
        case large(LargeText)
    }

    let text: Text
    var title: String?
    var language: String?
    let mediaType: String
    /// What had to be repaired, counted.
    let repairs: [Repair: Int]
    /// By what near duplicates are found.
    var signature: NearDuplicateSignature?

    /// Whether there is nothing to embed.
    var isEmpty: Bool {
        switch text {
        case .chunks(let chunks): chunks.isEmpty
        case .large(let text): !text.hasText
        }
    }
}

/// The chunks of one file with their vectors, ready to be written to any number of scopes.
struct EmbeddedContent: Sendable {
    let content: DocumentContent
    /// Chunks whose vectors were already stored for the same text.
    let reused: Int
}

/// The stages of a document that cost something: read, parse, chunk, embed.
struct ContentProducer: Sendable {
    let tenant: Tenant
    let profile: EmbeddingProfile
    let parser: IsolatedParser
    /// Threads that wait for parser processes.
    let parsers: IOThreads
    let chunker: Chunker
    let source: EmbeddingSource
    let store: Store
    let io: IOThreads
    let buckets: S3Client?
    /// How many documents are parsed at a time.
    let jobs: Budget
    /// Whether texts get a signature, by which near duplicates are found.
    let signs: Bool
    let largeTexts: LargeTextProgress

    /// A document's bytes, its text, its chunks and its vectors are in memory together.
    private static let memoryPerByte = 5

    /// Bytes of memory that an item needs at most.
    func memory(for item: IngestItem) -> Int {
        let growth = parser.rules.expectedGrowth(name: item.file.name)
        let whole = item.content.size * Self.memoryPerByte * growth
        guard item.content.size >= LargeText.minimumBytes,
            parser.rules.expectsPlainText(
                size: item.content.size,
                name: item.file.name,
                mediaType: item.sidecar.mediaType
            )
        else { return whole }
        return min(whole, Self.memoryForLargeText)
    }

    /// Parses and chunks an item, or decodes it when it is too large for that.
    ///
    /// - Throws: ``KelterError`` of the file or its format.
    func prepare(_ item: IngestItem) async throws(KelterError) -> PreparedContent {
        let bytes: [UInt8]
        if item.content.size < LargeText.minimumBytes {
            bytes = try await self.bytes(of: item)
        } else {
            switch try await decode(item) {
            case .text(let text): return prepared(text, of: item)
            case .bytes(let other): bytes = other
            }
        }
        let result = try await parse(bytes, of: item)
        return try await limited { () throws(KelterError) in
            let document = result.document
            let title = item.sidecar.title ?? document.title
            return PreparedContent(
                text: .chunks(try chunker.chunks(of: document, title: title)),
                title: title,
                language: item.sidecar.language ?? document.language,
                mediaType: result.mediaType,
                repairs: document.repairs,
                signature: signs ? ShingleReader.signature(of: document.text) : nil
            )
        }
    }

    /// Finds the texts for which there is neither a stored vector nor one in the cache.
    ///
    /// - Parameters:
    ///   - prepared: The content.
    ///   - previous: Documents whose chunks may be the same.
    ///   - body: Gets the texts.
    /// - Returns: The number of chunks.
    /// - Throws: ``KelterError`` of the database.
    func findMissing(
        _ prepared: PreparedContent,
        previous: [RowID],
        _ body: ([EmbeddingSource.Text]) -> Void
    ) async throws(KelterError) -> Int {
        switch prepared.text {
        case .chunks(let chunks):
            body(try await missing(chunks, previous: previous))
            return chunks.count
        case .large(let text):
            var (count, next) = (0, 0)
            while next < text.count {
                let part = try await part(of: text, from: next, title: prepared.title)
                body(try await missing(part.chunks, previous: previous))
                count += part.chunks.count
                next = part.next
            }
            return count
        }
    }

    private func missing(_ chunks: [Chunk], previous: [RowID]) async throws(KelterError) -> [EmbeddingSource.Text] {
        let texts = try Self.texts(chunks)
        let known = try await stored(texts, in: previous)
        return try await source.uncached(texts.filter { known[$0.hash] == nil }, tenant: tenant)
    }

    /// Gives every chunk its vector: a stored one for a text that did not change, a new one for the others.
    ///
    /// - Parameters:
    ///   - prepared: What ``prepare(_:)`` returned.
    ///   - item: The item.
    ///   - previous: Documents whose chunks may be the same.
    /// - Returns: The content with all chunks.
    /// - Throws: ``KelterError`` of the endpoint, the database, or the temporary file of a large text.
    func embed(
        _ prepared: PreparedContent,
        of item: IngestItem,
        previous: [RowID]
    ) async throws(KelterError) -> EmbeddedContent {
        let fields = ChunkFields(item: item, title: prepared.title, profile: profile)
        switch prepared.text {
        case .large(let text):
            return try await embed(text, fields, previous: previous)
        case .chunks(let chunks):
            let (hashes, vectors, reused) = try await vectors(for: chunks, previous: previous)
            let stored = chunks.indices.map { index in
                let chunk = chunks[index]
                return StoredChunk(
                    ordinal: chunk.ordinal,
                    text: chunk.body,
                    tokens: chunk.tokens,
                    inputHash: hashes[index],
                    metadata: fields.metadata(
                        section: chunk.section.headings,
                        range: chunk.range,
                        place: chunk.place,
                        tableHeader: chunk.tableHeader,
                        language: Self.language(of: chunk)
                    ),
                    vector: vectors[index]
                )
            }
            return EmbeddedContent(content: DocumentContent(stored), reused: reused)
        }
    }

    /// The hashes of the embedded texts, their vectors, and how many of these there were already.
    func vectors(
        for chunks: [Chunk],
        previous: [RowID]
    ) async throws(KelterError) -> (hashes: [ContentHash], vectors: [UnitVector], reused: Int) {
        let texts = try Self.texts(chunks)
        let known = try await stored(texts, in: previous)
        var vectors = texts.map { known[$0.hash].map { UnitVector.unit($0) } ?? .empty }
        let missing = texts.indices.filter { known[texts[$0].hash] == nil }
        var reused = texts.count - missing.count
        if !missing.isEmpty {
            let answer = try await source.vectors(for: missing.map { texts[$0] }, tenant: tenant)
            reused += answer.cached
            for (index, vector) in zip(missing, answer.vectors) { vectors[index] = vector }
        }
        return (texts.map(\.hash), vectors, reused)
    }

    private func stored(
        _ texts: [EmbeddingSource.Text],
        in documents: [RowID]
    ) async throws(KelterError) -> [ContentHash: [Float]] {
        var known: [ContentHash: [Float]] = [:]
        for document in documents {
            let vectors = try await store.vectors(of: texts.map(\.hash), inDocument: document, tenant: tenant)
            known.merge(vectors) { first, _ in first }
        }
        return known
    }

    /// The language of a chunk's own text, which may be another one than the document's.
    private static func language(of chunk: Chunk) -> String? {
        var body = chunk.body
        return body.withUTF8 { detectedLanguage(of: $0) }
    }

    private static func texts(_ chunks: [Chunk]) throws(KelterError) -> [EmbeddingSource.Text] {
        try chunks.map { (chunk) throws(KelterError) in
            EmbeddingSource.Text(
                text: chunk.embeddedText,
                tokens: chunk.tokens,
                hash: try SHA256.hash(chunk.embeddedText)
            )
        }
    }

    private func parse(_ bytes: [UInt8], of item: IngestItem) async throws(KelterError) -> ParseResult {
        let (name, mediaType) = (item.file.name, item.sidecar.mediaType)
        let result = await jobs.with(1) {
            await parsers.run { [parser] () -> Result<ParseResult, KelterError> in
                do throws(KelterError) {
                    return .success(try parser.parse(bytes, name: name, mediaType: mediaType))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
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
    func limited<Value>(_ body: () throws(KelterError) -> Value) async throws(KelterError) -> Value {
        let result: Result<Value, KelterError> = await jobs.with(1) {
            do throws(KelterError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// What the metadata of all chunks of an item have in common; SPEC section 5.
struct ChunkFields: Sendable {
    let externalID: String
    let title: String?
    private let common: [(name: String, value: JSONValue)]

    init(item: IngestItem, title: String?, profile: EmbeddingProfile) {
        externalID = item.externalID
        self.title = title
        common = [
            ("external_id", .string(item.externalID)),
            ("hash", .string(item.content.hash.hex)),
            ("case_id", .string(item.caseID.description)),
            ("embedding_profile", .string(profile.name)),
            ("vector_space_id", .string(profile.vectorSpace)),
        ]
    }

    /// The metadata of a chunk.
    func metadata(
        section: [String],
        range: Range<Int>,
        place: Place? = nil,
        tableHeader: String? = nil,
        language: String? = nil
    ) -> JSONValue {
        let location: [(name: String, value: JSONValue)] = [
            ("section_path", .array(section.map { .string($0) })),
            ("title", .optional(title)),
            ("byte_start", .int(range.lowerBound)),
            ("byte_end", .int(range.upperBound)),
        ]
        var own = place.map { [($0.name, JSONValue.int($0.number))] } ?? []
        if let tableHeader { own.append(("table_header", .string(tableHeader))) }
        if let language { own.append(("language", .string(language))) }
        return .object(location + common + own)
    }
}
