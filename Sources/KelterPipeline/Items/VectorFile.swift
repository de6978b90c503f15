import KelterModel
import KelterParsing
import KelterStore
import Synchronization

/// The chunks of a large text with their vectors, in a temporary file until they are written to the database.
///
/// One record for each, all of the same length: begin and end of its text, tokens and the vector's width as 64-bit
/// integers, and the vector, all in the order of the machine's bytes.
final class VectorFile: Sendable {
    /// A chunk.
    struct Entry: Sendable {
        /// Bytes of the text.
        let range: Range<Int>
        let tokens: Int
        let inputHash: ContentHash
        let vector: UnitVector
    }

    private static let headBytes = 4 * MemoryLayout<Int>.size

    private let file: ScratchFile
    private let dimension: Int
    private let keys = Mutex<[DocumentContent.Key]>([])

    private var recordBytes: Int { Self.headBytes + dimension * MemoryLayout<Float>.size }

    /// Makes an empty file for vectors of a width.
    ///
    /// - Throws: ``KelterError`` of the temporary file.
    init(dimension: Int) throws(KelterError) {
        file = try ScratchFile()
        self.dimension = dimension
    }

    /// Appends chunks; blocks.
    ///
    /// - Throws: ``KelterError`` of the temporary file, or with ``ErrorCode/vectorDimensionMismatch``.
    func append(_ entries: [Entry]) throws(KelterError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * recordBytes)
        var added: [DocumentContent.Key] = []
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
            values.withUnsafeBytes { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: repeatElement(0, count: (dimension - values.count) * MemoryLayout<Float>.size))
            added.append(DocumentContent.Key(inputHash: entry.inputHash, dimension: values.count))
        }
        let offset = keys.withLock { $0.count } * recordBytes
        let result: Result<Void, KelterError> = bytes.withUnsafeBytes { bytes in
            do throws(KelterError) { return .success(try file.write(bytes, at: offset)) } catch {
                return .failure(error)
            }
        }
        try result.get()
        keys.withLock { $0 += added }
    }

    /// The content of a document of the text.
    func content(of text: LargeText, _ fields: ChunkFields) -> DocumentContent {
        let keys = keys.withLock { $0 }
        return DocumentContent(keys: keys) { (range) throws(KelterError) in
            let bytes = try self.file.read(
                at: range.lowerBound * self.recordBytes,
                count: range.count * self.recordBytes
            )
            return try range.map { (ordinal) throws(KelterError) in
                let (place, tokens, values) = self.record(bytes, at: (ordinal - range.lowerBound) * self.recordBytes)
                return StoredChunk(
                    ordinal: ordinal,
                    text: String(decoding: try text.bytes(place), as: UTF8.self),
                    tokens: tokens,
                    inputHash: keys[ordinal].inputHash,
                    metadata: fields.metadata(section: [], range: place, page: nil),
                    vector: values.isEmpty ? .empty : .unit(values)
                )
            }
        }
    }

    private func record(_ bytes: [UInt8], at offset: Int) -> (Range<Int>, tokens: Int, [Float]) {
        bytes.withUnsafeBytes { bytes in
            func integer(_ index: Int) -> Int {
                bytes.loadUnaligned(fromByteOffset: offset + index * MemoryLayout<Int>.size, as: Int.self)
            }
            let values = (0..<integer(3)).map { index in
                let place = offset + Self.headBytes + index * MemoryLayout<Float>.size
                return bytes.loadUnaligned(fromByteOffset: place, as: Float.self)
            }
            return (integer(0)..<integer(1), integer(2), values)
        }
    }
}
