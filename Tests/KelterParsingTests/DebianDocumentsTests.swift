import Foundation
import KelterLocal
import KelterModel
import KelterParsing
import Testing

/// Long German and English documents by three tool chains, each held against its own edition in plain text.
///
/// The limits are what is reached, rounded down. The editions differ: those in plain text have longer tables of contents and
/// other places for notes, so that of the PDFs' words `pdftotext` finds .981 to .997.
@Suite("Documents of Debian packages")
struct DebianDocumentsTests {
    private static let parser = DocumentParser(
        pdfium: LocalPaths(environment: ProcessInfo.processInfo.environment).pdfium
    )

    private func words(_ path: String) throws -> [UInt64] {
        let bytes = try #require(
            FileManager.default.contents(atPath: path),
            "\(path) is not there: run make deps-test."
        )
        let document = try Self.parser.parse([UInt8](bytes), name: path).document
        #expect(violations(of: document) == [], "\(path)")
        return wordHashes(document.text)
    }

    @Test("the text of HTML pages is whole and in order", arguments: DebianDocument.allCases)
    func html(document: DebianDocument) throws {
        var comparison = WordComparison(try document.words(withLinks: false))
        for page in try document.pages { comparison.add(try words(page)) }
        #expect(comparison.recall >= 0.995)
        #expect(comparison.order >= 0.97)
    }

    @Test("the text of PDFs is whole and in reading order", arguments: DebianDocument.allCases)
    func pdf(document: DebianDocument) throws {
        var comparison = WordComparison(try document.words(withLinks: true))
        comparison.add(try words(document.pdf))
        #expect(comparison.recall >= 0.975)
        #expect(comparison.order >= 0.89)
    }
}
