import KelterChunking
import KelterHashing
import KelterModel
import KelterParsing
import KelterStore

// Plain texts that are too large for memory go through the stages in parts, and wait for their transaction in a file.
extension ContentProducer {
    /// So many parts are chunked and embedded at a time.
    private static let partsAtATime = 4
    /// What these parts need: each its text, its chunks, their requests and replies, and its vectors.
    static let memoryForLargeText = 40 << 20

    /// A part of a text in chunks, whose ranges count from the beginning of the text.
    struct Part: Sendable {
        let chunks: [Chunk]
        /// Where the part begins.
        let start: Int
        /// Where the next one begins.
        let next: Int
    }

    /// Reads an item that may be a large text; its bytes are those that were hashed.
    ///
    /// - Throws: ``KelterError`` of the file or its format.
    func decode(_ item: IngestItem) async throws(KelterError) -> DecodedContent {
        let (buckets, signs) = (buckets, signs)
        return try await io.attempt { () throws(KelterError) in
            try item.file.location.decoded(
                item.content,
                name: item.file.name,
                mediaType: item.sidecar.mediaType,
                signs: signs,
                buckets: buckets
            )
        }
    }

    func prepared(_ text: LargeText, of item: IngestItem) -> PreparedContent {
        PreparedContent(
            text: .large(text),
            title: item.sidecar.title,
            language: item.sidecar.language ?? text.language,
            mediaType: LargeText.mediaType,
            repairs: text.repairs,
            signature: text.signature
        )
    }

    /// Chunks the part of a text that begins at a byte.
    func part(of text: LargeText, from start: Int, title: String?) async throws(KelterError) -> Part {
        let (document, next) = try await io.attempt { () throws(KelterError) in try text.part(from: start) }
        let chunks = try await limited { () throws(KelterError) in try chunker.chunks(of: document, title: title) }
        return Part(chunks: chunks, start: start, next: next)
    }

    /// Embeds a text part by part; what comes is kept in a file until all of it is there.
    func embed(
        _ text: LargeText,
        _ fields: ChunkFields,
        previous: [RowID]
    ) async throws(KelterError) -> EmbeddedContent {
        let file = try VectorFile(dimension: profile.dimension)
        typealias Embedded = Result<[VectorFile.Entry], KelterError>
        return try await withTaskGroup(of: (Int, Embedded, Int).self) { group -> Result<EmbeddedContent, KelterError> in
            var done: [Int: Embedded] = [:]
            var ends: [Int] = []
            var (begun, taken, start, reused) = (0, 0, 0, 0)
            do throws(KelterError) {
                while start < text.count || taken < begun {
                    while start < text.count, begun - taken < Self.partsAtATime {
                        let part = try await part(of: text, from: start, title: fields.title)
                        let number = begun
                        group.addTask { await embedded(part, number, previous: previous) }
                        (begun, start) = (begun + 1, part.next)
                        ends.append(part.next)
                    }
                    // The parts are written in their order.
                    while let entries = done.removeValue(forKey: taken) {
                        let entries = try entries.get()
                        try await io.attempt { () throws(KelterError) in try file.append(entries) }
                        largeTexts.update(fields.externalID, .embedded, ends[taken], of: text.count)
                        taken += 1
                    }
                    if taken < begun, let (number, result, known) = await group.next() {
                        done[number] = result
                        reused += known
                    }
                }
            } catch {
                group.cancelAll()
                return .failure(error)
            }
            return .success(EmbeddedContent(content: file.content(of: text, fields, largeTexts), reused: reused))
        }.get()
    }

    private func embedded(
        _ part: Part,
        _ number: Int,
        previous: [RowID]
    ) async -> (Int, Result<[VectorFile.Entry], KelterError>, Int) {
        do throws(KelterError) {
            let (hashes, vectors, reused) = try await vectors(for: part.chunks, previous: previous)
            let entries = part.chunks.indices.map { index in
                let chunk = part.chunks[index]
                return VectorFile.Entry(
                    range: part.start + chunk.range.lowerBound..<part.start + chunk.range.upperBound,
                    tokens: chunk.tokens,
                    inputHash: hashes[index],
                    vector: vectors[index]
                )
            }
            return (number, .success(entries), reused)
        } catch {
            return (number, .failure(error), 0)
        }
    }
}

/// What is in a file that is too large to be read before its format is known.
enum DecodedContent: Sendable {
    case text(LargeText)
    /// The bytes of another format.
    case bytes([UInt8])
}

extension ContentLocation {
    /// Decodes what lies here if it is plain text, else returns its bytes; blocks.
    ///
    /// - Parameters:
    ///   - content: What it was when it was hashed.
    ///   - name: Its name.
    ///   - mediaType: The type a sidecar declares.
    ///   - signs: Whether a text gets a signature.
    ///   - buckets: Who reads objects of buckets.
    /// - Returns: The text, or the bytes.
    /// - Throws: ``KelterError`` of the file or its format, with ``ErrorCode/fileChanged`` when it is another by now.
    func decoded(
        _ content: FileContent,
        name: String,
        mediaType: String?,
        signs: Bool,
        buckets: S3Client?
    ) throws(KelterError) -> DecodedContent {
        var charset: LargeTextWriter.Charset?
        for _ in 0..<2 {
            var writer = LargeTextWriter(
                size: content.size,
                name: name,
                mediaType: mediaType,
                charset: charset,
                signs: signs
            )
            var hasher = SHA256()
            do throws(KelterError) {
                try stream(maximum: content.size, buckets: buckets) { (piece, _) throws(KelterError) in
                    hasher.update(piece)
                    try writer.add(piece)
                }
            } catch {
                throw error.code == .fileTooLarge ? changed(path) : error
            }
            guard try hasher.finish() == content.hash else { throw changed(path) }
            switch try writer.finish() {
            case .text(let text): return .text(text)
            case .other(let bytes): return .bytes(bytes)
            case .inCharset(let found): charset = found
            }
        }
        throw changed(path)
    }
}
