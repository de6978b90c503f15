import KelterModel
import KelterParsing
import Testing

@Suite("Languages")
struct LanguageTests {
    static let german = "Die Anlage wird einmal im Jahr geprüft. Wer sie bedient, muss die Anweisung gelesen haben."
    static let english = "The press is inspected once a year. Whoever operates it must have read the instructions."

    @Test(
        "the language of a text is detected",
        arguments: [
            (LanguageTests.german, "de"), (LanguageTests.english, "en"), ("kurz", nil),
            ("12 345 67,89 € – 2026-11-30 " + "9 8 7 6 5 4 3 2 1", nil),
            ("La machine est contrôlée une fois par an et celui qui l'utilise doit avoir lu les instructions.", "fr"),
        ]
    )
    func detection(text: String, language: String?) throws {
        #expect(try DocumentParser().parse(Array(text.utf8), name: "a.txt").document.language == language)
    }

    @Test("what a document declares is stronger")
    func declared() throws {
        let page = "<html lang='fr-CH'><p>\(Self.german)"
        #expect(try DocumentParser().parse(Array(page.utf8), name: "a.html").document.language == "fr-CH")
    }

    @Test("a long text is cut between characters")
    func long() throws {
        for padding in 0..<3 {
            let text =
                String(repeating: "x", count: padding) + String(repeating: "Größe über Höhe – prüfen. ", count: 4_000)
            #expect(try DocumentParser().parse(Array(text.utf8), name: "a.txt").document.language == "de")
        }
    }
}
