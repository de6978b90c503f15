/// A programming language, told by the extension of a file.
struct SourceLanguage: Equatable {
    /// The media type of its files, as editors and servers name it.
    let mediaType: String

    init?(extension: String) {
        guard let name = Self.names[`extension`] else { return nil }
        mediaType = "text/x-" + name
    }

    private static let names: [String: String] = [
        "swift": "swift", "py": "python", "pyi": "python", "js": "javascript", "mjs": "javascript", "cjs": "javascript",
        "jsx": "javascript", "ts": "typescript", "tsx": "typescript", "java": "java", "kt": "kotlin", "kts": "kotlin",
        "scala": "scala", "groovy": "groovy", "c": "c", "h": "c", "cc": "c++", "cpp": "c++", "cxx": "c++", "hpp": "c++",
        "hh": "c++", "m": "objective-c", "mm": "objective-c", "cs": "csharp", "fs": "fsharp", "vb": "vb", "go": "go",
        "rs": "rust", "rb": "ruby", "php": "php", "pl": "perl", "pm": "perl", "lua": "lua", "r": "r", "jl": "julia",
        "hs": "haskell", "ml": "ocaml", "ex": "elixir", "exs": "elixir", "erl": "erlang", "clj": "clojure",
        "dart": "dart", "zig": "zig", "sh": "sh", "bash": "sh", "zsh": "sh", "ps1": "powershell", "sql": "sql",
        "css": "css", "scss": "scss", "proto": "protobuf", "tf": "terraform", "gradle": "gradle", "cmake": "cmake",
    ]
}
