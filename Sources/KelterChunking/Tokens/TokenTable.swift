/// The tokens of a vocabulary with their ranks, which are their indexes.
///
/// An open hash table. Tokens of up to eight bytes, most of all, are compared within their slot.
struct TokenTable: Sendable {
    /// The rank of bytes that are no token.
    static let none = UInt32.max
    /// Bytes that are read at once.
    static let padding = 8

    /// 16 bytes, so that a slot lies in one cache line.
    struct Slot {
        /// The bytes of a short token, the hash of a long one.
        var key: UInt64
        var rank: UInt32
        /// Bytes of the token, 0 in a free slot.
        var length: UInt32
    }

    private let slots: [Slot]
    /// One bit for each of some hashes, set where a token has it: most bytes that are no token are known by that, without
    /// a look at the far larger ``slots``.
    private let filter: [UInt64]
    /// The ranks of all tokens of two bytes, by the little-endian number they are.
    private let pairs: [UInt32]
    /// The bytes of all tokens in the order of their ranks.
    private let bytes: [UInt8]
    /// Where the token of each rank begins in ``bytes``, and the end of the last.
    private let offsets: [UInt32]
    /// Bytes of the longest token.
    let longest: Int

    /// Makes the table of the tokens whose bytes lie one after the other in the order of their ranks; `nil` if a token is
    /// empty or stands twice.
    ///
    /// - Parameters:
    ///   - bytes: The bytes of all tokens.
    ///   - offsets: Where each begins, and the end of the last.
    init?(bytes: [UInt8], offsets: [UInt32]) {
        var capacity = 1024
        while capacity < offsets.count + offsets.count / 4 { capacity *= 2 }
        var filter = [UInt64](repeating: 0, count: capacity / 8)
        var slots = [Slot](repeating: Slot(key: 0, rank: Self.none, length: 0), count: capacity)
        var pairs = [UInt32](repeating: Self.none, count: 1 << 16)
        var longest = 0
        var isValid = true
        bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            for rank in 0..<offsets.count - 1 {
                let token = base + Int(offsets[rank])
                let length = Int(offsets[rank + 1]) - Int(offsets[rank])
                guard length > 0 else { return isValid = false }
                longest = max(longest, length)
                if length == 2 { pairs[Int(token[0]) | Int(token[1]) << 8] = UInt32(rank) }
                let key = Self.key(token, length)
                let hash = Self.hash(key, length)
                filter[hash >> 6 & (filter.count - 1)] |= 1 << UInt64(hash & 63)
                var index = hash & (capacity - 1)
                while slots[index].length > 0 {
                    let other = slots[index]
                    if other.key == key, Int(other.length) == length,
                        length <= 8 || equal(token, base + Int(offsets[Int(other.rank)]), length)
                    {
                        return isValid = false
                    }
                    index = (index + 1) & (capacity - 1)
                }
                slots[index] = Slot(key: key, rank: UInt32(rank), length: UInt32(length))
            }
        }
        guard isValid else { return nil }
        self.slots = slots
        self.filter = filter
        self.pairs = pairs
        // Also a table without tokens needs an address.
        self.bytes = bytes.isEmpty ? [0] : bytes
        self.offsets = offsets
        self.longest = longest
    }

    /// The table as pointers, for the time of a closure.
    struct View {
        let slots: UnsafePointer<Slot>
        let slotMask: Int
        let filter: UnsafePointer<UInt64>
        let filterMask: Int
        let pairs: UnsafePointer<UInt32>
        let bytes: UnsafePointer<UInt8>
        let offsets: UnsafePointer<UInt32>
        let longest: Int
    }

    /// Gives a view of the table to a closure.
    func withView<Result>(_ body: (View) -> Result?) -> Result? {
        slots.withUnsafeBufferPointer { slots in
            filter.withUnsafeBufferPointer { filter in
                pairs.withUnsafeBufferPointer { pairs in
                    bytes.withUnsafeBufferPointer { bytes in
                        offsets.withUnsafeBufferPointer { offsets in
                            View(slots, filter, pairs, bytes, offsets, longest).flatMap(body)
                        }
                    }
                }
            }
        }
    }

    /// The bytes themselves, little-endian and padded with zeros, up to eight; a hash of more.
    @inline(__always)
    fileprivate static func key(_ token: UnsafePointer<UInt8>, _ length: Int) -> UInt64 {
        let raw = UnsafeRawPointer(token)
        func word(_ offset: Int) -> UInt64 { raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian }
        func half(_ offset: Int) -> UInt64 {
            UInt64(raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian)
        }
        if length < 4 {
            let middle = length >> 1
            return UInt64(token[0]) | UInt64(token[middle]) << UInt64(8 * middle)
                | UInt64(token[length - 1]) << UInt64(8 * (length - 1))
        }
        // The second load overlaps the first, where both have the same bits.
        if length <= 8 { return half(0) | half(length - 4) << UInt64(8 * (length - 4)) }
        var hash: UInt64 = 0
        var offset = 0
        while offset < length - 8 {
            hash = mix(hash ^ word(offset))
            offset += 8
        }
        return mix(hash ^ word(length - 8))
    }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value &* 0x9E37_79B9_7F4A_7C15
        return product ^ product >> 29
    }

    /// Lower bits for the first slot to look at, which all bits of the key have a part in.
    @inline(__always)
    fileprivate static func hash(_ key: UInt64, _ length: Int) -> Int {
        let product = (key ^ UInt64(length) &* 0xA24B_AED4_963E_E407) &* 0x9FB2_1C65_1E98_DF25
        return Int((product ^ product >> 35) >> 20)
    }
}

extension TokenTable.View {
    fileprivate init?(
        _ slots: UnsafeBufferPointer<TokenTable.Slot>,
        _ filter: UnsafeBufferPointer<UInt64>,
        _ pairs: UnsafeBufferPointer<UInt32>,
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ offsets: UnsafeBufferPointer<UInt32>,
        _ longest: Int
    ) {
        guard let slotBase = slots.baseAddress, let filterBase = filter.baseAddress, let pairs = pairs.baseAddress,
            let bytes = bytes.baseAddress, let offsets = offsets.baseAddress
        else { return nil }
        self.slots = slotBase
        slotMask = slots.count - 1
        self.filter = filterBase
        filterMask = filter.count - 1
        self.pairs = pairs
        self.bytes = bytes
        self.offsets = offsets
        self.longest = longest
    }

    /// The rank of two bytes.
    @inline(__always)
    func rank(ofPair bytes: UnsafePointer<UInt8>) -> UInt32 {
        pairs[Int(bytes[0]) | Int(bytes[1]) << 8]
    }

    /// The rank of some bytes, at least one; ``TokenTable/none`` if they are no token.
    @inline(__always)
    func rank(of token: UnsafePointer<UInt8>, _ length: Int) -> UInt32 {
        length <= longest ? rank(of: token, length, key: TokenTable.key(token, length)) : TokenTable.none
    }

    /// The rank of some bytes behind which ``TokenTable/padding`` more may be read, whatever they are.
    @inline(__always)
    func rank(ofPadded token: UnsafePointer<UInt8>, _ length: Int) -> UInt32 {
        guard length <= 8 else { return rank(of: token, length) }
        let word = UnsafeRawPointer(token).loadUnaligned(as: UInt64.self).littleEndian
        return rank(of: token, length, key: word & UInt64.max >> UInt64(64 - 8 * length))
    }

    @inline(__always)
    private func rank(of token: UnsafePointer<UInt8>, _ length: Int, key: UInt64) -> UInt32 {
        let hash = TokenTable.hash(key, length)
        if filter[hash >> 6 & filterMask] >> UInt64(hash & 63) & 1 == 0 { return TokenTable.none }
        var index = hash & slotMask
        while true {
            let slot = slots[index]
            if slot.length == 0 { return TokenTable.none }
            if slot.key == key, Int(slot.length) == length,
                length <= 8 || equal(token, bytes + Int(offsets[Int(slot.rank)]), length)
            {
                return slot.rank
            }
            index = (index + 1) & slotMask
        }
    }
}

@inline(__always)
private func equal(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ length: Int) -> Bool {
    for index in 0..<length where left[index] != right[index] { return false }
    return true
}
