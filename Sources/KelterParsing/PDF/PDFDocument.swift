import Glibc
import KelterModel

/// A PDF that is open; belongs to the thread that has PDFium.
final class PDFDocument {
    /// A bookmark of the outline.
    struct Bookmark {
        let title: String
        /// From 1.
        let level: Int
        /// From 1; `nil` where it leads elsewhere.
        let page: Int?
    }

    private let library: PDFium
    private let handle: PDFium.Handle
    /// PDFium reads from it as long as the document is open.
    private let bytes: UnsafeMutableRawBufferPointer

    /// - Throws: ``KelterError`` with ``ErrorCode/documentEncrypted`` for one with a password, or `parserFailed`.
    init(_ content: [UInt8], _ library: PDFium) throws(KelterError) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, content.count), alignment: 16)
        content.withUnsafeBytes { bytes.copyMemory(from: $0) }
        guard let handle = library.loadDocument(bytes.baseAddress, content.count, nil) else {
            bytes.deallocate()
            if library.lastError() == PDFium.passwordError {
                throw KelterError(.documentEncrypted, "The PDF has a password.", fix: "Save it without one.")
            }
            throw KelterError(.parserFailed, "The PDF is damaged.", fix: "Print or export it to a new PDF.")
        }
        self.bytes = bytes
        self.library = library
        self.handle = handle
    }

    deinit {
        library.closeDocument(handle)
        bytes.deallocate()
    }

    var pageCount: Int { Int(library.pageCount(handle)) }

    /// The title of its properties.
    var title: String? {
        text { library.metadata(handle, "Title", $0, $1) }
    }

    /// The language of its catalogue.
    var language: String? {
        guard let language = library.language else { return nil }
        return text { language(handle, $0, $1) }
    }

    /// The lines of a page, and whether it has images.
    ///
    /// - Parameter index: The page, from 0.
    /// - Returns: `nil` for a page that cannot be read.
    func page(_ index: Int) -> (page: PDFPage, hasImages: Bool)? {
        guard let page = library.loadPage(handle, Int32(index)) else { return nil }
        defer { library.closePage(page) }
        let height = Double(library.pageHeight(page))
        guard let text = library.loadText(page) else { return nil }
        defer { library.closeText(text) }
        var reader = PDFLineReader(library, text)
        let lines = reader.read()
        let hasImages = lines.isEmpty && hasImages(page)
        return (PDFPage(number: index + 1, height: height, lines: lines), hasImages)
    }

    /// A page as it is printed: a byte for every dot, 0 for black.
    ///
    /// - Parameters:
    ///   - index: The page, from 0.
    ///   - resolution: Dots per inch.
    /// - Returns: `nil` for a page that cannot be drawn or is larger than A0.
    func drawing(_ index: Int, resolution: Int) -> (gray: [UInt8], width: Int, height: Int)? {
        guard let page = library.loadPage(handle, Int32(index)) else { return nil }
        defer { library.closePage(page) }
        let size = [library.pageWidth(page), library.pageHeight(page)].map { Double($0) * Double(resolution) / 72 }
        guard size.allSatisfy({ 1...14_100 ~= $0 }) else { return nil }
        let (width, height) = (Int(size[0]), Int(size[1]))
        // White; PDFium draws over it.
        var gray = [UInt8](repeating: 0xFF, count: width * height)
        let isDrawn = gray.withUnsafeMutableBytes { gray in
            guard
                let bitmap = library.createBitmap(
                    Int32(width),
                    Int32(height),
                    PDFium.grayFormat,
                    gray.baseAddress,
                    Int32(width)
                )
            else { return false }
            library.drawPage(bitmap, page, 0, 0, Int32(width), Int32(height), 0, 0)
            library.destroyBitmap(bitmap)
            return true
        }
        return isDrawn ? (gray, width, height) : nil
    }

    private func hasImages(_ page: PDFium.Handle) -> Bool {
        (0..<min(library.objectCount(page), 1_000)).contains { index in
            library.object(page, index).map { library.objectType($0) == PDFium.imageType } ?? false
        }
    }

    /// The outline from the top, at most 10,000 entries and 16 levels: a damaged one may be a circle.
    var bookmarks: [Bookmark] {
        var found: [Bookmark] = []
        var seen: Set<PDFium.Handle> = []
        func visit(_ parent: PDFium.Handle?, _ level: Int) {
            var next = library.firstChild(handle, parent)
            while let bookmark = next, found.count < 10_000, seen.insert(bookmark).inserted {
                let title = text { library.bookmarkTitle(bookmark, $0, $1) }
                let destination = library.bookmarkDestination(handle, bookmark)
                let page = destination.map { Int(library.destinationPage(handle, $0)) + 1 }
                if let title { found.append(Bookmark(title: title, level: level, page: page)) }
                if level < 16 { visit(bookmark, level + 1) }
                next = library.nextSibling(handle, bookmark)
            }
        }
        visit(nil, 1)
        return found
    }

    /// A text that PDFium writes as UTF-16LE with a NUL at its end: asked for its size first.
    private func text(_ write: (UnsafeMutableRawPointer?, UInt) -> UInt) -> String? {
        let size = Int(clamping: write(nil, 0))
        guard size > 2, size <= 1 << 16 else { return nil }
        var units = [UInt16](repeating: 0, count: size / 2)
        units.withUnsafeMutableBytes { _ = write($0.baseAddress, UInt($0.count)) }
        let text = collapsedText(Array(String(decoding: units.prefix { $0 != 0 }, as: UTF16.self).utf8))
        return text.isEmpty ? nil : text
    }
}
