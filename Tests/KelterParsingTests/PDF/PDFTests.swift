import Foundation
import KelterLocal
import KelterModel
import KelterParsing
import Testing

@Suite("PDF")
struct PDFTests {
    private static let library = LocalPaths(environment: ProcessInfo.processInfo.environment).pdfium

    private func parse(_ sample: PDFSample) throws -> ParsedDocument {
        let result = try DocumentParser(pdfium: Self.library).parse(sample.bytes, name: "a.pdf")
        #expect(violations(of: result.document) == [])
        #expect(result.mediaType == "application/pdf")
        return result.document
    }

    private func failure(_ bytes: [UInt8], limits: ParsingLimits = ParsingLimits()) -> KelterError? {
        do throws(KelterError) {
            _ = try DocumentParser(limits: limits, pdfium: Self.library).parse(bytes, name: "a.pdf")
            return nil
        } catch {
            return error
        }
    }

    @Test("lines join to paragraphs, parted words to whole ones, and blocks know their page")
    func paragraphs() throws {
        var sample = PDFSample()
        sample.pages = [
            PDFSample.lines(
                [
                    "Die Prüfung der Presse erfolgt jährlich und wird im Wartungs-", "protokoll vermerkt. Wind- und",
                    "Wasserkraft.",
                ],
                y: 700
            ) + PDFSample.lines(["Ein neuer Absatz, der auf der nächsten"], y: 630),
            PDFSample.lines(["Seite weitergeht, nein: beginnt."], y: 700)
                + PDFSample.lines(["und dies geht weiter."], y: 672),
        ]
        let document = try parse(sample)
        #expect(
            outline(document) == [
                "paragraph: Die Prüfung der Presse erfolgt jährlich und wird im Wartungsprotokoll vermerkt. Wind- und Wasserkraft.",
                "paragraph: Ein neuer Absatz, der auf der nächsten", "paragraph: Seite weitergeht, nein: beginnt.",
                "paragraph: und dies geht weiter.",
            ]
        )
        #expect(document.blocks.map(\.place) == [.page(1), .page(1), .page(2), .page(2)])
    }

    @Test("large lines are headings, the larger the higher")
    func headings() throws {
        var sample = PDFSample()
        let text = PDFSample.lines(
            Array(repeating: "Der Text hat die Größe der meisten Zeilen dieser Seite.", count: 6),
            y: 600
        )
        sample.pages = [
            PDFSample.lines(["Großer", "Titel"], y: 720, size: 24, leading: 28)
                + PDFSample.lines(["Abschnitt"], y: 640, size: 16)
                + text
        ]
        (sample.title, sample.language) = ("Microsoft Word - Handbuch", "de-DE")
        let document = try parse(sample)
        #expect(outline(document).prefix(2) == ["heading1: Großer Titel", "heading2: Großer Titel > Abschnitt"])
        #expect(document.blocks.count == 3)
        #expect(document.title == "Handbuch")
        #expect(document.language == "de-DE")
    }

    @Test("where there is an outline it says what is a heading")
    func outlines() throws {
        var sample = PDFSample()
        sample.pages = [
            PDFSample.lines(["1.1 Wartung"], y: 700) + PDFSample.lines(["Text der Wartung."], y: 660)
                + PDFSample.lines(["GROSS"], y: 620, size: 30)
        ]
        sample.outline = [("Wartung", 0), ("Fehlt", 0)]
        #expect(
            outline(try parse(sample)) == ["heading1: 1.1 Wartung", "paragraph: Text der Wartung.", "paragraph: GROSS"]
        )
    }

    @Test("cells that line up are a table; marks begin list items")
    func tables() throws {
        var sample = PDFSample()
        func row(_ cells: [String], y: Int) -> [PDFSample.Text] {
            cells.enumerated().map { PDFSample.Text(text: $1, x: 72 + 150 * $0, y: y) }
        }
        sample.pages = [
            PDFSample.lines(["Die Preise stehen hier."], y: 700) + row(["Teil", "Preis", "Ort"], y: 660)
                + row(["Bolzen", "12,50", "Bonn"], y: 646) + row(["Mutter", "0,80", "Köln"], y: 632)
                + PDFSample.lines(["– erster Punkt,", "der weitergeht", "– zweiter Punkt"], y: 590)
        ]
        #expect(
            outline(try parse(sample)) == [
                "paragraph: Die Preise stehen hier.",
                "table: Teil | Preis | Ort\nBolzen | 12,50 | Bonn\nMutter | 0,80 | Köln",
                "listItem1: erster Punkt, der weitergeht", "listItem1: zweiter Punkt",
            ]
        )
    }

    @Test("a hyphen at the end of a row stays")
    func hyphensInTables() throws {
        var sample = PDFSample()
        func row(_ cells: [String], y: Int) -> [PDFSample.Text] {
            cells.enumerated().map { PDFSample.Text(text: $1, x: 72 + 150 * $0, y: y) }
        }
        sample.pages = [row(["Teil", "Note"], y: 660) + row(["Bolzen", "B-"], y: 646) + row(["Mutter", "A"], y: 632)]
        #expect(outline(try parse(sample)) == ["table: Teil | Note\nBolzen | B-\nMutter | A"])
    }

    @Test("places and sizes that no page has take nothing down", arguments: [1_000_000_000_000, Int.max / 2, -Int.max])
    func absurdPlaces(number: Int) throws {
        var sample = PDFSample()
        sample.pages = (0..<3).map { page in
            [
                PDFSample.Text(text: "Weit oben", x: 72, y: number),
                PDFSample.Text(text: "Weit rechts", x: number, y: 700),
                PDFSample.Text(text: "Riesig", x: 72, y: 600, size: number),
                PDFSample.Text(text: "Da \(page)", x: 72, y: 500),
            ]
        }
        #expect(outline(try parse(sample)).contains { $0.contains("Da 1") })
    }

    @Test("what is repeated at the edges of pages is left out and counted")
    func margins() throws {
        var sample = PDFSample()
        sample.pages = (1...4).map { page in
            PDFSample.lines(["Handbuch der Presse"], y: 760) + PDFSample.lines(["Inhalt der \(page). Seite."], y: 500)
                + PDFSample.lines(["Seite \(page) von 4"], y: 30)
        }
        let document = try parse(sample)
        #expect(outline(document) == (1...4).map { "paragraph: Inhalt der \($0). Seite." })
        #expect(document.repairs == [.repeatedLinesRemoved: 8])
    }

    @Test("running titles that change with chapter and section are left out, and sentences go on behind them")
    func runningTitles() throws {
        let chapters = ["Trauben", "Maische", "Most", "Presse"]
        var sample = PDFSample()
        sample.pages = (0..<8).map { page in
            [
                PDFSample.Text(text: "KAPITEL. " + chapters[page / 2].uppercased(), x: 72, y: 748),
                PDFSample.Text(text: "ABSCHNITT " + "ABCDEFGH".map(String.init)[page], x: 400, y: 748),
            ]
                + PDFSample.lines(["wurde \(page) Mal gekeltert.", "Danach beginnt ein Satz, und er"], y: 600)
        }
        // A heading at their place is none of them.
        sample.pages.append(
            [PDFSample.Text(text: "Anhang", x: 72, y: 748, size: 18)] + PDFSample.lines(["Das war alles."], y: 600)
        )
        let document = try parse(sample)
        #expect(document.repairs == [.repeatedLinesRemoved: 8])
        let sentence = "Danach beginnt ein Satz, und er"
        #expect(
            outline(document).joined() == "paragraph: wurde 0 Mal gekeltert. "
                + (1..<8).map { "\(sentence) wurde \($0) Mal gekeltert. " }.joined() + sentence
                + "heading1: Anhangparagraph: Das war alles."
        )
    }

    @Test("a parted word goes on whatever the height of its line")
    func partedWords() throws {
        var sample = PDFSample()
        sample.pages = [
            [
                PDFSample.Text(text: "Warnung", x: 72, y: 600, size: 14),
                PDFSample.Text(text: "Das kann Probleme hervorru-", x: 160, y: 600),
                PDFSample.Text(text: "fen. Vermeiden Sie es.", x: 160, y: 580),
            ]
        ]
        #expect(
            outline(try parse(sample)).last?.hasSuffix("Das kann Probleme hervorrufen. Vermeiden Sie es.") == true
        )
    }

    @Test("titles that are different on every page are no running titles")
    func titles() throws {
        let titles = ["Trauben", "Maische", "Most", "Presse", "Wein", "Flaschen", "Keller", "Hefe"]
        var sample = PDFSample()
        sample.pages = titles.map { title in
            PDFSample.lines(["Alles zu " + title + "."], y: 748)
                + PDFSample.lines(["Inhalt, ein Satz zu \(title)."], y: 600)
        }
        let document = try parse(sample)
        #expect(document.repairs == [:])
        #expect(
            outline(document)
                == titles.flatMap {
                    ["paragraph: Alles zu \($0).", "paragraph: Inhalt, ein Satz zu \($0)."]
                }
        )
    }

    @Test("a file of images asks for OCR; one without anything is empty")
    func images() throws {
        var sample = PDFSample()
        sample.pages = [[], []]
        #expect(try parse(sample).blocks.isEmpty)
        sample.hasImages = true
        #expect(failure(sample.bytes)?.code == .needsOCR)
        sample.pages[0] = PDFSample.lines(["Text"], y: 700)
        #expect(try parse(sample).repairs == [.pagesWithoutText: 1])
    }

    @Test("a damaged file, too many pages and a missing library have codes")
    func failures() {
        var sample = PDFSample()
        sample.pages = [[], [], []]
        #expect(failure(Array("%PDF-1.7\nrest".utf8))?.code == .parserFailed)
        var limits = ParsingLimits()
        limits.maximumPages = 2
        #expect(failure(sample.bytes, limits: limits)?.code == .parserLimit)
        do throws(KelterError) {
            _ = try DocumentParser(pdfium: "/nowhere").parse(sample.bytes, name: "a.pdf")
            Issue.record("read without a library")
        } catch {
            #expect(error.code == .partMissing)
        }
    }
}
