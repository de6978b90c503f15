import Foundation
import KelterModel
import KelterPipeline
import Testing

@Suite struct FileTreeTests {
    private func walk(_ inputs: [String], _ filter: GlobFilter = GlobFilter(), step: Int = 2) throws -> [FoundEntry] {
        var tree = try FileTree(inputs: inputs, filter: filter)
        var entries: [FoundEntry] = []
        while true {
            let next = tree.next(step)
            #expect(next.count <= step)
            if next.isEmpty { return entries }
            entries += next
        }
    }

    private func files(_ entries: [FoundEntry]) -> [String] {
        entries.compactMap { if case .file(let file) = $0 { file.relativePath } else { nil } }
    }

    private func skipped(_ entries: [FoundEntry]) -> [String: SkipReason] {
        entries.reduce(into: [:]) { result, entry in
            if case .skipped(let path, let reason) = entry { result[path] = reason }
        }
    }

    @Test func `Every file is found once, in the order of the names' bytes`() throws {
        let directory = try TemporaryDirectory()
        for name in ["b.txt", "a.txt", "Z.txt", "sub/c.txt", "sub/deep/er/d.txt", "ü.txt", "empty-dir/x/y.md"] {
            try directory.write(name)
        }
        for step in [1, 3, 1000] {
            let found = files(try walk([directory.path], step: step))
            #expect(
                found == ["Z.txt", "a.txt", "b.txt", "ü.txt", "empty-dir/x/y.md", "sub/c.txt", "sub/deep/er/d.txt"]
            )
        }
    }

    @Test func `Sidecars go with their files, the longer name first, and orphans are reported`() throws {
        let directory = try TemporaryDirectory()
        for name in ["a.md", "a.md.meta.json", "a.meta.json", "b.md", "b.meta.json", "c.meta.json", "d.txt"] {
            try directory.write(name)
        }
        let entries = try walk([directory.path])
        let sidecars = entries.reduce(into: [String: String?]()) { result, entry in
            if case .file(let file) = entry { result.updateValue(file.sidecar?.path, forKey: file.relativePath) }
        }
        #expect(sidecars["a.md"] == "\(directory.path)/a.md.meta.json")
        #expect(sidecars["b.md"] == "\(directory.path)/b.meta.json")
        #expect(sidecars["d.txt"] == .some(nil))
        #expect(files(entries) == ["a.md", "b.md", "d.txt"])
        #expect(skipped(entries) == ["c.meta.json": .orphanSidecar])
    }

    @Test func `Links, hidden names and pipes are skipped with their reason`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("real/a.txt")
        try directory.write(".git/config")
        try directory.write(".hidden")
        try directory.link("loop", to: directory.path)
        try directory.link("broken", to: "/nowhere")
        #expect(mkfifo(directory.path + "/pipe", 0o600) == 0)
        let entries = try walk([directory.path])
        #expect(files(entries) == ["real/a.txt"])
        #expect(
            skipped(entries) == [
                ".git": .hidden, ".hidden": .hidden, "loop": .symbolicLink, "broken": .symbolicLink,
                "pipe": .notARegularFile,
            ]
        )
    }

    @Test func `A name that is not UTF-8 fails by itself`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("good.txt")
        let name = (Array(directory.path.utf8) + [0x2F, 0x62, 0xFF, 0x64, 0]).map { CChar(bitPattern: $0) }
        let descriptor = open(name, O_CREAT | O_WRONLY, 0o600)
        #expect(descriptor >= 0)
        close(descriptor)
        let entries = try walk([directory.path])
        #expect(files(entries) == ["good.txt"])
        let codes = entries.compactMap { if case .failed(_, let error) = $0 { error.code } else { nil } }
        #expect(codes == [.fileNameNotUTF8])
    }

    @Test func `Identifiers are relative to the deepest common directory, so that inputs never collide`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("a/README.md")
        try directory.write("b/README.md")
        let both = try walk(["\(directory.path)/a", "\(directory.path)/b/README.md"])
        #expect(Set(files(both)) == ["a/README.md", "b/README.md"])
        #expect(files(try walk(["\(directory.path)/a"])) == ["README.md"])
        #expect(files(try walk(["\(directory.path)/a/README.md"])) == ["README.md"])
    }

    @Test func `Sidecars named on the command line are not documents`() throws {
        let directory = try TemporaryDirectory()
        let inputs = try ["a.md", "a.meta.json", "x.meta.json"].map { try directory.write($0) }
        let entries = try walk(inputs)
        #expect(files(entries) == ["a.md"])
        #expect(skipped(entries) == ["x.meta.json": .orphanSidecar])
    }

    @Test func `Patterns choose by name or by path`() throws {
        let directory = try TemporaryDirectory()
        for name in ["a.md", "b.txt", "old/c.md", "new/d.md"] { try directory.write(name) }
        #expect(files(try walk([directory.path], GlobFilter(include: ["*.md"]))) == ["a.md", "new/d.md", "old/c.md"])
        #expect(files(try walk([directory.path], GlobFilter(exclude: ["old/*"]))) == ["a.md", "b.txt", "new/d.md"])
        #expect(
            files(try walk([directory.path], GlobFilter(include: ["*.md"], exclude: ["a*"]))) == [
                "new/d.md", "old/c.md",
            ]
        )
    }

    @Test func `A pattern of paths chooses among all levels or some, and looks nowhere else`() throws {
        let directory = try TemporaryDirectory()
        for name in ["a.md", "b.txt", "old/c.md", "new/d.md", "new/deep/e.md", "new/deep/e.md.meta.json", "[x].md"] {
            try directory.write(name)
        }
        let base = directory.path
        #expect(files(try walk(["\(base)/*.md"])) == ["[x].md", "a.md"])
        #expect(files(try walk(["\(base)/**/*.md"])) == ["[x].md", "a.md", "new/d.md", "new/deep/e.md", "old/c.md"])
        #expect(files(try walk(["\(base)/n?w/**"])) == ["new/d.md", "new/deep/e.md"])
        #expect(files(try walk(["\(base)/*/*.md"])) == ["new/d.md", "old/c.md"])
        #expect(files(try walk(["\(base)/new/**/deep/*"])) == ["deep/e.md"])
        // What is there is taken by its name.
        #expect(files(try walk(["\(base)/[x].md"])) == ["[x].md"])
        let entries = try walk(["\(base)/new/*/*.md"])
        guard case .file(let file)? = entries.first else { throw Missing() }
        #expect(entries.count == 1 && file.sidecar == .file("\(base)/new/deep/e.md.meta.json"))
        #expect(throws: KelterError.self) { _ = try FileTree(inputs: ["\(base)/nowhere/*.md"]) }
    }

    private struct Missing: Error {}

    @Test func `Inputs inside other inputs are found once`() throws {
        let directory = try TemporaryDirectory()
        for name in ["a.md", "sub/b.md", "sub/deep/c.md"] { try directory.write(name) }
        let base = directory.path
        let inputs = ["\(base)/sub/deep", base, "\(base)/sub", "\(base)/sub/b.md", "\(base)/a.md"]
        #expect(files(try walk(inputs)) == ["a.md", "sub/b.md", "sub/deep/c.md"])
    }

    @Test func `Of a list, what leads to nothing fails by itself`() throws {
        let directory = try TemporaryDirectory()
        let listed = try ["x/a.md", "y/b.md"].map { try directory.write($0) } + ["\(directory.path)/x/gone.md"]
        var tree = try FileTree(inputs: [], listed: listed)
        let entries = tree.next(10)
        #expect(files(entries) == ["x/a.md", "y/b.md"])
        let codes = entries.compactMap { if case .failed(_, let error) = $0 { error.code } else { nil } }
        #expect(codes == [.missingFile] && tree.next(10).isEmpty)
    }

    @Test func `A list may be separated by lines or by NUL and is relative to the working directory`() throws {
        let directory = try TemporaryDirectory()
        let current = FileManager.default.currentDirectoryPath
        let lines = try directory.write("lines", "/a b\nc\n\n")
        #expect(try listedPaths(from: lines, separator: 10) == ["/a b", "\(current)/c"])
        let zeros = try directory.write("zeros", "/a\nb\0c\0")
        #expect(try listedPaths(from: zeros, separator: 0) == ["/a\nb", "\(current)/c"])
        let error = #expect(throws: KelterError.self) { _ = try listedPaths(from: "/nowhere", separator: 10) }
        #expect(error?.code == .fileUnreadable)
    }

    @Test func `Records are the lines of a JSON Lines file that is an input itself`() throws {
        let directory = try TemporaryDirectory()
        let text = #"{"text": "eins"}"# + "\n\n \r\n" + #"{"text": "zwei"}"# + "\n" + #"{"text": "drei"}"#
        let path = try directory.write("r.jsonl", text)
        for step in [1, 2, 100] {
            let entries = try walk([path], step: step)
            #expect(files(entries) == ["r.jsonl#1", "r.jsonl#4", "r.jsonl#5"])
            let bytes = Array(text.utf8)
            let lines = entries.compactMap { entry -> String? in
                guard case .file(let file) = entry, case .record(let line, path) = file.location else { return nil }
                return String(decoding: bytes[line.offset..<line.offset + line.length], as: UTF8.self)
            }
            #expect(lines == [#"{"text": "eins"}"#, #"{"text": "zwei"}"#, #"{"text": "drei"}"#])
        }
        // Found in a directory it is one document, as is what is uploaded.
        #expect(files(try walk([directory.path])) == ["r.jsonl"])
        var upload = try FileTree(inputs: [path], opensContainers: false)
        #expect(files(upload.next(10)) == ["r.jsonl"])
        // A line that is longer than what is read at a time.
        let long = try directory.write(
            "long.ndjson",
            #"{"text": ""# + String(repeating: "x", count: 600_000) + "\"}\n{}"
        )
        #expect(files(try walk([long], step: 1)) == ["long.ndjson#1", "long.ndjson#2"])
    }

    @Test func `An input that does not exist is refused by name`() throws {
        let error = #expect(throws: KelterError.self) { _ = try FileTree(inputs: ["/nowhere/at/all"]) }
        #expect(error?.code == .missingFile && error?.subject == "/nowhere/at/all")
    }
}
