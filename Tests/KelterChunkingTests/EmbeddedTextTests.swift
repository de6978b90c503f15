import Foundation
import Testing

@testable import KelterChunking

@Suite("The form of embedded texts")
struct EmbeddedTextTests {
    @Test(
        "collapses white space and composes characters",
        arguments: [
            ("", ""), (" \n\t ", ""), ("a", "a"), (" a ", "a"), ("a  b", "a b"), ("a\r\n\tb\u{0B}c", "a b c"),
            ("a\u{A0}b\u{2003}c\u{3000}d\u{85}e\u{2028}f\u{1680}g", "a b c d e f g"), ("a\u{0}b", "a b"),
            ("Stra\u{DF}e \u{2013} \u{201E}ja\u{201C}", "Stra\u{DF}e \u{2013} \u{201E}ja\u{201C}"),
            ("Cafe\u{301}", "Caf\u{E9}"), ("A\u{30A}", "\u{C5}"), ("\u{212B}", "\u{C5}"),
            ("\u{1112}\u{1161}\u{11AB}", "\u{D55C}"),
            ("a\u{323}\u{307}", "\u{1EA1}\u{307}"), ("a\u{307}\u{323}", "\u{1EA1}\u{307}"), ("\u{FB01}n", "\u{FB01}n"),
            ("HALLO Hunde", "HALLO Hunde"), ("\u{C3}\u{A4} x", "\u{C3}\u{A4} x"), ("x \u{A0}", "x"),
            ("\u{E0} \u{E1}", "\u{E0} \u{E1}"),
        ]
    )
    func normalised(text: String, expected: String) {
        // Bytes, because Swift's == ignores the difference that matters here.
        #expect(Array(EmbeddedText.normalised(text).utf8) == Array(expected.utf8))
    }

    @Test("the fast path lets through only what normalisation leaves alone")
    func inertScalars() {
        for value in 0...0x2FFFF as ClosedRange<UInt32> {
            guard let scalar = Unicode.Scalar(value), CanonicalComposition.isInert(value) else { continue }
            let properties = scalar.properties
            #expect(properties.canonicalCombiningClass == .notReordered, "U+\(String(value, radix: 16))")
        }
    }

    @Test(
        "no inert scalar decomposes, and none composes with a letter before it",
        arguments: [0x0, 0x1, 0x2] as [UInt32]
    )
    func inertAgainstFoundation(plane: UInt32) {
        // Every inert scalar once alone and once behind letters that compose with much, in one long text per plane.
        var text = ""
        for value in plane << 16...plane << 16 | 0xFFFF {
            guard let scalar = Unicode.Scalar(value), value > 0x20, CanonicalComposition.isInert(value) else {
                continue
            }
            text.unicodeScalars.append(scalar)
            text += "e"
            text.unicodeScalars.append(scalar)
            text += "\u{3B1}"
            text.unicodeScalars.append(scalar)
            text += "\u{AC00}"
        }
        #expect(Array(text.precomposedStringWithCanonicalMapping.utf8) == Array(text.utf8))
    }

    @Test("texts with combining marks take the full way")
    func combining() {
        for text in ["e\u{301}", "\u{1100}\u{1161}", "\u{0928}\u{093C}", "\u{2126}", "\u{1D15E}", "\u{F900}"] {
            #expect(
                Array(text.utf8).withUnsafeBufferPointer { CanonicalComposition.firstUncertain($0, from: 0) } != nil
            )
        }
    }

    @Test("long texts are composed in windows as they would be as a whole", arguments: 0..<40 as Range<UInt64>)
    func windows(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let parts = [
            "e", "a", " ", "Wort ", "\u{301}", "\u{323}", "\u{308}", "\u{1100}", "\u{1161}", "\u{11A8}", "\u{AC00}",
            "\u{928}\u{93C}",
            "\u{5D0}\u{5B7}", "\u{212B}", "\u{F900}", "\u{4E00}", "\u{1F600}", "\u{9C7}\u{9BE}", "\u{E4}",
            "\u{1E63}\u{307}", "\u{0}",
        ]
        let text = (0..<Int.random(in: 0...2000, using: &generator)).map { _ in
            parts.randomElement(using: &generator) ?? ""
        }.joined()
        var bytes = Array(text.utf8)
        CanonicalComposition.normalise(&bytes)
        #expect(bytes == Array(text.precomposedStringWithCanonicalMapping.utf8))
    }

    @Test("a letter with 200,000 marks keeps them all")
    func manyMarks() {
        var bytes = Array(("x" + String(repeating: "\u{324}\u{33A}", count: 100_000)).utf8)
        let count = bytes.count
        CanonicalComposition.normalise(&bytes)
        #expect(bytes.count == count)
    }
}
