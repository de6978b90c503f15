import Glibc
import KelterHashing
import KelterModel
import KelterParsing

extension ContentLocation {
    /// Reads and hashes what lies here in one pass; blocks.
    ///
    /// - Parameters:
    ///   - keepUpTo: Contents of up to this many bytes are returned whole.
    ///   - maximum: Larger ones are refused.
    ///   - buckets: Who reads objects of buckets.
    /// - Returns: Size, digest and perhaps the bytes.
    /// - Throws: ``KelterError`` as ``readFile(_:keepUpTo:maximum:)``, and that of the container.
    func read(keepUpTo: Int, maximum: Int, buckets: S3Client?) throws(KelterError) -> FileContent {
        switch self {
        case .file(let path):
            return try readFile(path, keepUpTo: keepUpTo, maximum: maximum)
        case .record(let line, let path):
            return try FileContent(line.read(from: path, maximum: maximum).text, keepUpTo: keepUpTo)
        case .member(let member, let path):
            return try read(member, of: path, keepUpTo: keepUpTo, maximum: maximum)
        case .object(let object, let address):
            return try read(object, at: S3Location(address), buckets, keepUpTo: keepUpTo, maximum: maximum)
        }
    }
}

extension ContentLocation {
    private func read(
        _ member: ArchiveMember,
        of path: String,
        keepUpTo: Int,
        maximum: Int
    ) throws(KelterError) -> FileContent {
        guard member.size <= maximum else { throw tooLarge(member.size, maximum, member.name) }
        let archive = try ArchiveShelf.shared.archive(path)
        var hasher = SHA256()
        var kept: [UInt8]? = member.size <= keepUpTo ? [] : nil
        try archive.read(member) { (bytes) throws(KelterError) in
            hasher.update(bytes)
            kept?.append(contentsOf: bytes)
        }
        return FileContent(size: member.size, hash: try hasher.finish(), bytes: kept)
    }

    private func read(
        _ object: S3Object,
        at location: S3Location,
        _ buckets: S3Client?,
        keepUpTo: Int,
        maximum: Int
    ) throws(KelterError) -> FileContent {
        guard object.size <= maximum else { throw tooLarge(object.size, maximum, path) }
        guard let buckets else { throw KelterError(.internalError, "Nobody reads buckets here.", subject: path) }
        var hasher = SHA256()
        var kept: [UInt8]? = object.size <= keepUpTo ? [] : nil
        try buckets.read(location.key, of: location.bucket, object) { bytes in
            hasher.update(bytes)
            kept?.append(contentsOf: bytes)
        }
        return FileContent(size: object.size, hash: try hasher.finish(), bytes: kept)
    }
}

extension ContentLocation {
    /// Whether a failure to read says that there is nothing any more.
    func isGone(_ error: KelterError) -> Bool {
        if case .object = self { return error.code == .s3NotFound && error.subject == path }
        return access(path, F_OK) != 0 && errno == ENOENT
    }
}

extension FoundFile {
    /// An object of a bucket and its sidecar as a listing tells them now.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/s3NotFound`` or another `s3…` code.
    func listedAgain(by buckets: S3Client) throws(KelterError) -> FoundFile {
        guard let now = try location.listedAgain(by: buckets) else {
            throw KelterError(.s3NotFound, "There is no such object any more.", subject: path, fix: "Ingest again.")
        }
        var file = FoundFile(
            location: now,
            relativePath: relativePath,
            sidecar: try sidecar?.listedAgain(by: buckets),
            name: name
        )
        file.expected = expected
        return file
    }
}

extension ContentLocation {
    fileprivate func listedAgain(by buckets: S3Client) throws(KelterError) -> ContentLocation? {
        guard case .object(_, let address) = self else { return self }
        let location = try S3Location(address)
        return try buckets.object(location.key, of: location.bucket).map { .object($0, of: address) }
    }
}

extension FileContent {
    init(_ bytes: [UInt8], keepUpTo: Int) throws(KelterError) {
        self.init(size: bytes.count, hash: try SHA256.hash(bytes), bytes: bytes.count <= keepUpTo ? bytes : nil)
    }
}
