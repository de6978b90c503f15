/// Texts of many kinds, for which token counts are recorded in ``TokenizerCounts``.
///
/// A change here asks for new counts: they were made with `tiktoken` 0.14 and `tokenizers` 0.23.
enum TokenizerCorpus {
    static let texts = literal + runs + (0..<260 as Range<UInt64>).map(random)

    private static let literal = [
        "", " ", "a", "Hallo", " Hallo", "Hallo ", "Die Kelter presst Trauben zu Most.",
        "Donaudampfschifffahrtsgesellschaftskapitän", "Übergrößenträger und Straßenbahnhaltestelle",
        "Im Jahre 1999 waren es 3,14 Prozent.", "§ 3 Abs. 2 Satz 1 Nr. 4 BGB", "z. B. am 1. März um 12:30 Uhr",
        "„Guten Tag“, sagte sie – und ging.", "»Zitat« ‹innen› ‚einfach‘", "GROẞBUCHSTABEN STRASSE ſtraſſe",
        "The quick brown fox jumps over the lazy dog.", "Antidisestablishmentarianism",
        "state-of-the-art e-mail re-indexing", "https://example.org/path/to?query=1&lang=de#top", "mail@example.com",
        "passage: query: passage:", "Title > Section: text", "PostgreSQL 18.6 mit pgvector 0.8.6",
        "It's a dog's life, isn't it?", "IT'S DON'T WE'LL THEY'VE I'M HE'D YOU'RE", "it'S don'T we'lL they'Ve i'M he'D",
        "it'ſ 'ſ 'ſo a'ſb", "'s't're've'm'll'd", "''s ''t 'sat 'ill 'Llama", "rock'n'roll o'clock ’s it’s",
        "func main() -> Int { return 0x1F }", "if (a && b || !c) { x += 1; }\n\tfor i in 0..<10 {}\n",
        "SELECT * FROM rag.embeddings WHERE tenant_id = $1;", "{\"key\": [1, 2.5, null, true]}",
        "    def f(self, *args, **kwargs):\n        return [x for x in args if x]  # done\n\n\n",
        "#include <stdio.h>\r\n",
        "a/b//c/// \n/", "// comment\n//\n/*\n */\n", "path\\to\\file.txt", "x=y==z!=w<=v>=u<>t",
        "<p class=\"a\">Text&nbsp;</p>",
        "snake_case camelCase PascalCase kebab-case SCREAMING_CASE XMLHttpRequest aB Ab AB ABc aBC",
        "1 12 123 1234 12345 123456 1234567", "1234567890123456789012345678901234567890",
        "3.14159 1,000,000 1e-10 0xFF",
        "²³¹ ½¼¾ Ⅷⅸ ①② ٣٤٥٦ ४५६ 一二三", "a1b2c3 a12b345c6789", "100% $5.00 €20 £3 ¥400 50¢",
        "😀", "👍🏽 ok", "👨\u{200D}👩\u{200D}👧\u{200D}👦", "\u{1F1E9}\u{1F1EA}\u{1F1E6}\u{1F1F9}",
        "🏴\u{E0067}\u{E0062}\u{E007F}",
        "❤\u{FE0F} 1\u{FE0F}\u{20E3} ☎\u{FE0E}", "😀😃😄😁 Text😀Text", "👩🏿\u{200D}🚀👨🏻\u{200D}🔬", "日本語のテキストです。", "中文文本，没有空格。",
        "한국어 문장입니다.", "東京 Tokyo 東京", "\u{FA0C}\u{F900}\u{2F800} 㐀𠀀𪜀𫝀", "ｱｲｳ ガギグ がぎぐ か\u{3099}", "Привет, мир! ЙЁ",
        "Καλημέρα κόσμε ΣΊΣΥΦΟΣ ᾳ ᾼ", "مرحبا بالعالم", "שָׁלוֹם עולם", "สวัสดีชาวโลก กำ", "नमस्ते दुनिया क्ष", "Tiếng Việt có dấu",
        "İstanbul ısı I i", "ǅ ǈ ǋ ǲ Ǆ ǆ", "Cafe\u{301}", "Café", "e\u{301}\u{302}\u{303}",
        "A\u{30A}ngstro\u{308}m Å Ω K",
        "\u{301}allein \u{301} .\u{301}", "a\u{1B44}\u{302E}\u{302F}b \u{302E}\u{1B44}",
        "\u{301}ABC \u{903}AB ªAB aªB ªʰ",
        "\u{FB01}n \u{FB02}ach \u{FB03}", "ＡＢＣ\u{3000}１２３", "\u{37E}\u{387}\u{1FEF} \u{2000}x\u{2001}",
        "\u{BD}\u{2167}\u{FDFA}",
        "a\u{A0}b\u{202F}c\u{2009}d\u{3000}e\u{1680}f\u{180E}g", "a\u{200B}b\u{FEFF}c\u{AD}d\u{2028}e\u{2029}f\u{85}g",
        "a\u{0}b\u{1}c\u{7F}d\u{B}e\u{C}f\u{1C}g\u{1F}h", "\u{FFFD}\u{E000}\u{F8FF}\u{10FFFF}x\u{378}",
        "\u{1885}\u{1734}\u{166D}\u{111C9}a",
        "\n", "\n\n", "\r\n", "\r\n\r\n", "\t\t", "  \n  \n  ", "a\nb", "a \n b", "a  b", "a   b", "a\t b",
        "a\r\nb\r\n\r\nc",
        "a \r\n \r\n b ", "Ende  ", "Ende \n", "Ende\n ", "Ende.\n\n\n", "Ende.  \n", "  Anfang", "\n Anfang",
        "x\u{3000}\u{3000}y",
        "...!!!???", "–—―…", "--- *** ___ ===", " .a .b ,c ;d", "(a) [b] {c} <d>", "a.b.c", ".a", " .", ". ", "_a_",
        "@user #tag",
        "<|endoftext|>", "a<|fim_prefix|>b<|endofprompt|>", "[CLS] a [SEP]", "[MASK]", "x[MASK]y [mask] [PAD][UNK]",
        "[UNK", "##ing",
        "\u{88F}\u{C5C}\u{16EA0}\u{16EBB}\u{1ACF}", "\u{10D4A}\u{10D4B}\u{1C89}\u{A7CB}\u{8D4}\u{898}", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚 𝕬",
        "ßẞſ", "Ÿÿ Œœ Ææ Øø Łł Đđ",
    ]

    private static let runs: [String] = [
        ("a", 100), ("a", 101), ("a", 5000), ("ä", 700), ("ab", 500), (" ", 300), ("\n", 200), (" \n", 100), ("=", 400),
        ("-", 97),
        ("0", 1000), ("ha", 60), ("日本", 300), ("😀", 150), ("\u{301}", 90), ("A", 96), ("Aa", 200), ("aA", 200),
        ("'s", 80),
        ("x\u{301}", 120), ("/", 130), ("\r\n", 70), ("é", 95), ("e\u{301}", 95), ("\t", 33), ("Wort", 40), ("한국", 60),
    ].flatMap { text, count in
        let run = String(repeating: text, count: count)
        return [run, "x \(run) y"]
    }

    /// A text of one of several kinds.
    private static func random(seed: UInt64) -> String {
        var generator = SeededGenerator(seed: seed)
        let length = Int.random(in: 1...60, using: &generator)
        switch seed % 10 {
        case 0: return scalars(length, in: [0...0xD7FF, 0xE000...0x10FFFF], &generator)
        case 1: return scalars(length, in: [0...0x33FF], &generator)
        case 2: return scalars(length, in: [0x20...0x7E], &generator)
        case 3: return scalars(length, in: [0...0x17F, 0x300...0x36F], &generator)
        case 4: return scalars(length, in: [0x3000...0x30FF, 0x4E00...0x9FFF, 0xAC00...0xD7A3], &generator)
        case 5:
            return scalars(
                length,
                in: [0x1F1E6...0x1F1FF, 0x1F3FB...0x1F3FF, 0x1F600...0x1F64F, 0x200D...0x200D],
                &generator
            )
        case 6:
            return pick(
                length,
                Array("aAsStTlLvVeErRdDmM'’ſ \n\r/\t.,-_12²ªʰ\u{301}\u{903}ǅ日é".unicodeScalars).map { String($0) },
                &generator
            )
        case 7: return scalars(length, in: [0x61...0x7A], &generator)
        case 8: return pick(length, literal, &generator)
        default:
            return pick(
                length,
                literal.flatMap { $0.unicodeScalars.split(separator: " ").map { String($0) + " " } },
                &generator
            )
        }
    }

    private static func scalars(
        _ count: Int,
        in ranges: [ClosedRange<UInt32>],
        _ generator: inout SeededGenerator
    ) -> String {
        var text = String.UnicodeScalarView()
        while text.count < count {
            let range = ranges[Int.random(in: 0..<ranges.count, using: &generator)]
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &generator)) { text.append(scalar) }
        }
        return String(text)
    }

    private static func pick(_ count: Int, _ parts: [String], _ generator: inout SeededGenerator) -> String {
        (0..<count).map { _ in parts[Int.random(in: 0..<parts.count, using: &generator)] }.joined()
    }
}
