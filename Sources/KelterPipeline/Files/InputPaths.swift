import Glibc
package import KelterModel

/// What the inputs of a batch lead to.
struct InputPaths {
    /// Directories to walk, none of them inside another, unless a pattern says what of them is meant.
    private(set) var directories: [(path: String, pattern: PathPattern?)] = []
    private(set) var files: [String] = []
    /// Listed paths that lead to nothing, as they were given.
    private(set) var failed: [(path: String, error: KelterError)] = []
    /// The deepest common directory.
    var root: String {
        let parents = directories.map(\.path) + files.map(parentDirectory)
        return parents.dropFirst().reduce(parents.first ?? "/", commonDirectory)
    }

    /// Whether all that was found is a directory or lies in it.
    func lie(below directory: String) -> Bool {
        let isEmpty = directories.isEmpty && files.isEmpty
        return isEmpty || root == directory || Self.ancestors(of: root).contains(directory)
    }

    /// Looks the inputs up.
    ///
    /// - Parameters:
    ///   - inputs: Paths, and patterns of paths: `*`, `?` and `[…]` within a name, `**` for any number of directories. A file
    ///     whose name looks like a pattern is taken by its name.
    ///   - listed: Paths, taken by their names; one that leads to nothing fails by itself.
    /// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` or ``ErrorCode/fileUnreadable`` of an input.
    init(inputs: [String], listed: [String]) throws(KelterError) {
        var plain: Set<String> = []
        var patterns: [(path: String, pattern: PathPattern)] = []
        for input in inputs {
            if access(input, F_OK) != 0, let pattern = PathPattern.split(input) {
                let base = try resolvedPath(pattern.base)
                patterns.append((base, PathPattern(base: base, components: pattern.components)))
            } else {
                try add(input, to: &plain)
            }
        }
        for path in listed {
            do throws(KelterError) { try add(path, to: &plain) } catch { failed.append((path, error)) }
        }
        let outermost = plain.filter { path in !Self.ancestors(of: path).contains(where: plain.contains) }
        directories =
            outermost.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { ($0, nil) }
            + patterns.map { ($0.path, $0.pattern) }
        files = files.filter { path in !Self.ancestors(of: path).contains(where: plain.contains) }
    }

    private mutating func add(_ input: String, to directories: inout Set<String>) throws(KelterError) {
        let path = try resolvedPath(input)
        if try isDirectory(path, named: input) { directories.insert(path) } else { files.append(path) }
    }

    /// The directories above a path, from the nearest to the root.
    private static func ancestors(of path: String) -> [String] {
        var ancestors: [String] = []
        var current = path
        while current != "/" {
            current = parentDirectory(current)
            ancestors.append(current)
        }
        return ancestors
    }
}

/// Whether an input of a command line is a directory: only of one it can be said what is gone.
package func isDirectory(_ input: String) -> Bool {
    var status = stat()
    return stat(input, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// An input of a command line as a path that means the same everywhere; the wildcards of a pattern stay.
///
/// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` or ``ErrorCode/fileUnreadable``.
package func absoluteInput(_ input: String) throws(KelterError) -> String {
    guard access(input, F_OK) != 0, let pattern = PathPattern.split(input) else { return try resolvedPath(input) }
    let base = try resolvedPath(pattern.base)
    return (base == "/" ? "" : base) + "/" + pattern.components.joined(separator: "/")
}

/// The paths of a list, made absolute.
///
/// - Parameters:
///   - source: A file, or `-` for standard input.
///   - separator: The byte between two paths: a line feed, or NUL as `find -print0` writes it.
/// - Returns: The paths in their order, empty ones left out.
/// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable``, or ``ErrorCode/fileNameNotUTF8``.
package func listedPaths(from source: String, separator: UInt8) throws(KelterError) -> [String] {
    let bytes = try readToEnd(source)
    guard let directory = getcwd(nil, 0) else { throw unreadable(".", errno) }
    defer { free(directory) }
    let current = String(cString: directory)
    var paths: [String] = []
    for line in bytes.split(separator: separator) {
        guard let path = String(validating: line, as: UTF8.self) else {
            throw KelterError(
                .fileNameNotUTF8,
                "Line \(paths.count + 1) is not valid UTF-8.",
                subject: source,
                fix: "Rename the file."
            )
        }
        paths.append(path.utf8.first == UInt8(ascii: "/") ? path : current + "/" + path)
    }
    return paths
}

/// All bytes of a file whose size is not known, or of standard input for `-`.
func readToEnd(_ source: String) throws(KelterError) -> [UInt8] {
    let descriptor = source == "-" ? dup(STDIN_FILENO) : open(source, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(source, errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let number = read(descriptor, &block, block.count)
        if number == 0 { return bytes }
        if number > 0 { bytes += block[..<number] } else if errno != EINTR { throw unreadable(source, errno) }
    }
}
