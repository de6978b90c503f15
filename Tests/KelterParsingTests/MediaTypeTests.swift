import KelterModel
import KelterParsing
import Testing

@Suite("Media types")
struct MediaTypeTests {
    private func mediaType(_ text: String, name: String, declared: String? = nil) throws -> String {
        try DocumentParser().parse(Array(text.utf8), name: name, mediaType: declared).mediaType
    }

    @Test(
        "Content comes first, then the name, then the declaration",
        arguments: [
            ("<!DOCTYPE HTML><p>a", "a.txt", "text/plain", "text/html"),
            (" <!-- c -->\n<?pi?><html>a", "a.md", nil, "text/html"),
            ("<div>a</div>", "a.md", "text/html", "text/markdown"),
            ("<div>a</div>", "README", nil, "text/html"),
            ("<div>a</div>", "README", "text/markdown; charset=utf-8", "text/markdown"),
            ("# a", "a.MD", nil, "text/markdown"),
            ("# a", "a.txt", "text/markdown", "text/plain"),
            ("# a", "dir.md/a", nil, "text/plain"),
            ("# a", ".md", nil, "text/plain"),
            ("a", "a.htm", nil, "text/html"),
            ("a", "a.unknown", "application/xhtml+xml", "text/html"),
            ("a", "a", "text/x-swift", "text/plain"),
            ("{}", "a.json", nil, "application/json"), ("{,}", "a.json", nil, "application/json"),
            ("a,b", "a.csv", nil, "text/csv"), ("a,b", "a", "text/csv", "text/csv"),
            ("let a = 1", "a.swift", nil, "text/x-swift"),
            ("<?xml version='1.0'?><a>b</a>", "a.txt", nil, "application/xml"),
            ("BMW baut Autos", "a", nil, "text/plain"),
            ("MZ, ID3 und OggS", "a", nil, "text/plain"),
        ] as [(String, String, String?, String)]
    )
    func decision(text: String, name: String, declared: String?, expected: String) throws {
        #expect(try mediaType(text, name: name, declared: declared) == expected)
    }

    @Test(
        "That name or declaration say something else than the content is reported",
        arguments: [
            ("<!DOCTYPE HTML><p>a", "a.txt", nil, true), ("<!DOCTYPE HTML><p>a", "a", nil, false),
            ("<!DOCTYPE HTML><p>a", "a.html", "text/html; charset=utf-8", false),
            ("<!DOCTYPE HTML><p>a", "a.html", "text/plain", false),
            ("<!DOCTYPE HTML><p>a", "a.html", "application/pdf", true),
            ("# a", "a.md", "text/html", true), ("# a", "a", "text/markdown", false), ("# a", "a.pdf", nil, true),
            ("# a", "a.docx", nil, true), ("a = 1", "a.py", "text/x-python", false),
            ("a = 1", "a.py", "application/octet-stream", false), ("a", "a.unknown", nil, false),
            ("{,}", "a.json", nil, false),
        ] as [(String, String, String?, Bool)]
    )
    func contradiction(text: String, name: String, declared: String?, expected: Bool) throws {
        let result = try DocumentParser().parse(Array(text.utf8), name: name, mediaType: declared)
        #expect(result.document.repairs[.mediaTypeContradicted] == (expected ? 1 : nil))
    }

    @Test(
        "What no parser reads is refused by the name of its type",
        arguments: [
            ("\u{7F}ELF\u{2}", "application/x-elf"),
            ("\0asm\u{1}", "application/wasm"), ("%!PS-Adobe", "application/postscript"),
            ("OTTO\0\0", "font/otf"),
            ("<svg xmlns='x'><text>a</text></svg>", "image/svg+xml"),
        ]
    )
    func refused(text: String, type: String) {
        let error = failure { _ = try mediaType(text, name: "a.txt") }
        #expect(error?.code == .unsupportedMediaType)
        #expect(error?.message.contains(type) == true)
        #expect(error?.subject == "a.txt")
    }

    @Test(
        "Signatures with bytes above ASCII are known",
        arguments: [
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "application/x-xz"), ([0x1A, 0x45, 0xDF, 0xA3], "video/webm"),
            ([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "ole-storage"),
        ] as [([UInt8], String)]
    )
    func signatures(bytes: [UInt8], type: String) {
        let error = failure { _ = try DocumentParser().parse(bytes, name: "a") }
        #expect(error?.code == .unsupportedMediaType)
        #expect(error?.message.contains(type) == true)
    }

    @Test(
        "Of an archive the directory tells what it is",
        arguments: ["rest", "....[Content_Types].xml....word/document.xml"]
    )
    func cutArchives(rest: String) {
        let error = failure { _ = try mediaType("PK\u{3}\u{4}" + rest, name: "a.docx") }
        #expect(error?.code == .archiveInvalid)
        #expect(error?.subject == "a.docx")
    }

    @Test("A gzip file is read as what it holds, one layer deep")
    func gzip() throws {
        let packed = ArchiveSamples.deflated(Array("a;b\n1;2\n".utf8), asGzip: true)
        let result = try DocumentParser().parse(packed, name: "dir/a.CSV.gz")
        #expect(result.mediaType == "text/csv")
        #expect(outline(result.document) == ["table: a | b\n1 | 2"])
        let declared = try DocumentParser().parse(packed, name: "a.gz", mediaType: "text/csv")
        #expect(declared.mediaType == "text/csv")
        let twice = ArchiveSamples.deflated(packed, asGzip: true)
        #expect(failure { _ = try DocumentParser().parse(twice, name: "a.gz.gz") }?.code == .unsupportedMediaType)
        let bomb = ArchiveSamples.deflated([UInt8](repeating: 0x61, count: 20_000_000), asGzip: true)
        #expect(failure { _ = try DocumentParser().parse(bomb, name: "a.txt.gz") }?.code == .archiveLimit)
        let cut = Array("PK".utf8) + [0x1F, 0x8B]
        #expect(
            failure { _ = try DocumentParser().parse([0x1F, 0x8B, 8, 0] + cut, name: "a.gz") }?.code == .archiveInvalid
        )
    }

    @Test("An archive of files is no document")
    func archives() {
        let zip = ArchiveSamples.zip([ArchiveSamples.Member("a.txt", "text")])
        let java = ArchiveSamples.zip([ArchiveSamples.Member("META-INF/MANIFEST.MF", "text")])
        for (bytes, type) in [(zip, "application/zip"), (java, "application/java-archive")] {
            let error = failure { _ = try DocumentParser().parse(bytes, name: "a.docx") }
            #expect(error?.code == .unsupportedMediaType)
            #expect(error?.message.contains(type) == true)
        }
    }

    @Test("A declared type that no parser reads is refused when nothing else tells the type")
    func declared() {
        #expect(
            failure { _ = try mediaType("a", name: "a", declared: "application/pdf") }?.code == .unsupportedMediaType
        )
        #expect(throws: Never.self) { try mediaType("a", name: "a.txt", declared: "application/pdf") }
    }

    @Test("A file above the limit is refused before it is read")
    func tooLarge() {
        var limits = ParsingLimits()
        limits.maximumBytes = 3
        #expect(failure { _ = try parse("abcd", name: "a.txt", limits: limits) }?.code == .fileTooLarge)
        #expect(throws: Never.self) { try parse("abc", name: "a.txt", limits: limits) }
        limits.maximumBytes = 100
        limits.maximumMarkdownBytes = 3
        #expect(failure { _ = try parse("abcd", name: "a.md", limits: limits) }?.code == .fileTooLarge)
        limits.maximumTextBytes = 3
        #expect(failure { _ = try parse("abcd", name: "a.txt", limits: limits) }?.code == .parserLimit)
    }
}
