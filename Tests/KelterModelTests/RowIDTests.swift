import KelterModel
import Testing

@Suite("Row identifiers")
struct RowIDTests {
    @Test("the canonical form reads and prints unchanged")
    func roundTrip() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<1_000 {
            let id = RowID(high: generator.next(), low: generator.next())
            #expect(RowID(id.description) == id)
            #expect(RowID(id.description.uppercased()) == id)
            #expect(RowID(bytes: id.bytes) == id)
            #expect(id.description.utf8.count == 36)
        }
    }

    @Test("bytes and text are in network order")
    func layout() {
        let id = RowID(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)
        #expect(id.description == "00112233-4455-6677-8899-aabbccddeeff")
        #expect(id.bytes == (0..<16).map { UInt8($0 * 17) })
    }

    @Test("the nil and max UUIDs of RFC 9562 are read")
    func extremes() {
        #expect(RowID("00000000-0000-0000-0000-000000000000") == RowID(high: 0, low: 0))
        #expect(RowID("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF") == RowID(high: .max, low: .max))
    }

    @Test(
        "anything but 36 characters of the hyphenated form is refused",
        arguments: [
            "", "-", "11111111", "11111111-1111-4111-8111-11111111111", "11111111-1111-4111-8111-1111111111111",
            "11111111-1111-4111-8111-111111111111 ", " 11111111-1111-4111-8111-111111111111",
            "{11111111-1111-4111-8111-111111111111}", "111111111111411181111111111111111111",
            "11111111111141118111111111111111", "1111111-11111-4111-8111-111111111111",
            "11111111-1111-4111-8111-11111111111g", "11111111_1111_4111_8111_111111111111",
            "urn:uuid:11111111-1111-4111-8111-111111111111", "１1111111-1111-4111-8111-111111111111",
            "11111111-1111-4111-8111-1111111111\u{0}1", "------------------------------------",
        ]
    )
    func malformed(text: String) {
        #expect(RowID(text) == nil)
    }

    @Test("another count of bytes is refused", arguments: [0, 15, 17, 32])
    func byteCounts(count: Int) {
        #expect(RowID(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }

    @Test("the order is that of the bytes, unsigned")
    func order() {
        var generator = SeededGenerator(seed: 2)
        let ids = (0..<200).map { _ in RowID(high: generator.next() & 0x8000_0000_0000_0001, low: generator.next()) }
        let sorted = ids.sorted()
        #expect(sorted == ids.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) })
        #expect(sorted.map(\.description) == ids.map(\.description).sorted())
    }

    /// The DNS case is RFC 9562's test vector (appendix A.4); the others were computed by Python's `uuid.uuid5`.
    @Test(
        "version 5 agrees with RFC 9562 and with Python",
        arguments: [
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com", "2ed6657d-e927-568b-95e1-2665a8aea6a2"),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org", "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
            ("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "tenant:dev-tenant", "9036ab9d-78a0-5ad1-8234-c382ae843304"),
            ("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "tenant:public", "d1982983-b2c6-5b93-8eab-5b47c90eec80"),
            ("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "", "1b4db7eb-4057-5ddf-91e0-36dec72071f5"),
            (
                "6ba7b811-9dad-11d1-80b4-00c04fd430c8", "https://example.com/straße",
                "9e46c252-dd60-5066-afa4-8a11b809ca90"
            ),
            (
                "6ba7b811-9dad-11d1-80b4-00c04fd430c8", String(repeating: "x", count: 200),
                "cd3580b9-d244-586a-8077-74317319b48d"
            ),
        ]
    )
    func version5(namespace: String, name: String, expected: String) throws {
        let namespace = try #require(RowID(namespace))
        #expect(RowID.version5(namespace: namespace, name: name).description == expected)
    }

    @Test("the URL namespace is RFC 9562's")
    func namespace() {
        #expect(RowID.namespaceURL.description == "6ba7b811-9dad-11d1-80b4-00c04fd430c8")
    }

    @Test("version 7 carries the time, the version and the variant")
    func version7Layout() {
        // The time of RFC 9562's example (appendix A.6).
        let milliseconds: UInt64 = 0x017F_22E2_79B0
        for _ in 0..<200 {
            let id = RowID.version7(milliseconds: milliseconds)
            #expect(id.high >> 16 == milliseconds)
            #expect(id.high >> 12 & 0xF == 7)
            #expect(id.low >> 62 == 0b10)
            #expect(id.description.hasPrefix("017f22e2-79b0-7"))
        }
    }

    @Test("version 7 sorts by time and differs within a millisecond")
    func version7Order() {
        let ids = (0..<500).map { RowID.version7(milliseconds: 1_790_000_000_000 + UInt64($0)) }
        #expect(ids == ids.sorted())
        #expect(Set((0..<500).map { _ in RowID.version7(milliseconds: 1_790_000_000_000) }).count == 500)
    }
}
