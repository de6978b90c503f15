package import KelterChunking
import KelterHashing
package import KelterModel
package import KelterParsing

/// A file as the first two stages see it, for people to look at; nothing is embedded or stored.
package struct FileInspection {
    /// A document, or a part of one that is too large for memory.
    package struct Part {
        package let document: ParsedDocument
        /// Where it begins in the text of the file.
        package let start: Int
    }

    /// What the file turned out to be.
    package let mediaType: String
    /// The title: the sidecar's, else the document's own.
    package let title: String?
    /// The language: the sidecar's, else the document's own.
    package let language: String?
    /// Bytes of the extracted text.
    package let textBytes: Int
    /// What had to be repaired, counted.
    package let repairs: [Repair: Int]
    private let text: Text

    private enum Text {
        case whole(ParsedDocument)
        case large(LargeText)
    }

    /// Parses a file, with the title, the language and the media type of its sidecar; blocks.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - parser: What parses it.
    ///   - declared: Its type, which beats that of the sidecar; `nil` for that.
    /// - Throws: ``KelterError`` of the file, its metadata or its format.
    package init(
        path: String,
        parser: IsolatedParser,
        mediaType declared: String? = nil
    ) throws(KelterError) {
        try refuseDirectory(path)
        var tree = try FileTree(inputs: [path], opensContainers: false)
        guard case .file(let file)? = tree.next(1).first else { throw noDocument(path) }
        let sidecar = try file.sidecar.map { (sidecar) throws(KelterError) in
            let limit = 1 << 20
            let bytes = try sidecar.read(keepUpTo: limit, maximum: limit, buckets: nil).bytes ?? []
            do throws(JSONReader.Failure) {
                return try JSONReader.read(bytes)
            } catch {
                throw Sidecar.notJSON(error).about(sidecar.path)
            }
        }
        let mediaType = declared ?? sidecar?["media_type"]?.string
        let content = try file.location.read(
            keepUpTo: LargeText.minimumBytes - 1,
            maximum: Ingestion.maximumFileBytes,
            buckets: nil
        ) { (size, piece) throws(KelterError) in
            try parser.rules.checkSize(size, beginning: Array(piece), name: file.name, mediaType: mediaType)
        }
        let decoded: DecodedContent =
            if let bytes = content.bytes { .bytes(bytes) } else {
                try file.location.decoded(content, name: file.name, mediaType: mediaType, signs: false, buckets: nil)
            }
        var document: ParsedDocument?
        var largeTextLanguage: String?
        switch decoded {
        case .text(let large):
            text = .large(large)
            textBytes = large.count
            repairs = large.repairs
            largeTextLanguage = large.language
            self.mediaType = LargeText.mediaType
        case .bytes(let bytes):
            let result = try parser.parse(bytes, name: file.name, mediaType: mediaType)
            document = result.document
            text = .whole(result.document)
            textBytes = result.document.text.count
            repairs = result.document.repairs
            self.mediaType = result.mediaType
        }
        title = sidecar?["title"]?.string ?? document?.title
        language = sidecar?["language"]?.string ?? document?.language ?? largeTextLanguage
    }

    /// Passes on the document, a large text part by part.
    ///
    /// - Throws: ``KelterError`` of the temporary file, and what `body` throws.
    package func parts(_ body: (Part) throws(KelterError) -> Void) throws(KelterError) {
        switch text {
        case .whole(let document):
            try body(Part(document: document, start: 0))
        case .large(let text):
            var start = 0
            while start < text.count {
                let (document, next) = try text.part(from: start)
                try body(Part(document: document, start: start))
                start = next
            }
        }
    }

    /// Passes on the chunks, with the ordinals and ranges they would be stored with.
    ///
    /// - Parameters:
    ///   - chunker: The chunker of a profile.
    ///   - body: Gets them in their order.
    /// - Throws: ``KelterError`` of the chunker, and what `body` throws.
    package func chunks(
        _ chunker: Chunker,
        _ body: (Chunk) throws(KelterError) -> Void
    ) throws(KelterError) {
        var ordinal = 0
        try parts { (part) throws(KelterError) in
            for var chunk in try chunker.chunks(of: part.document, title: title) {
                chunk.ordinal = ordinal
                chunk.range = part.start + chunk.range.lowerBound..<part.start + chunk.range.upperBound
                ordinal += 1
                try body(chunk)
            }
        }
    }
}
