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
