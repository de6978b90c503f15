// The decompositions of scalars are in full Foundation only.
import Foundation

/// What BERT's normaliser and pre-tokeniser make of each scalar.
///
/// They remove control characters, set ideographs apart, take accents off by way of normalisation form D, and lower the
/// case; words end at white space, and every punctuation mark is a word. The classes are those of the published
/// implementation, the Rust crate `tokenizers` (0.23): Unicode 8 for categories, 9 for normalisation, the newest for case.
struct BertNormaliser: Sendable {
    /// Which of the steps are taken.
    struct Options: Sendable {
        /// Whether control characters are removed.
        var cleansText: Bool
        /// Whether ideographs are words of their own.
        var separatesIdeographs: Bool
        /// Whether texts are decomposed and non-spacing marks removed.
        var stripsAccents: Bool
        var lowersCase: Bool
    }

    // What a scalar is; a greater code is the index of a replacement, counted from `firstReplacement`.
    /// Part of a word as it is.
    static let letter: UInt16 = 0
    static let space: UInt16 = 1
    /// A word of its own.
    static let single: UInt16 = 2
    /// Removed as if it had not been there.
    static let removed: UInt16 = 3
    /// Removed, but marks do not change places over it.
    static let removedStarter: UInt16 = 4
    /// A mark that stays and may change places with marks beside it.
    static let mark: UInt16 = 5
    /// A Hangul syllable that becomes two or three letters.
    static let syllable: UInt16 = 6
    static let firstReplacement: UInt16 = 7

    /// The code of each scalar.
    let codes: ScalarTable<UInt16>
    /// The scalars that stand for others.
    let replacements: [[UInt32]]

    init(_ options: Options) {
        let decompositions = options.stripsAccents ? Self.decompositions() : [:]
        var replacements: [[UInt32]] = []
        codes = ScalarTable { scalar in
            let value = scalar.value
            let properties = scalar.properties
            let category = properties.generalCategory
            if options.cleansText {
                if value == 0 || value == 0xFFFD { return Self.removed }
                switch category {
                case .control: return [0x09, 0x0A, 0x0D].contains(value) ? Self.space : Self.removed
                case .privateUse: return Self.removed
                case .format where properties.isAssigned(upTo: 8): return Self.removed
                default: break
                }
            }
            let isIdeograph = options.separatesIdeographs && Self.isIdeograph(value)
            var result = decompositions[value] ?? [value]
            if options.stripsAccents {
                if (0xAC00...0xD7A3).contains(value) { return Self.syllable }
                if result == [value], Self.isNonSpacing(scalar, category) {
                    return Self.isNonStarter(scalar) ? Self.removed : Self.removedStarter
                }
                // Within a decomposition only marks are removed that others may pass.
                result.removeAll {
                    Unicode.Scalar($0).map { Self.isNonSpacing($0, $0.properties.generalCategory) } ?? false
                }
            }
            if options.lowersCase { result = result.flatMap(Self.lowered) }
            if result == [value] {
                if properties.isWhitespace { return Self.space }
                if isIdeograph || Self.isPunctuation(scalar, category) { return Self.single }
                return options.stripsAccents && Self.isNonStarter(scalar) ? Self.mark : Self.letter
            }
            if result.isEmpty { return Self.removed }
            replacements.append(isIdeograph ? [0x20] + result + [0x20] : result)
            return Self.firstReplacement + UInt16(replacements.count - 1)
        }
        self.replacements = replacements
    }

    private static func lowered(_ value: UInt32) -> [UInt32] {
        guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenLowercased else { return [value] }
        return scalar.properties.lowercaseMapping.unicodeScalars.map(\.value)
    }

    private static func isIdeograph(_ value: UInt32) -> Bool {
        switch value {
        case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B81F,
            0x2B920...0x2CEAF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    /// Whether a scalar is a non-spacing mark of Unicode 8; some have changed their category since.
    private static func isNonSpacing(_ scalar: Unicode.Scalar, _ category: Unicode.GeneralCategory) -> Bool {
        switch scalar.value {
        case 0x1734, 0x1171E: true
        case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
        default: category == .nonspacingMark && scalar.properties.isAssigned(upTo: 8)
        }
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar, _ category: Unicode.GeneralCategory) -> Bool {
        switch scalar.value {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
        // Punctuation in Unicode 8, and something else today.
        case 0x166D, 0x111C9: return true
        default: break
        }
        switch category {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return scalar.properties.isAssigned(upTo: 8)
        default: return false
        }
    }

    private static func isNonStarter(_ scalar: Unicode.Scalar) -> Bool { combiningClass(scalar) > 0 }

    /// The class by which marks are put in order.
    static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
        let properties = scalar.properties
        return properties.isAssigned(upTo: 9) ? properties.canonicalCombiningClass.rawValue : 0
    }

    /// The canonical decomposition of every scalar that has one but the Hangul syllables, whose are computed.
    private static func decompositions() -> [UInt32: [UInt32]] {
        // All blocks with such scalars: letters, signs, Kana, presentation forms, Indic scripts, notes and ideographs.
        let ranges: [ClosedRange<UInt32>] = [
            0x80...0x30FF, 0xF900...0xFB7F, 0x11000...0x11FFF, 0x1D100...0x1D1FF, 0x2F800...0x2FA7F,
        ]
        var decompositions: [UInt32: [UInt32]] = [:]
        for range in ranges {
            let scalars = range.compactMap(Unicode.Scalar.init).filter { $0.properties.isAssigned(upTo: 9) }
            // One call for many scalars, with line ends between them that nothing passes.
            for start in stride(from: 0, to: scalars.count, by: 128) {
                let part = scalars[start..<min(start + 128, scalars.count)]
                var text = String.UnicodeScalarView()
                for scalar in part {
                    text.append(scalar)
                    text.append("\n")
                }
                let decomposed = String(text).decomposedStringWithCanonicalMapping.unicodeScalars.split(separator: "\n")
                for (scalar, result) in zip(part, decomposed) where result.first != scalar || result.count > 1 {
                    decompositions[scalar.value] = result.map(\.value)
                }
            }
        }
        return decompositions
    }
}
