import KelterModel
import KelterParsing
import KelterStore
import Synchronization

/// The chunks of a large text with their vectors, in a temporary file until they are written to the database.
///
/// One record for each, all of the same length: begin and end of its text, tokens and the vector's width as 64-bit
/// integers, the digest of its embedded text, and the vector, all in the order of the machine's bytes.
final class VectorFile: Sendable {
    /// A chunk.
    struct Entry: Sendable {
        /// Bytes of the text.
        let range: Range<Int>
        let tokens: Int
        let inputHash: ContentHash
        let vector: UnitVector
    }

    private static let hashOffset = 4 * MemoryLayout<Int>.size
    private static let headBytes = hashOffset + 32

    private let file: ScratchFile
    private let dimension: Int
    private let recordBytes: Int
    private let summary = Mutex(DocumentContent.Summary())

    /// Makes an empty file for vectors of a width.
    ///
    /// - Throws: ``KelterError`` of the temporary file.
    init(dimension: Int) throws(KelterError) {
        file = try ScratchFile()
        self.dimension = dimension
        recordBytes = Self.headBytes + dimension * MemoryLayout<Float>.size
    }

    /// Appends chunks; blocks.
    ///
    /// - Throws: ``KelterError`` of the temporary file, or with ``ErrorCode/vectorDimensionMismatch``.
    func append(_ entries: [Entry]) throws(KelterError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * recordBytes)
        var summary = summary.withLock { $0 }
        let offset = summary.count * recordBytes
        for entry in entries {
            let values = entry.vector.values ?? []
            guard values.isEmpty || values.count == dimension else {
                throw KelterError(
                    .vectorDimensionMismatch,
                    "A vector has \(values.count) dimensions where the profile has \(dimension).",
                    subject: "EMBEDDINGS_DIM",
                    fix: "Correct EMBEDDINGS_DIM or the model."
                )
            }
            let head = [entry.range.lowerBound, entry.range.upperBound, entry.tokens, values.count]
            head.withUnsafeBytes { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: entry.inputHash.bytes)
            values.withUnsafeBytes { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: repeatElement(0, count: (dimension - values.count) * MemoryLayout<Float>.size))
            summary.add(DocumentContent.Key(inputHash: entry.inputHash, dimension: values.count))
        }
        let result: Result<Void, KelterError> = bytes.withUnsafeBytes { bytes in
            do throws(KelterError) { return .success(try file.write(bytes, at: offset)) } catch {
                return .failure(error)
            }
        }
        try result.get()
        self.summary.withLock { [summary] in $0 = summary }
    }

    /// The content of a document of the text; its progress is told as it is written.
    func content(of text: LargeText, _ fields: ChunkFields, _ progress: LargeTextProgress) -> DocumentContent {
        let summary = summary.withLock { $0 }
        return DocumentContent(summary) { (range) throws(KelterError) in
            try self.heads(range).map(\.key)
        } load: { (range) throws(KelterError) in
            progress.update(fields.externalID, .written, range.lowerBound, of: summary.count)
            let bytes = try self.records(range)
            return try range.map { (ordinal) throws(KelterError) in
                let offset = (ordinal - range.lowerBound) * self.recordBytes
                let head = try self.head(bytes, at: offset)
                return StoredChunk(
                    ordinal: ordinal,
                    text: String(decoding: try text.bytes(head.range), as: UTF8.self),
                    tokens: head.tokens,
                    inputHash: head.key.inputHash,
                    metadata: fields.metadata(section: [], range: head.range),
                    vector: self.vector(bytes, at: offset + Self.headBytes, count: head.key.dimension)
                )
            }
        }
    }

    /// What a record begins with.
    private struct Head {
        let range: Range<Int>
        let tokens: Int
        let key: DocumentContent.Key
    }

    private func records(_ range: Range<Int>) throws(KelterError) -> [UInt8] {
        try file.read(at: range.lowerBound * recordBytes, count: range.count * recordBytes)
    }

    private func heads(_ range: Range<Int>) throws(KelterError) -> [Head] {
        let bytes = try records(range)
        return try range.map { (ordinal) throws(KelterError) in
            try head(bytes, at: (ordinal - range.lowerBound) * recordBytes)
        }
    }

    private func head(_ bytes: [UInt8], at offset: Int) throws(KelterError) -> Head {
        let integers = bytes.withUnsafeBytes { bytes in
            (0..<4).map { bytes.loadUnaligned(fromByteOffset: offset + $0 * MemoryLayout<Int>.size, as: Int.self) }
        }
        guard let hash = ContentHash(bytes: Array(bytes[offset + Self.hashOffset..<offset + Self.headBytes])),
            integers[0] <= integers[1], (0...dimension).contains(integers[3])
        else { throw KelterError(.internalError, "A temporary file holds something else than what was written.") }
        return Head(
            range: integers[0]..<integers[1],
            tokens: integers[2],
            key: DocumentContent.Key(inputHash: hash, dimension: integers[3])
        )
    }

    private func vector(_ bytes: [UInt8], at offset: Int, count: Int) -> UnitVector {
        guard count > 0 else { return .empty }
        let size = MemoryLayout<Float>.size
        return .unit(
            bytes.withUnsafeBytes { bytes in
                [Float](unsafeUninitializedCapacity: count) { values, filled in
                    UnsafeMutableRawBufferPointer(values).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count * size])
                    )
                    filled = count
                }
            }
        )
    }
}
