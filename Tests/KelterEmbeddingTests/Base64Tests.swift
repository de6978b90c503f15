import Foundation
import Testing

@testable import KelterEmbedding

@Suite("Base64")
struct Base64Tests {
    private func decode(_ text: [UInt8]) -> [UInt8]? {
        text.withUnsafeBufferPointer { text in
            guard let count = Base64.decodedCount(text) else { return nil }
            var output = [UInt8](repeating: 0xAA, count: count)
            return output.withUnsafeMutableBytes { Base64.decode(text, into: $0) } ? output : nil
        }
    }

    @Test("gives back the bytes of any length")
    func lengths() {
        for count in 0...70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 89 + count * 37) }
            #expect(decode(Array(Data(bytes).base64EncodedString().utf8)) == bytes, "\(count) bytes")
        }
    }

    @Test("gives back all values of a byte in each place of a group")
    func values() {
        for shift in 0..<3 {
            let bytes = Array(repeating: 0, count: shift) + (0...255).map { UInt8($0) }
            #expect(decode(Array(Data(bytes).base64EncodedString().utf8)) == bytes)
        }
    }

    @Test("refuses a byte outside the alphabet wherever it stands", arguments: 9...14)
    func refusals(_ count: Int) {
        let text = Array(Data(repeating: 0x5B, count: count).base64EncodedString().utf8)
        let characters = text.firstIndex(of: UInt8(ascii: "=")) ?? text.count
        for position in 0..<characters {
            for byte in UInt8.min...UInt8.max {
                let isCharacter =
                    byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || (0x30...0x39).contains(byte))
                var changed = text
                changed[position] = byte
                // A padding sign in the last places makes another, shorter text.
                guard byte != UInt8(ascii: "=") || position < characters - 1 else { continue }
                let isAccepted = isCharacter || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/")
                #expect((decode(changed) != nil) == isAccepted, "byte \(byte) at \(position)")
            }
        }
    }
}
