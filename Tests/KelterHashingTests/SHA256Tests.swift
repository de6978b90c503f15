import KelterHashing
import KelterModel
import Testing

@Suite("SHA-256")
struct SHA256Tests {
    /// FIPS 180-2, appendix B, and the empty message of NIST's CAVP.
    @Test(
        "the published vectors",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
            ),
        ]
    )
    func vectors(message: String, digest: String) throws {
        #expect(try SHA256.hash(Array(message.utf8)).hex == digest)
        #expect(try SHA256.hash(message).hex == digest)
    }

    /// NIST CAVP, SHA256ShortMsg.
    @Test(
        "short messages of NIST",
        arguments: [
            ([0xd3], "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"),
            ([0x11, 0xaf], "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98"),
            ([0xb4, 0x19, 0x0e], "dff2e73091f6c05e528896c4c831b9448653dc2ff043528f6769437bc7b975c2"),
            ([0x74, 0xba, 0x25, 0x21], "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e"),
        ] as [([UInt8], String)]
    )
    func shortMessages(message: [UInt8], digest: String) throws {
        #expect(try SHA256.hash(message).hex == digest)
    }

    @Test("a million letters, and 1 MiB of a pattern")
    func long() throws {
        #expect(
            try SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)).hex
                == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        )
        // Computed by Python's `hashlib`.
        #expect(
            try SHA256.hash(pattern(1 << 20)).hex == "1d7368ef6f59e0c704a978b815288f1e464037959645bbfd79348d330269480d"
        )
    }

    private func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    }

    @Test(
        "a text is hashed as its UTF-8 bytes",
        arguments: ["Kelter, Fäßchen 🍇", "e\u{301}", "é", "\u{0}", String(repeating: "ü", count: 100)]
    )
    func text(text: String) throws {
        #expect(try SHA256.hash(text) == SHA256.hash(Array(text.utf8)))
    }

    @Test("a text that is not ASCII has Python's digest, and canonical equivalents differ")
    func unicode() throws {
        #expect(
            try SHA256.hash("Kelter, Fäßchen 🍇").hex
                == "c69b540f40df041af5af89bcbd4057556ed7078f70163ec2694ed999a6769f98"
        )
        #expect(try SHA256.hash("é") != SHA256.hash("e\u{301}"))
    }

    @Test(
        "pieces of any size give the digest of the whole",
        arguments: [1, 3, 55, 56, 63, 64, 65, 127, 1_000, 4_096, 65_536]
    )
    func streaming(piece: Int) throws {
        let bytes = pattern(70_001)
        var hasher = SHA256()
        bytes.withUnsafeBytes { buffer in
            for start in stride(from: 0, to: buffer.count, by: piece) {
                hasher.update(UnsafeRawBufferPointer(rebasing: buffer[start..<min(start + piece, buffer.count)]))
                hasher.update(UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
        #expect(try hasher.finish() == SHA256.hash(bytes))
    }

    @Test(
        "lengths around the block and its padding",
        arguments: [
            (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
            (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
            (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
            (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
            (65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
            (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
            (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
        ]
    )
    func boundaries(count: Int, digest: String) throws {
        #expect(try SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: count)).hex == digest)
    }

    @Test("hashing from many tasks at once gives one result")
    func concurrent() async throws {
        let bytes = pattern(100_000)
        let expected = try SHA256.hash(bytes)
        try await withThrowingTaskGroup(of: ContentHash.self) { group in
            for _ in 0..<32 { group.addTask { try SHA256.hash(bytes) } }
            for try await hash in group { #expect(hash == expected) }
        }
    }

    @Test("an unused hasher is released and an empty one finishes")
    func unused() throws {
        do { _ = SHA256() }
        #expect(try SHA256().finish().hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }
}
