import KelterModel
import Testing

@Suite struct NearDuplicateSignatureTests {
    private struct Words: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }

        mutating func text(_ count: Int) -> [String] { (0..<count).map { _ in "wort\(next() % 5000)" } }

        /// The text with some of its words changed.
        mutating func edited(_ words: [String], share: Double) -> [String] {
            words.map { Double(next() >> 11) * 0x1p-53 < share ? "neu\(next() % 5000)" : $0 }
        }
    }

    private func signature(_ text: String) throws -> NearDuplicateSignature {
        try #require(ShingleReader.signature(of: Array(text.utf8)))
    }

    private func jaccard(_ left: [String], _ right: [String]) -> Double {
        func shingles(_ words: [String]) -> Set<[String]> {
            Set((0..<max(words.count - 2, 0)).map { Array(words[$0..<$0 + 3]) })
        }
        let (a, b) = (shingles(left), shingles(right))
        return Double(a.intersection(b).count) / Double(max(a.union(b).count, 1))
    }

    @Test func `Case, white space and punctuation do not count`() throws {
        let text = "Die Anlage wird täglich geprüft, auch am Wochenende. Übergabe: 7 Uhr."
        let other = "  DIE\tAnlage\u{A0}wird „täglich“ geprüft – auch (am) Wochenende!\nÜBERGABE 7 uhr…"
        #expect(try signature(text) == signature(other))
        #expect(try signature(text) != signature(text.replacingOccurrences("täglich", with: "stündlich")))
    }

    @Test func `Texts without spaces are compared by their characters`() throws {
        let text = "設備は毎日点検されます。週末も点検されます。引き継ぎは七時です。"
        let other = "設備は毎日点検されます。週末も点検されます。引き継ぎは八時です。"
        let similarity = try signature(text).similarity(signature(other).bytes)
        #expect(similarity > 0.6 && similarity < 1)
        #expect(try signature(text).similarity(signature("全く別の文章がここにあります。関係はありません。").bytes) < 0.2)
    }

    @Test func `Short texts have a signature, empty ones none`() throws {
        for text in ["", " \n\t", "… – !", "\u{3000}"] { #expect(ShingleReader.signature(of: Array(text.utf8)) == nil) }
        #expect(try signature("eins") != signature("zwei"))
        #expect(try signature("eins zwei") != signature("zwei eins"))
        #expect(try signature("eins zwei") == signature("Eins, zwei!"))
        let one = try signature("eins zwei drei")
        #expect(Set(one.bytes).count == 1 && one.bytes.count == 128 && one.bands.count == 8)
        #expect(one.similarity([]) == 0 && one.similarity(one.bytes) == 1)
    }

    @Test func `The making does not change: stored signatures are found by it`() throws {
        let signature = try signature("Der Schlüssel liegt beim Pförtner, die Karte im Büro.")
        #expect(signature.bytes.prefix(8) == [238, 238, 238, 177, 65, 176, 238, 177])
        #expect(signature.bands.first == 692_401_879_477_692_636)
    }

    @Test(arguments: [40, 300, 5000])
    func `The estimate is that of the shingles, with the deviation the docstring says`(length: Int) throws {
        var words = Words(state: UInt64(length))
        var (errors, squares, expected, count) = (0.0, 0.0, 0.0, 0.0)
        for share in [0.0, 0.002, 0.01, 0.03, 0.1, 0.3] {
            for _ in 0..<(length > 1000 ? 12 : 60) {
                let text = words.text(length)
                let other = words.edited(text, share: share)
                let truth = jaccard(text, other)
                let estimate = try signature(text.joined(separator: " ")).similarity(
                    signature(other.joined(separator: " ")).bytes
                )
                errors += estimate - truth
                squares += (estimate - truth) * (estimate - truth)
                expected += truth * (1 - truth) / 128
                count += 1
            }
        }
        #expect(abs(errors / count) < 0.012, "\(errors / count)")
        // Few shingles for many positions: those that are filled from others say less.
        let allowed = length < 128 ? 3.5 : 1.6
        #expect(squares / max(expected, 1e-9) < allowed, "\(squares / expected)")
    }

    @Test func `Bands find what is nearly the same and not what is merely similar`() throws {
        var words = Words(state: 7)
        func share(_ edits: Double) throws -> Double {
            var found = 0
            for _ in 0..<150 {
                let text = words.text(400)
                let other = words.edited(text, share: edits)
                let (left, right) = try (
                    signature(text.joined(separator: " ")), signature(other.joined(separator: " "))
                )
                if zip(left.bands, right.bands).contains(where: { $0 == $1 }) { found += 1 }
            }
            return Double(found) / 150
        }
        // Similarities of about 0.97, 0.8 and 0.3.
        #expect(try share(0.005) > 0.99)
        #expect(try share(0.037) > 0.6)
        #expect(try share(0.22) < 0.05)
    }
}

extension String {
    fileprivate func replacingOccurrences(_ text: String, with other: String) -> String {
        split(separator: " ").map { $0 == text ? other : String($0) }.joined(separator: " ")
    }
}
