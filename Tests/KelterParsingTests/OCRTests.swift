import Foundation
import KelterLocal
import KelterModel
import Testing

@testable import KelterParsing

@Suite("Text in images")
struct OCRTests {
    private static let library = LocalPaths(environment: ProcessInfo.processInfo.environment).pdfium
    private static let parser = DocumentParser(pdfium: library, recognition: TextRecognition())

    /// A page that was printed and scanned.
    private func scan() throws -> (gray: [UInt8], width: Int, height: Int) {
        var sample = PDFSample()
        sample.pages = [
            PDFSample.lines(
                ["Die Prüfung der Presse erfolgt jährlich und wird im Wartungs-", "protokoll der Anlage vermerkt."],
                y: 700,
                size: 14,
                leading: 18
            ) + PDFSample.lines(["The second paragraph is in English."], y: 600, size: 14)
        ]
        let document = try PDFDocument(sample.bytes, try PDFium.load(Self.library))
        return try #require(document.drawing(0, resolution: 300))
    }

    private let expected = [
        "paragraph: Die Prüfung der Presse erfolgt jährlich und wird im Wartungsprotokoll der Anlage vermerkt.",
        "paragraph: The second paragraph is in English.",
    ]

    /// A BMP of 8 bits a dot, which is stored from the bottom up.
    private func bitmap(_ scan: (gray: [UInt8], width: Int, height: Int)) -> [UInt8] {
        let rowBytes = (scan.width + 3) / 4 * 4
        let offset = 14 + 40 + 4 * 256
        var bytes = Array("BM".utf8)
        let header: [(value: Int, width: Int)] = [
            (offset + rowBytes * scan.height, 4), (0, 4), (offset, 4), (40, 4), (scan.width, 4), (scan.height, 4),
            (1, 2),
            (8, 2), (0, 8), (11_811, 4), (11_811, 4), (256, 4), (0, 4),
        ]
        for field in header { bytes += ArchiveSamples.little(field.value, field.width) }
        for level in 0..<256 { bytes += ArchiveSamples.little(level * 0x01_0101, 4) }
        for row in (0..<scan.height).reversed() {
            bytes += scan.gray[row * scan.width..<(row + 1) * scan.width]
            bytes += [UInt8](repeating: 0, count: rowBytes - scan.width)
        }
        return bytes
    }

    /// A PDF whose page is an image.
    private func pdf(_ scan: (gray: [UInt8], width: Int, height: Int)) -> [UInt8] {
        var bytes = Array("%PDF-1.4\n".utf8)
        var places: [Int] = []
        func add(_ object: [UInt8]) {
            places.append(bytes.count)
            bytes += Array("\(places.count) 0 obj\n".utf8) + object + Array("\nendobj\n".utf8)
        }
        add(Array("<</Type/Catalog/Pages 2 0 R>>".utf8))
        add(Array("<</Type/Pages/Kids[3 0 R]/Count 1>>".utf8))
        add(
            Array(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</XObject<</I 4 0 R>>>>/Contents 5 0 R>>"
                    .utf8
            )
        )
        let head =
            "<</Type/XObject/Subtype/Image/Width \(scan.width)/Height \(scan.height)/ColorSpace/DeviceGray"
            + "/BitsPerComponent 8/Length \(scan.gray.count)>>stream\n"
        add(Array(head.utf8) + scan.gray + Array("\nendstream".utf8))
        let content = "q 612 0 0 792 0 0 cm /I Do Q"
        add(Array("<</Length \(content.utf8.count)>>stream\n\(content)\nendstream".utf8))
        let table = bytes.count
        bytes += Array("xref\n0 6\n0000000000 65535 f \n".utf8)
        for place in places { bytes += Array((String(format: "%010d", place) + " 00000 n \n").utf8) }
        return bytes + Array("trailer<</Size 6/Root 1 0 R>>\nstartxref\n\(table)\n%%EOF".utf8)
    }

    @Test("the text of a scanned page is read, in an image and in a PDF")
    func pages() throws {
        let scan = try scan()
        for (bytes, name, type) in [
            (bitmap(scan), "a.bmp", "image/bmp"), (pdf(scan), "a.pdf", "application/pdf"),
        ] {
            let result = try Self.parser.parse(bytes, name: name)
            #expect(outline(result.document) == expected)
            #expect(violations(of: result.document) == [])
            #expect(result.mediaType == type)
            #expect(result.document.repairs == [.textRecognised: 1])
            #expect(result.document.blocks.allSatisfy { $0.place == .page(1) })
            #expect(
                failure { _ = try DocumentParser(pdfium: Self.library).parse(bytes, name: name) }?.code == .needsOCR
            )
        }
    }

    @Test("an image without text is empty, one that is damaged fails, and so does a language that is not there")
    func other() throws {
        let white = (gray: [UInt8](repeating: 0xFF, count: 400 * 300), width: 400, height: 300)
        #expect(try Self.parser.parse(bitmap(white), name: "a.bmp").document.blocks.isEmpty)
        #expect(try Self.parser.parse(pdf(white), name: "a.pdf").document.blocks.isEmpty)
        let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0]
        #expect(failure { _ = try Self.parser.parse(png, name: "a.png") }?.code == .parserFailed)
        let klingon = DocumentParser(recognition: TextRecognition(languages: "tlh"))
        #expect(failure { _ = try klingon.parse(bitmap(white), name: "a.bmp") }?.code == .needsOCR)
    }
}
