import Glibc
import KelterModel

/// Reads text from images with Tesseract, where it is installed; a language after the other is loaded once.
///
/// A value without state: what it loads belongs to the document that is being read.
package struct TextRecognition: Sendable {
    /// Dots per inch that pages are drawn with: what Tesseract was trained for.
    static let resolution = 300
    /// More pages of a document are not recognised.
    ///
    /// 500; a page takes a second or two.
    static let mostPages = 500

    /// Tesseract's names of languages, joined by `+`.
    let languages: String
    private let beforePage: @Sendable () -> Void

    /// - Parameters:
    ///   - languages: Tesseract's names of the languages to look for, joined by `+`. Default German and English.
    ///   - beforePage: Called before each page, which takes seconds.
    package init(languages: String = "deu+eng", beforePage: @escaping @Sendable () -> Void = {}) {
        self.languages = languages
        self.beforePage = beforePage
    }

    /// Starts Tesseract.
    ///
    /// - Throws: ``KelterError`` with `needsOCR` when it or its languages are not installed.
    func start() throws(KelterError) -> TextRecognizer {
        guard let functions = Tesseract.installed, let handle = functions.create() else { throw needsOCR }
        // Those that are installed are used.
        guard functions.start(handle, nil, languages) == 0 else {
            functions.delete(handle)
            throw needsOCR
        }
        return TextRecognizer(functions, handle, beforePage)
    }

    private var needsOCR: KelterError {
        KelterError(
            .needsOCR,
            "It is an image, and Tesseract with its languages \(languages) is not installed.",
            fix: "Install tesseract-ocr and tesseract-ocr-deu, or run the file through OCR, for example with ocrmypdf."
        )
    }
}

/// Tesseract at work on one document; never leaves the thread that is at it.
final class TextRecognizer {
    private let functions: Tesseract
    private let handle: Tesseract.Handle
    private let beforePage: @Sendable () -> Void
    /// The pages that have been recognised.
    private(set) var pages = 0

    init(_ functions: Tesseract, _ handle: Tesseract.Handle, _ beforePage: @escaping @Sendable () -> Void) {
        self.functions = functions
        self.handle = handle
        self.beforePage = beforePage
    }

    deinit {
        functions.delete(handle)
    }

    /// The lines of a page that was drawn: a byte for every dot, 0 for black.
    func page(_ number: Int, gray: [UInt8], width: Int, height: Int) -> PDFPage {
        beforePage()
        functions.setImage(handle, gray, Int32(width), Int32(height), 1, Int32(width))
        return recognised(number, height: height)
    }

    /// The pages of an image file; none when it cannot be read.
    func pages(ofImage bytes: [UInt8], isTIFF: Bool) -> [PDFPage] {
        var pages: [PDFPage] = []
        var offset = 0
        repeat {
            let picture =
                isTIFF ? functions.readTIFF(bytes, bytes.count, &offset) : functions.readPicture(bytes, bytes.count)
            guard let picture else { break }
            beforePage()
            functions.setPicture(handle, picture)
            pages.append(recognised(pages.count + 1, height: Int(functions.pictureHeight(picture))))
            var released: Tesseract.Handle? = picture
            functions.destroyPicture(&released)
        } while isTIFF && offset != 0 && pages.count < TextRecognition.mostPages
        return pages
    }

    private func recognised(_ number: Int, height: Int) -> PDFPage {
        functions.setResolution(handle, Int32(TextRecognition.resolution))
        defer { functions.clear(handle) }
        pages += 1
        guard let table = functions.table(handle, 0) else { return PDFPage(number: number, height: 0, lines: []) }
        defer { functions.deleteText(table) }
        let lines = recognisedLines(String(cString: table), height: height)
        return PDFPage(number: number, height: Self.points(height), lines: lines)
    }

    /// Dots as units of PDF.
    fileprivate static func points(_ dots: Int) -> Double { Double(dots) * 72 / Double(TextRecognition.resolution) }
}

/// The lines of Tesseract's table.
///
/// Its columns are separated by tabs: level, page, block, paragraph, line, word, left, top, width, height, confidence, text;
/// tesseract(1), "TSV output".
/// All lines are taken for equally high: the boxes are as high as the letters that happen to be in them.
private func recognisedLines(_ table: String, height: Int) -> [PDFLine] {
    var lines: [PDFLine] = []
    var heights: [Int] = []
    var line: [Substring] = []
    var right = 0
    for row in table.utf8.split(separator: 0x0A) {
        let fields = Substring(row).split(separator: "\t", maxSplits: 11, omittingEmptySubsequences: false)
        guard fields.count == 12, fields[0] == "5" || fields[0] == "4" else { continue }
        let box = fields[6..<10].compactMap { Int($0) }
        guard box.count == 4 else { continue }
        if fields[0] == "4" {
            heights.append(box[3])
            lines.append(PDFLine(cells: [], baseline: TextRecognizer.points(height - box[1] - box[3]), size: 0))
            line = Array(fields[2..<5])
            continue
        }
        // A word that is nothing but a line or a speck has no confidence.
        let word = Array(fields[11].utf8)
        guard !lines.isEmpty, Array(fields[2..<5]) == line, !word.allSatisfy({ WhiteSpace.isASCII($0) }),
            Double(fields[10]).map({ $0 >= 20 }) ?? false
        else { continue }
        let index = lines.count - 1
        let (left, end) = (TextRecognizer.points(box[0]), TextRecognizer.points(box[0] + box[2]))
        if let last = lines[index].cells.indices.last, box[0] - right < heights[index] * 2 {
            lines[index].cells[last].text += [0x20] + word
            lines[index].cells[last].right = end
        } else {
            lines[index].cells.append(PDFLine.Cell(text: word, left: left, right: end))
        }
        right = box[0] + box[2]
    }
    let size = TextRecognizer.points(heights.isEmpty ? 0 : heights.sorted()[heights.count / 2])
    return lines.compactMap { line in
        guard !line.cells.isEmpty else { return nil }
        var line = line
        line.size = size
        let last = line.cells.count - 1
        // A word that goes on in the next line.
        let text = line.cells[last].text
        if text.count > 2, text.last == UInt8(ascii: "-"), text[text.count - 2] != 0x20 {
            line.cells[last].text.removeLast()
            line.endsInHyphen = true
        }
        return line
    }
}

/// Reads the text of an image file.
///
/// - Throws: ``KelterError`` with `needsOCR` where Tesseract is not installed, or `parserFailed`.
func parseImage(
    _ bytes: [UInt8],
    isTIFF: Bool,
    recognition: TextRecognition?,
    limits: ParsingLimits
) throws(KelterError) -> ParsedDocument {
    guard let recognition else {
        throw KelterError(
            .needsOCR,
            "It is an image.",
            fix: "Install tesseract-ocr and tesseract-ocr-deu, or run the file through OCR, for example with ocrmypdf."
        )
    }
    let recognizer = try recognition.start()
    let pages = recognizer.pages(ofImage: bytes, isTIFF: isTIFF)
    guard !pages.isEmpty else {
        throw KelterError(.parserFailed, "The image is damaged or too large.", fix: "Save it anew as PNG.")
    }
    let builder = DocumentBuilder(limits: limits, capacity: 4096)
    PDFLayout(pages, []).write(to: builder)
    builder.place = nil
    var document = try builder.finish(title: nil, language: nil)
    document.repairs[.textRecognised] = pages.count
    return document
}
