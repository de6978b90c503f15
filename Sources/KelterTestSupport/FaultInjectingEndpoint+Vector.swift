extension FaultInjectingEndpoint {
    /// Sebastiano Vigna's SplitMix64: fast, seeded, good enough for test data.
    struct SplitMix64: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}

extension FaultInjectingEndpoint {
    /// The vector of a text, not normalised.
    ///
    /// The seed is FNV-1a (64 bits) over the text's UTF-8 in little-endian words of eight bytes, the last one filled with
    /// zeros, and then over its length. Number i is the upper half of the i-th output of SplitMix64 from that seed, as a
    /// signed 32-bit integer, divided by 2³¹.
    package static func vector(for text: String, dimension: Int) -> [Float] {
        vector(for: Array(text.utf8)[...], dimension: dimension)
    }

    static func vector(for text: ArraySlice<UInt8>, dimension: Int) -> [Float] {
        let prime: UInt64 = 0x0000_0100_0000_01B3
        var seed: UInt64 = 0xCBF2_9CE4_8422_2325
        text.withUnsafeBytes { bytes in
            var offset = 0
            while offset + 8 <= bytes.count {
                seed =
                    (seed ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))) &* prime
                offset += 8
            }
            if offset < bytes.count {
                var word: UInt64 = 0
                for (shift, byte) in bytes[offset...].enumerated() { word |= UInt64(byte) << UInt64(8 * shift) }
                seed = (seed ^ word) &* prime
            }
            seed = (seed ^ UInt64(bytes.count)) &* prime
        }
        var generator = SplitMix64(state: seed)
        return Array(unsafeUninitializedCapacity: dimension) { buffer, count in
            for index in 0..<dimension {
                let value = Float(Int32(truncatingIfNeeded: generator.next() >> 32)) * 0x1p-31
                buffer.initializeElement(at: index, to: value)
            }
            count = dimension
        }
    }
}
