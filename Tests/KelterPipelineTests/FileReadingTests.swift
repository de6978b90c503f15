import Foundation
import KelterHashing
import KelterModel
import KelterPipeline
import Testing

@Suite struct FileReadingTests {
    @Test(arguments: [0, 1, 63, 4096, 300_000])
    func `Size, digest and bytes are those of the file`(size: Int) throws {
        let directory = try TemporaryDirectory()
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = directory.path + "/file"
        try Data(bytes).write(to: URL(filePath: path))
        let kept = try readFile(path, keepUpTo: 1 << 20, maximum: 1 << 20)
        let expected = try SHA256.hash(bytes)
        #expect(kept.bytes == bytes && kept.size == size && kept.hash == expected)
        let hashed = try readFile(path, keepUpTo: -1, maximum: 1 << 20)
        #expect(hashed.bytes == nil && hashed.size == size && hashed.hash == kept.hash)
        #expect(try readPrefix(path, count: 64) == Array(bytes.prefix(64)))
    }

    @Test func `A file over the limit is refused by name`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("big.txt", String(repeating: "x", count: 101))
        let error = #expect(throws: KelterError.self) { _ = try readFile(path, keepUpTo: 10, maximum: 100) }
        #expect(error?.code == .fileTooLarge && error?.subject == path)
    }

    @Test func `What is no regular file or is gone is unreadable`() throws {
        let directory = try TemporaryDirectory()
        try directory.link("link", to: "/etc/hostname")
        for path in [directory.path, directory.path + "/link", directory.path + "/gone"] {
            let error = #expect(throws: KelterError.self) { _ = try readFile(path, keepUpTo: 10, maximum: 100) }
            #expect(error?.code == .fileUnreadable)
        }
    }
}
