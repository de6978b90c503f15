import KelterModel

/// Random words, sentences and documents of the kinds that make cutting hard.
enum RandomText {
    private static let words = [
        "Kelter", "Trauben", "und", "die", "Straßenbahnhaltestelle", "Übergröße", "pressen", "der", "z. B.", "Dr.",
        "1.", "März",
        "§", "3,14", "the", "of", "quickly", "Antidisestablishmentarianism", "e.g.", "https://example.org/a/b?c=d",
        "isn't",
        "日本語のテキスト。", "中文", "Привет", "مرحبا", "😀", "👨‍👩‍👧‍👦", "Cafe\u{301}", "ﬁn", "„Zitat“", "(siehe oben)", "x = y;", "–",
        "…",
    ]

    static func word(using generator: inout SeededGenerator) -> String {
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: String((0..<Int.random(in: 1...30, using: &generator)).map { _ in letter(using: &generator) })
        default:
            words.randomElement(using: &generator).map { $0.split(separator: " ").first.map(String.init) ?? $0 } ?? "x"
        }
    }

    private static func letter(using generator: inout SeededGenerator) -> Character {
        Array("abcdefghijklmnopqrstuvwxyzäöüßÄÖÜé0123456789-_/.").randomElement(using: &generator) ?? "x"
    }

    static func sentence(using generator: inout SeededGenerator) -> String {
        let count = Int.random(in: 0..<20, using: &generator) == 0 ? 300 : Int.random(in: 1...25, using: &generator)
        var text = ""
        for _ in 0..<count {
            if !text.isEmpty {
                text += [" ", " ", " ", ", ", "\n", "  ", "\u{A0}"].randomElement(using: &generator) ?? " "
            }
            text += words.randomElement(using: &generator) ?? "x"
        }
        return text + ([".", ".", "!", "?", "…", ""].randomElement(using: &generator) ?? ".")
    }

    static func document(seed: UInt64) -> ParsedDocument {
        var generator = SeededGenerator(seed: seed)
        var builder = DocumentBuilder()
        var path: [String] = []
        for number in 0..<Int.random(in: 1...30, using: &generator) {
            switch Int.random(in: 0..<11, using: &generator) {
            case 10:
                builder.section(path + ["Ohne Überschrift \(number)"])
                builder.add(.paragraph, sentence(using: &generator))
            case 0...2:
                path = Array(path.prefix(Int.random(in: 0...3, using: &generator)))
                let title = "Abschnitt \(number) " + word(using: &generator)
                builder.heading(title, under: path)
                path.append(title)
            case 3:
                let rows = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                    "| " + word(using: &generator) + " | " + word(using: &generator) + " |"
                }
                builder.add(.table, rows.joined(separator: "\n"))
            case 4:
                let lines = (0..<Int.random(in: 1...40, using: &generator)).map { _ in "    " + word(using: &generator)
                }
                builder.add(.code, "{\n" + lines.joined(separator: "\n") + "\n}")
            case 5:
                builder.add(.listItem, sentence(using: &generator), page: number)
            case 6 where Int.random(in: 0..<4, using: &generator) == 0:
                let length = Int.random(in: 500...6000, using: &generator)
                builder.add(.paragraph, String((0..<length).map { _ in letter(using: &generator) }))
            default:
                let count = Int.random(in: 1...12, using: &generator)
                let sentences = (0..<count).map { _ in sentence(using: &generator) }
                builder.add(.paragraph, sentences.joined(separator: " "), page: number)
            }
        }
        return builder.document
    }
}
