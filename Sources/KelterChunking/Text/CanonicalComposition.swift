// NFC exists only in full Foundation on Linux: not in the standard library, not in FoundationEssentials.
import Foundation

/// Unicode normalisation form C, computed only where a text may need it.
enum CanonicalComposition {
    /// Brings a buffer into normalisation form C.
    static func normalise(_ text: inout [UInt8]) {
        if text.withUnsafeBufferPointer({ isCertainlyComposed($0) }) { return }
        text = Array(String(decoding: text, as: UTF8.self).precomposedStringWithCanonicalMapping.utf8)
    }

    /// Whether every scalar is one that normalisation leaves alone whatever stands beside it.
    ///
    /// "No" only means that the full algorithm has to look: text with combining marks, Hangul letters, compatibility
    /// ideographs and the like.
    static func isCertainlyComposed(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        while index < bytes.count {
            // Bytes below CC belong to scalars below U+0300, none of which NFC changes.
            guard bytes[index] >= 0xCC else {
                index += 1
                continue
            }
            let (scalar, length) = decodeScalar(bytes, at: index)
            guard isInert(scalar) else { return false }
            index += length
        }
        return true
    }

    /// Ranges without combining marks, without characters that have a canonical decomposition other than a composed
    /// form of themselves, and without characters that compose with one before them.
    static func isInert(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x388...0x482, 0x48A...0x590, 0x1E00...0x1F70, 0x2002...0x20CF, 0x212C...0x2328, 0x232B...0x2ADB,
            0x2E00...0x3029, 0x3030...0x3098, 0x309B...0xA66E, 0xAC00...0xD7A3, 0xE000...0xF8FF, 0xFE30...0xFFFD,
            0x1F000...0x1FAFF, 0x20000...0x2F7FF:
            true
        // Letter-like symbols but the Ohm, Kelvin and Ångström signs.
        case 0x2100...0x2125, 0x2127...0x2129: true
        case 0..<0x300: true
        default: false
        }
    }
}
