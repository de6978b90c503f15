import Glibc

/// The `--include` and `--exclude` patterns of a batch, with the shell's `*`, `?` and `[…]`.
///
/// A pattern without a slash is held against the file name, one with a slash against the path relative to the batch
/// root, where `*` also matches slashes.
package struct GlobFilter: Equatable, Sendable {
    /// Where there are any, a file must match one of them.
    package var include: [String]
    /// A file that matches one of these is not part of the batch.
    package var exclude: [String]

    package init(include: [String] = [], exclude: [String] = []) {
        self.include = include
        self.exclude = exclude
    }

    /// Whether a file belongs to the batch.
    package func admits(path: String, name: String) -> Bool {
        func matches(_ pattern: String) -> Bool {
            fnmatch(pattern, pattern.utf8.contains(UInt8(ascii: "/")) ? path : name, 0) == 0
        }
        return (include.isEmpty || include.contains(where: matches)) && !exclude.contains(where: matches)
    }
}

/// A pattern of paths below a directory: `*`, `?` and `[…]` match within a name, `**` any number of directories.
struct PathPattern: Equatable, Sendable {
    /// The directory, absolute and without links.
    let base: String
    let components: [String]

    /// Divides a path at its first name with a wildcard; `nil` when it has none.
    static func split(_ path: String) -> (base: String, components: [String])? {
        let names = path.split(separator: "/").map(String.init)
        let isWild = { (name: String) in name.utf8.contains { "*?[".utf8.contains($0) } }
        guard let first = names.firstIndex(where: isWild) else { return nil }
        let start = path.utf8.first == UInt8(ascii: "/") ? "/" : "./"
        return (start + names[..<first].joined(separator: "/"), Array(names[first...]))
    }

    /// Whether a path is meant.
    func matches(_ path: String) -> Bool {
        matches(names(of: path), from: 0)
    }

    /// Whether something below a directory may be meant.
    func mayMatch(below directory: String) -> Bool {
        var position = 0
        for name in names(of: directory) {
            guard position < components.count else { return false }
            if components[position] == "**" { return true }
            guard fnmatch(components[position], name, 0) == 0 else { return false }
            position += 1
        }
        return position < components.count
    }

    private func names(of path: String) -> ArraySlice<String> {
        relative(path, to: base).split(separator: "/").map(String.init)[...]
    }

    private func matches(_ names: ArraySlice<String>, from position: Int) -> Bool {
        guard position < components.count else { return names.isEmpty }
        if components[position] == "**" {
            return matches(names, from: position + 1) || !names.isEmpty && matches(names.dropFirst(), from: position)
        }
        guard let name = names.first, fnmatch(components[position], name, 0) == 0 else { return false }
        return matches(names.dropFirst(), from: position + 1)
    }
}
