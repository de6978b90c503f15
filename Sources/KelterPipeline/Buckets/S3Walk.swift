import KelterModel
import KelterParsing

/// A walk over the objects of a bucket, as if keys were paths.
///
/// The listing is read twice: first for the sidecars, which in the order of keys may come before or after their files.
/// Only they are held in memory. What a console makes to show an empty directory, a key with a slash at its end, is no
/// object.
struct S3Walk: InputWalk {
    let root: String
    private let client: S3Client
    private let location: S3Location
    private let filter: GlobFilter
    /// What has to be listed: with a file its sidecars, one of which is named without the file's extension.
    private let prefix: String
    private var sidecars: [String: S3Object]?
    private var used: Set<String> = []
    private var token: String?
    private var isAtEnd = false
    private var hasFound = false
    private var ready: ArraySlice<FoundEntry> = []

    /// Prepares a walk; nothing is asked yet.
    ///
    /// - Parameters:
    ///   - location: The directory or object.
    ///   - client: Who asks.
    ///   - filter: Which objects belong to the batch.
    init(_ location: S3Location, client: S3Client, filter: GlobFilter) {
        self.location = location
        self.client = client
        self.filter = filter
        root = location.root
        let name = lastComponent(location.key)
        let stem = name.utf8.lastIndex(of: UInt8(ascii: ".")).map { String(name[..<$0]) } ?? name
        prefix = location.directory + (location.isDirectory ? "" : stem)
    }

    /// The next entries; none at the end.
    ///
    /// - Throws: ``KelterError`` with one of the `s3…` codes: what comes after is not known.
    mutating func next(_ count: Int) throws(KelterError) -> [FoundEntry] {
        let sidecars = if let sidecars { sidecars } else { try listSidecars() }
        while ready.isEmpty, !isAtEnd {
            let page = try client.list(prefix, of: location.bucket, after: token)
            token = page.next
            isAtEnd = token == nil
            var found: [FoundEntry] = []
            for (key, object) in page.objects where sidecars[key] == nil && isMeant(key) {
                if let entry = entry(key, object, sidecars) { found.append(entry) }
            }
            if isAtEnd { found += orphans(sidecars) }
            ready = found[...]
            hasFound = hasFound || !found.isEmpty
        }
        guard hasFound else {
            throw KelterError(
                .s3NotFound,
                "There is no object.",
                subject: S3Location.address(location.key, in: location.bucket),
                fix: "Check the address; one that ends in / stands for everything below it."
            )
        }
        let entries = Array(ready.prefix(count))
        ready = ready.dropFirst(count)
        return entries
    }

    private mutating func listSidecars() throws(KelterError) -> [String: S3Object] {
        var sidecars: [String: S3Object] = [:]
        var token: String?
        repeat {
            let page = try client.list(prefix, of: location.bucket, after: token)
            for (key, object) in page.objects where SidecarName.isSidecar(lastComponent(key)) { sidecars[key] = object }
            token = page.next
        } while token != nil
        self.sidecars = sidecars
        return sidecars
    }

    private func isMeant(_ key: String) -> Bool {
        key.utf8.last != UInt8(ascii: "/") && (location.isDirectory || key == location.key)
    }

    private func relative(_ key: String) -> String {
        String(Substring(key.utf8.dropFirst(location.directory.utf8.count)))
    }

    private mutating func entry(_ key: String, _ object: S3Object, _ sidecars: [String: S3Object]) -> FoundEntry? {
        let path = relative(key)
        guard !path.utf8.contains(0) else {
            let visible = path.split(separator: "\0", omittingEmptySubsequences: false).joined(separator: "\u{FFFD}")
            let error = KelterError(
                .fileNameNotUTF8,
                "The key has a NUL in it.",
                subject: visible,
                fix: "Rename the object."
            )
            return .failed(relativePath: visible, error)
        }
        guard !path.split(separator: "/").contains(where: { $0.utf8.first == UInt8(ascii: ".") }) else {
            return .skipped(relativePath: path, reason: .hidden)
        }
        let name = lastComponent(path)
        let directory = String(Substring(key.utf8.dropLast(name.utf8.count)))
        let candidates = SidecarName.candidates(for: name).map { directory + $0 }
        used.formUnion(candidates)
        guard filter.admits(path: path, name: name) else { return nil }
        guard ArchiveFormat(fileName: name)?.isDocument ?? true else {
            let error = KelterError(
                .archiveInvalid,
                "An archive in a bucket is not opened.",
                subject: path,
                fix: "Put its files into the bucket, or ingest it from a directory."
            )
            return .failed(relativePath: path, error)
        }
        let sidecar = candidates.lazy.compactMap { key in sidecars[key].map { (key, $0) } }.first
        return .file(
            FoundFile(
                location: .object(object, of: S3Location.address(key, in: location.bucket)),
                relativePath: path,
                sidecar: sidecar.map { .object($1, of: S3Location.address($0, in: location.bucket)) },
                name: name
            )
        )
    }

    private func orphans(_ sidecars: [String: S3Object]) -> [FoundEntry] {
        guard location.isDirectory, filter.include.isEmpty else { return [] }
        return Set(sidecars.keys).subtracting(used).sorted().map {
            .skipped(relativePath: relative($0), reason: .orphanSidecar)
        }
    }
}
