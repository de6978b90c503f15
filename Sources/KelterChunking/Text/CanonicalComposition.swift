// NFC exists only in full Foundation on Linux: not in the standard library, not in FoundationEssentials.
import Foundation

/// Unicode normalisation form C, computed only where a text may need it.
enum CanonicalComposition {
    /// A window is closed at the next inert scalar from this size on.
    private static let windowSize = 256
    /// A window without an inert scalar is closed at this size: Foundation takes quadratic time, and thousands of bytes
    /// of marks on one letter are no text (compare the Stream-Safe Text Format of Unicode Annex 15).
    private static let longestWindow = 4096

    /// Brings a buffer into normalisation form C.
    ///
    /// Only windows around scalars that may need it are handed to Foundation. They begin and end before an inert scalar,
    /// which neither composes with what stands before it nor lets anything pass.
    static func normalise(_ text: inout [UInt8]) {
        text =
            text.withUnsafeBufferPointer { bytes -> [UInt8]? in
                guard var uncertain = firstUncertain(bytes, from: 0) else { return nil }
                var output: [UInt8] = []
                output.reserveCapacity(bytes.count)
                var copied = 0
                while true {
                    // The letter before a mark belongs to it.
                    var start = uncertain
                    while start > copied, start == uncertain || bytes[start] & 0xC0 == 0x80 { start -= 1 }
                    let end = windowEnd(bytes, from: start, uncertain: uncertain)
                    output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[copied..<start]))
                    let window = String(decoding: bytes[start..<end], as: UTF8.self)
                    output.append(contentsOf: window.precomposedStringWithCanonicalMapping.utf8)
                    copied = end
                    guard let next = firstUncertain(bytes, from: end) else { break }
                    uncertain = next
                }
                output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[copied...]))
                return output
            } ?? text
    }

    private static func windowEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, uncertain: Int) -> Int {
        var index = uncertain
        while index < bytes.count {
            let (scalar, length) = decodeScalar(bytes, at: index)
            let size = index - start
            if size >= longestWindow || size >= windowSize && isInert(scalar) { break }
            index += length
        }
        return index
    }

    /// The first scalar that is not inert.
    ///
    /// Being uncertain only means that the full algorithm has to look: combining marks, Hangul letters, compatibility
    /// ideographs and the like.
    static func firstUncertain(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var index = start
        while index < bytes.count {
            // Bytes below CC belong to scalars below U+0300, none of which NFC changes.
            guard bytes[index] >= 0xCC else {
                index += 1
                continue
            }
            let (scalar, length) = decodeScalar(bytes, at: index)
            guard isInert(scalar) else { return index }
            index += length
        }
        return nil
    }

    /// Whether normalisation leaves a scalar alone whatever stands beside it.
    ///
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
