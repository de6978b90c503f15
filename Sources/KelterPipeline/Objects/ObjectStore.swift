import Glibc
package import KelterModel

/// Uploaded files and their metadata in a directory: `{tenant}/{case}/uploads/{document_id}…`; SPEC section 3.
///
/// Every write is atomic and durable: a temporary file, fsync, rename, fsync of the directory. All calls block.
package struct ObjectStore: Sendable {
    /// The directory everything lies under.
    package let root: String

    package init(root: String) {
        self.root = root
    }

    /// The place of one document's objects.
    package struct Location: Equatable, Sendable {
        /// The raw bytes, relative to the root.
        package let content: String
        /// The metadata, relative to the root.
        package let metadata: String
    }

    /// Where a document's objects lie.
    ///
    /// - Parameters:
    ///   - tenant: The tenant.
    ///   - caseID: The case.
    ///   - document: The document.
    ///   - fileName: The uploaded file's name, whose extension the raw bytes keep.
    /// - Returns: The two relative paths.
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidPathSegment``.
    package func location(
        tenant: Tenant,
        caseID: CaseID,
        document: RowID,
        fileName: String
    ) throws(KelterError) -> Location {
        let directory = try pathSegment(tenant.key) + "/" + pathSegment(caseID.description) + "/uploads"
        let name = try pathSegment(fileName)
        let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")).flatMap { $0 == name.startIndex ? nil : $0 }
        let suffix = dot.map { String(name[$0...].prefix(17)) } ?? ".bin"
        let base = "\(directory)/\(document)"
        return Location(content: base + suffix, metadata: base + ".meta.json")
    }

    /// Copies a file into the store.
    ///
    /// - Parameters:
    ///   - source: The file to copy.
    ///   - path: Where to, relative to the root.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed`` or ``ErrorCode/fileUnreadable``.
    package func copy(_ source: String, to path: String) throws(KelterError) {
        let descriptor = open(source, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(source, errno) }
        defer { close(descriptor) }
        try replace(path) { output in
            var slice = [UInt8](repeating: 0, count: 1 << 18)
            while true {
                let count = slice.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                if count == 0 { return true }
                if count < 0 {
                    if errno == EINTR { continue }
                    return false
                }
                if !writeAll(slice[..<count], to: output) { return false }
            }
        }
    }

    /// Writes a JSON object.
    ///
    /// - Parameters:
    ///   - value: The object.
    ///   - path: Where to, relative to the root.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package func write(_ value: JSONValue, to path: String) throws(KelterError) {
        try write(value.bytes(indented: true) + [UInt8(ascii: "\n")], to: path)
    }

    /// Writes a file.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    func write(_ bytes: [UInt8], to path: String) throws(KelterError) {
        try replace(path) { writeAll(bytes[...], to: $0) }
    }

    /// What keeps the store from being written to; `nil` when nothing does.
    package var problem: KelterError? {
        do throws(KelterError) {
            try makeDirectories(root)
        } catch {
            return error
        }
        return access(root, R_OK | W_OK | X_OK) == 0 ? nil : failure(root, errno)
    }

    /// Reads a whole object of at most 1 MiB, such as a document's metadata.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/fileUnreadable`` or ``ErrorCode/fileTooLarge``.
    package func readSmall(_ path: String) throws(KelterError) -> [UInt8] {
        let limit = 1 << 20
        return try readFile(root + "/" + path, keepUpTo: limit, maximum: limit).bytes ?? []
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    package func remove(_ path: String) throws(KelterError) {
        let target = root + "/" + path
        guard unlink(target) == 0 || errno == ENOENT || errno == ENOTDIR else { throw failure(target, errno) }
    }

    /// Moves an object to another place, which is durable afterwards.
    ///
    /// - Returns: `false` when there is no such object.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``.
    func move(_ path: String, to destination: String) throws(KelterError) -> Bool {
        let (source, target) = (root + "/" + path, root + "/" + destination)
        guard access(source, F_OK) == 0 else { return false }
        try makeDirectories(parentDirectory(target))
        guard rename(source, target) == 0 else {
            if errno == ENOENT { return false }
            throw failure(target, errno)
        }
        try synchronise(parentDirectory(target))
        return true
    }

    private func replace(_ path: String, with fill: (Int32) -> Bool) throws(KelterError) {
        let target = root + "/" + path
        let directory = parentDirectory(target)
        try makeDirectories(directory)
        let temporary = "\(directory)/.\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw failure(target, errno) }
        guard fill(descriptor), fsync(descriptor) == 0 else {
            let number = errno
            close(descriptor)
            unlink(temporary)
            throw failure(target, number)
        }
        close(descriptor)
        guard rename(temporary, target) == 0 else {
            let number = errno
            unlink(temporary)
            throw failure(target, number)
        }
        try synchronise(directory)
    }

    /// Makes the names in a directory durable: a rename alone is not.
    func synchronise(_ directory: String) throws(KelterError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(directory, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(directory, errno) }
    }

    func makeDirectories(_ path: String) throws(KelterError) {
        var status = stat()
        if stat(path, &status) == 0 { return }
        if path != "/" { try makeDirectories(parentDirectory(path)) }
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else { throw failure(path, errno) }
    }

    func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }

    func failure(_ path: String, _ number: Int32) -> KelterError {
        KelterError(
            .objectStoreFailed,
            "The object store cannot be written: \(systemMessage(number)).",
            subject: path,
            fix: "Make room or give this user write access."
        )
    }
}
