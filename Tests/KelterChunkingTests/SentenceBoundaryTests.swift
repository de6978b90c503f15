import Testing

@testable import KelterChunking

@Suite("Sentence boundaries")
struct SentenceBoundaryTests {
    /// Sentences are separated by `|`, which stands for the white space between them.
    static let cases: [String] = [
        // Plain ends.
        "Die Kelter steht.|Der Most läuft.",
        "The press stands.|The must runs.",
        "Wirklich?|Ja!|Nein.",
        "Was?!|Das geht nicht.",
        "Halt!!!|Stehen bleiben.",
        "Es regnet…|Wir gehen.",
        "Es regnet...|Wir gehen.",
        "Ohne Ende",
        "Erster Satz.|Zweiter ohne Punkt",
        "Viel besser.|42 Leute kamen.",
        "Ist das so?|Über den Wolken.",
        "Schluss.|Ähnlich ging es weiter.",
        // German abbreviations.
        "Obst, z. B. Äpfel, wird gepresst.|Danach ruht es.",
        "Obst, z.B. Äpfel, wird gepresst.",
        "Das heißt, d. h. Most, bleibt.",
        "Trauben u. a. Riesling werden gelesen.",
        "Dr. Müller und Prof. Schmidt kamen.|Sie blieben.",
        "Hr. Dr. med. Weber ist Arzt.",
        "Dipl.-Ing. Karl Maier baut.",
        "Siehe Nr. 5 und Abb. 3 im Anhang.",
        "Nach § 3 Abs. 2 Satz 1 gilt das.|Es gibt Ausnahmen.",
        "Gemäß Art. 5 Abs. 1 Nr. 2 GG gilt dies.",
        "Vgl. S. 17 und Bd. II.",
        "Das kostet ca. 5 Euro bzw. Dollar.",
        "Äpfel, Birnen usw. Der Rest folgt.".replacing("usw. Der", with: "usw.|Der"),
        "Äpfel, Birnen usw. Trauben kommen hinzu.",
        "Im Jahr 44 v. Chr. Geburt geschah es.",
        "Er starb 44 v. Chr.|Die Republik endete.",
        "Es waren 3 Mio. Euro.|Das reicht.",
        "Die Str. Nr. 7 ist gesperrt.",
        "St. Martin ritt.",
        "Die Fa. Meier liefert am Mo. 5 Kisten.".replacing("Fa.", with: "Firma"),
        "Aller Art.|Danach mehr.",
        // Ordinals, dates, numbers.
        "Am 1. März beginnt es.|Am 2. April endet es.",
        "Am 24. Dezember ist Weihnachten.",
        "Das 19. Jahrhundert war lang.",
        "Ludwig XIV. Nachfolger war jung.",
        "Er lebte bis 1999.|Danach zog er um.",
        "Kapitel 12.|Die Lese beginnt.",
        "Pi ist 3.14 und e ist 2.72.|Beide sind irrational.",
        "Es kostet 1.234,56 Euro.|Bitte zahlen.",
        "1. Die Trauben lesen.",
        "2.1. Aufbau der Kelter",
        "Am 24.12. Weihnachten feiern.",
        "Um 12.30 Uhr.|Es geht los.",
        "Am 1.\u{A0}Mai ist frei.",
        // Initials.
        "J. S. Bach schrieb Fugen.|Er war fleißig.",
        "George W. Bush sprach.",
        "Das ist Plan B.|Danach kommt C.",
        "A. Einleitung",
        // Quotes and brackets.
        "„Komm her.“|Er ging.",
        "„Halt!“ rief er.",
        "Er sagte: „Komm.“ und ging.",
        "»Gut.«|Das war alles.",
        "\"Stop!\" he said.",
        "He said \"Hello.\"|Then he left.",
        "“It works.”|She smiled.",
        "(Siehe oben.)|Danach weiter.",
        "Das gilt (z. B. Hunde).|Katzen nicht.",
        "Ende.|„Anfang“ heißt es.",
        "Schluss.|– Neuer Gedanke.",
        "Belegt.[12]|Weiter im Text.",
        "Call f().|Then return.",
        // English abbreviations.
        "Fruit, e.g. Apples, is pressed.|It rests.",
        "That is, i.e. Must, remains.",
        "Mr. Smith met Mrs. Jones at St. Paul's.",
        "See Fig. 3 and Sec. 4.2 for details.",
        "Kudo et al. (2018) show it.",
        "Acme Inc. The rest follows.".replacing("Inc. The", with: "Inc.|The"),
        "Acme Inc. Holdings grew.",
        "He lives in the U.S. Army base.",
        "It opens at 9 a.m.|The shop is small.",
        "He said no.|Then he left.",
        "No. 5 is alive.",
        "On Jan. 5 it snowed.",
        "Smith vs. Jones was heard.",
        // Addresses and files.
        "Siehe https://example.org/a.b?c=1.|Dort steht es.",
        "Open main.swift and run it.|It works.",
        "Mail an info@example.com.|Danke.",
        "Version 1.2.3 is out.|Update now.",
        // Lower case goes on.
        "Der Verein e. V. tagt.",
        "Wie? so fragte er.",
        // Other scripts and lines.
        "これは文です。|次の文です。",
        "真的吗？|是的！",
        "Привет, мир.|Как дела?",
        "Erster Absatz\n\n|Zweiter Absatz",
        "Eine Zeile\nund noch eine.|Ende.",
    ]

    @Test("are where a reader sees them", arguments: cases)
    func table(_ marked: String) {
        let expected = marked.split(separator: "|").map { $0.trimmingSpaces() }
        let isSpaced = !marked.unicodeScalars.contains { (0x3000...0x9FFF).contains($0.value) }
        let text = Array(marked.replacing("\n\n|", with: "\n\n").replacing("|", with: isSpaced ? " " : "").utf8)
        #expect(sentences(text) == expected)
    }

    @Test("end with the range and never lie outside", arguments: 0..<20 as Range<UInt64>)
    func ends(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let text = Array((0..<8).map { _ in RandomText.sentence(using: &generator) }.joined(separator: " ").utf8)
        let start = text.indices.first { $0 > 10 && text[$0] & 0xC0 != 0x80 } ?? 0
        let ends = text.withUnsafeBufferPointer { SentenceBoundaries($0, start..<text.count).ends() }
        #expect(ends.last == text.count)
        #expect(zip([start] + ends, ends).allSatisfy { $0 < $1 })
        #expect(ends.allSatisfy { $0 == text.count || text[$0] & 0xC0 != 0x80 })
    }

    @Test("an empty range has no sentence")
    func empty() {
        #expect(sentences([]).isEmpty)
    }

    private func sentences(_ text: [UInt8]) -> [String] {
        let ends = text.withUnsafeBufferPointer { SentenceBoundaries($0, 0..<text.count).ends() }
        return zip([0] + ends, ends).map { String(decoding: text[$0..<$1], as: UTF8.self).trimmingSpaces() }
    }
}

extension StringProtocol {
    fileprivate func trimmingSpaces() -> String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
