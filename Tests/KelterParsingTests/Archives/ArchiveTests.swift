import Foundation
import KelterModel
import KelterParsing
import Testing

@Suite struct ArchiveTests {
    private typealias Member = ArchiveSamples.Member

    /// What an archive turns out to be, one line for each entry: name and content, or name and reason.
    private func contents(_ bytes: [UInt8], _ name: String, _ limits: ArchiveLimits = .init()) throws -> [String] {
        try ArchiveSamples.with(bytes, name) { path in
            let format = try #require(ArchiveFormat(fileName: name))
            do {
                let archive = try Archive(path: path, format: format, limits: limits)
                return try archive.entries().map { entry in
                    switch entry {
                    case .member(let member):
                        // As another process reads it.
                        let again = try #require(ArchiveMember(member.json))
                        #expect(again == member)
                        return "\(member.name): \(text(archive, again))"
                    case .link(let name): return "\(name) link"
                    case .special(let name): return "\(name) special"
                    case .superseded(let name): return "\(name) superseded"
                    case .failed(let name, let error): return "\(name) \(error.code)"
                    }
                }
            } catch let error as KelterError {
                return [error.code.rawValue]
            }
        }
    }

    private func text(_ archive: Archive, _ member: ArchiveMember) -> String {
        var bytes: [UInt8] = []
        do throws(KelterError) {
            try archive.read(member) { bytes.append(contentsOf: $0) }
        } catch {
            return error.code.rawValue
        }
        return bytes.count > 100 ? "\(bytes.count) bytes" : String(decoding: bytes, as: UTF8.self)
    }

    @Test func `The format is told by the name alone`() {
        #expect(ArchiveFormat(fileName: "a/B.ZIP") == .zip && ArchiveFormat(fileName: "a.tar.gz") == .compressedTar)
        #expect(ArchiveFormat(fileName: "a.tgz") == .compressedTar && ArchiveFormat(fileName: "a.tar") == .tar)
        for name in ["a.docx", "a.epub", "a.gz", "zip", "a.tar.xz"] { #expect(ArchiveFormat(fileName: name) == nil) }
    }

    @Test(arguments: [false, true])
    func `A ZIP archive's files are read, stored and deflated, also with ZIP64 records`(isWide: Bool) throws {
        let long = String(repeating: "Ein langer Text. ", count: 20_000)
        let bytes = ArchiveSamples.zip(
            [
                Member("a.txt", "eins"), Member("ordner/", ""), Member("ordner/ä.txt", "zwei", deflates: true),
                Member("leer.txt", ""), Member("lang.txt", long, deflates: true), Member("./x/./b.txt", "drei"),
            ],
            comment: "PK\u{5}\u{6} as a comment",
            isWide: isWide
        )
        let expected = ["a.txt: eins", "ordner/ä.txt: zwei", "leer.txt: ", "lang.txt: 340000 bytes", "x/b.txt: drei"]
        #expect(try contents(bytes, "a.zip") == expected)
    }

    @Test func `What is wrong with a member of a ZIP archive costs that member alone`() throws {
        let good = Member("gut.txt", "gut")
        let cases: [(Member, String)] = [
            (Member("../../etc/x", "x"), "../../etc/x [2e2e2f2e2e2f6574632f78] ARCHIVE_INVALID"),
            (Member("/etc/x", "x"), "/etc/x [2f6574632f78] ARCHIVE_INVALID"),
            (Member("link", "ziel").with { $0.mode = 0o120777 }, "link link"),
            (Member("rohr", "").with { $0.mode = 0o010644 }, "rohr special"),
            (Member("geheim", "x").with { $0.flags = 0x801 }, "geheim ARCHIVE_ENCRYPTED"),
            (Member("bzip", "x").with { $0.method = 12 }, "bzip ARCHIVE_INVALID"),
            (Member("crc", "x").with { $0.crc = 1 }, "crc: ARCHIVE_INVALID"),
            (Member("groß", "xxxx", deflates: true).with { $0.size = 3 }, "groß: ARCHIVE_INVALID"),
            (Member("klein", "xxxx", deflates: true).with { $0.size = 5 }, "klein: ARCHIVE_INVALID"),
            (Member("stored", "xxxx").with { $0.size = 3 }, "stored ARCHIVE_INVALID"),
            (Member("gut.txt", "zweimal"), "gut.txt ARCHIVE_INVALID"),
            (Member("überlappt", "gut").with { $0.offset = 0 }, "überlappt ARCHIVE_INVALID"),
            (Member("innen.zip", "PK"), "innen.zip ARCHIVE_LIMIT"),
            (Member("", "437").with { $0.name = [0x81, 0x62] }, "üb: 437"),
            (Member("win\\dos.txt", "x").with { $0.host = 0 }, "win/dos.txt: x"),
        ]
        for (member, expected) in cases {
            #expect(try contents(ArchiveSamples.zip([good, member]), "a.zip") == ["gut.txt: gut", expected])
        }
    }

    @Test func `A tar archive's files are read whatever its dialect`() throws {
        let long = Array((String(repeating: "verzeichnis/", count: 30) + "lang.txt").utf8)
        var bytes = ArchiveSamples.tar("a.txt", "eins") + ArchiveSamples.tar("ordner/", "", type: "5")
        bytes += ArchiveSamples.tar(Array("b.txt".utf8), Array("zwei".utf8), prefix: "ordner/tief")
        bytes +=
            ArchiveSamples.tar(Array("././@LongLink".utf8), long + [0], type: "L") + ArchiveSamples.tar("kurz", "drei")
        bytes += ArchiveSamples.pax([("path", "ü/pax.txt"), ("size", "4")])
        // The size in the header does not count then.
        bytes += ArchiveSamples.tar(Array("egal".utf8), Array("vier".utf8), size: Array("00000000000\0".utf8))
        bytes += ArchiveSamples.pax([("comment", "für alle")], type: "g")
        let binary: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]
        bytes += ArchiveSamples.tar(Array("binär".utf8), Array("fünf".utf8), size: binary)
        bytes += ArchiveSamples.tar("weg", "", type: "2") + ArchiveSamples.tar("hart", "", type: "1")
        bytes += ArchiveSamples.tar("gerät", "", type: "3") + ArchiveSamples.tar("a.txt", "neu")
        bytes += ArchiveSamples.tar("loch", "x", type: "S") + ArchiveSamples.tar("../x", "x")
        bytes += ArchiveSamples.tar([0x62, 0xFF], [0x78])
        let name = String(decoding: long, as: UTF8.self)
        let expected = [
            "a.txt superseded", "ordner/tief/b.txt: zwei", "\(name): drei", "ü/pax.txt: vier", "binär: fünf",
            "weg link", "hart link", "gerät special", "a.txt: neu", "loch ARCHIVE_INVALID",
            "../x [2e2e2f78] ARCHIVE_INVALID", "b\u{FFFD} [62ff] INGEST_FILE_NAME_NOT_UTF8",
        ]
        for end in [ArchiveSamples.tarEnd, []] {
            #expect(try contents(bytes + end, "a.tar") == expected)
            // As several gzip members in a row.
            let middle = bytes.count / 2
            let packed =
                ArchiveSamples.deflated(Array(bytes[..<middle]), asGzip: true)
                + ArchiveSamples.deflated(Array(bytes[middle...]) + end, asGzip: true)
            #expect(try contents(packed, "a.tgz") == expected)
        }
    }

    @Test func `Bombs are refused by ratio, number and size`() throws {
        let zeros = [UInt8](repeating: 0x20, count: 20_000_000)
        let bomb = Member("bombe", "", deflates: true).with { $0.content = zeros }
        let found = try contents(ArchiveSamples.zip([bomb, Member("a", "b")]), "a.zip")
        #expect(found == ["bombe ARCHIVE_LIMIT", "a: b"])
        let tar = ArchiveSamples.tar(Array("bombe".utf8), zeros)
        #expect(try contents(ArchiveSamples.deflated(tar, asGzip: true), "a.tgz") == ["ARCHIVE_LIMIT"])
        var limits = ArchiveLimits()
        limits.entries = 2
        let three = ["a", "b", "c"]
        #expect(try contents(ArchiveSamples.zip(three.map { Member($0, $0) }), "a.zip", limits) == ["ARCHIVE_LIMIT"])
        let tars = three.flatMap { ArchiveSamples.tar($0, $0) }
        #expect(try contents(tars, "a.tar", limits) == ["ARCHIVE_LIMIT"])
        limits = ArchiveLimits()
        limits.bytes = 4
        let large = try contents(ArchiveSamples.zip([Member("a", "12345")]), "a.zip", limits)
        #expect(large == ["ARCHIVE_LIMIT"])
        // Sizes that lie: more comes out than the directory says.
        let liar = bomb.with { $0.size = 10 }
        let lied = try contents(ArchiveSamples.zip([liar]), "a.zip")
        #expect(lied == ["bombe: ARCHIVE_INVALID"])
    }

    @Test func `Of an archive that is cut off, what is whole is read and the cut is told`() throws {
        let tar = ArchiveSamples.tar("a", "eins") + ArchiveSamples.tar("b", String(repeating: "x", count: 90))
        for length in 0..<tar.count {
            let found = try contents(Array(tar[..<length]), "a.tar")
            switch length {
            // The last block need not be full.
            case ..<516: #expect(found == ["ARCHIVE_INVALID"], "\(length)")
            case ...1024: #expect(found == ["a: eins"], "\(length)")
            case ..<(1024 + 512 + 90): #expect(found == ["a: eins", " ARCHIVE_INVALID"], "\(length)")
            default: #expect(found.count == 2 && found[0] == "a: eins")
            }
        }
        let zip = ArchiveSamples.zip([Member("a", "eins"), Member("b", "zwei", deflates: true)])
        for length in 0..<zip.count { #expect(try contents(Array(zip[..<length]), "a.zip") == ["ARCHIVE_INVALID"]) }
        let gzip = ArchiveSamples.deflated(tar, asGzip: true)
        for length in 0..<gzip.count {
            let found = try contents(Array(gzip[..<length]), "a.tar.gz")
            #expect(
                !found.isEmpty
                    && found.allSatisfy { $0.hasPrefix("a: ") || $0.hasPrefix("b: ") || $0.contains("ARCHIVE") }
            )
        }
        for name in ["a.zip", "a.tar", "a.tgz"] {
            #expect(try contents(Array("no archive at all, just text".utf8), name) == ["ARCHIVE_INVALID"])
        }
    }

    @Test func `Whatever bytes are changed, reading ends with what is there or a code`() throws {
        var generator = SplitMix(state: 42)
        let tar =
            ArchiveSamples.pax([("path", "ü/pax.txt")]) + ArchiveSamples.tar("x", "eins")
            + ArchiveSamples.tar(Array("././@LongLink".utf8), Array("lang/lang".utf8), type: "L")
            + ArchiveSamples.tar("b", "zwei") + ArchiveSamples.tarEnd
        let samples: [([UInt8], String)] = [
            (tar, "a.tar"), (ArchiveSamples.deflated(tar, asGzip: true), "a.tgz"),
            (ArchiveSamples.zip([Member("a", "eins"), Member("b", "zwei", deflates: true)], isWide: true), "a.zip"),
            (ArchiveSamples.zip([Member("a", "eins", deflates: true), Member("b", "zwei")]), "b.zip"),
        ]
        for (bytes, name) in samples {
            for _ in 0..<1500 {
                var changed = bytes
                for _ in 0...Int(generator.next() % 3) {
                    changed[Int(generator.next() % UInt64(changed.count))] = UInt8(truncatingIfNeeded: generator.next())
                }
                #expect(try contents(changed, name).count < 10)
            }
        }
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }
}
