/// A text as the engine takes it: without the prefix, which the engine adds itself.
struct EngineText: Sendable, Equatable {
    /// The two kinds of texts multilingual-e5 was trained with.
    enum Kind: UInt8, Sendable {
        case passage = 0
        case query = 1
    }

    let kind: Kind
    /// UTF-8 without NUL.
    let bytes: [UInt8]

    init(kind: Kind, bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }

    /// Takes `query: ` or `passage: ` off the front of an input; an input with neither is a passage.
    init(input: String) {
        let bytes = Array(input.utf8)
        if bytes.starts(with: "query: ".utf8) {
            kind = .query
            self.bytes = Self.expanded(bytes.dropFirst(7))
        } else {
            kind = .passage
            self.bytes = Self.expanded(bytes.dropFirst(bytes.starts(with: "passage: ".utf8) ? 9 : 0))
        }
    }

    /// Replaces the ligature U+FDFA by the 18 characters it stands for.
    ///
    /// The tokenizer does the same (NFKC), but the engine reserves room for 12 characters from 3 bytes and writes
    /// beyond it. No other character becomes more than 12.
    private static func expanded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        guard bytes.contains(0xEF) else { return Array(bytes) }
        let ligature: [UInt8] = [0xEF, 0xB7, 0xBA]
        var result: [UInt8] = []
        var position = bytes.startIndex
        while position < bytes.endIndex {
            if bytes[position] == 0xEF, bytes[position...].starts(with: ligature) {
                result.append(contentsOf: "صلى الله عليه وسلم".utf8)
                position += ligature.count
            } else {
                result.append(bytes[position])
                position += 1
            }
        }
        return result
    }
}
