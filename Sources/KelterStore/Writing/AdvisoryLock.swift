import KelterModel

/// The keys of the transaction locks that let kelter's own writers of the same names or bytes follow each other.
///
/// They only avoid needless conflicts; correctness rests on the unique indexes, which writers unknown to kelter obey
/// as well.
enum AdvisoryLock {
    /// The sorted keys of a group: taken in this order by everyone, they cannot deadlock.
    static func keys(_ group: [GuardKey], tenant: Tenant) -> [Int] {
        var keys: Set<Int> = []
        for key in group {
            keys.insert(self.key(tenant, key.collection, "e", key.externalID))
            keys.insert(self.key(tenant, key.collection, "h", key.hash.hex))
        }
        return keys.sorted()
    }

    private static func key(_ tenant: Tenant, _ scope: CollectionID?, _ kind: String, _ value: String) -> Int {
        var hash = FNV1a()
        hash.mix(tenant.rowID.bytes)
        hash.mix(scope?.bytes ?? [0])
        hash.mix(kind.utf8)
        hash.mix(value.utf8)
        return Int(truncatingIfNeeded: hash.value)
    }
}

/// The hash FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
struct FNV1a {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func mix(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
}
