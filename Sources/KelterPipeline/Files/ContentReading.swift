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
    ///   - check: Gets the size and the first piece of what is not returned whole, and may refuse it.
    /// - Returns: Size, digest and perhaps the bytes.
    /// - Throws: ``KelterError`` as ``readFile(_:keepUpTo:maximum:check:)``, that of the container, and what `check` throws.
    func read(
        keepUpTo: Int,
        maximum: Int,
        buckets: S3Client?,
        check: (Int, UnsafeRawBufferPointer) throws(KelterError) -> Void = { _, _ in }
    ) throws(KelterError) -> FileContent {
        if case .file(let path) = self {
            return try readFile(path, keepUpTo: keepUpTo, maximum: maximum, check: check)
        }
        var hasher = SHA256()
        var kept: [UInt8] = []
        var total = 0
        try stream(maximum: maximum, buckets: buckets) { (piece, size) throws(KelterError) in
            if size <= keepUpTo {
                kept.append(contentsOf: piece)
            } else if total == 0 {
                try check(size, piece)
            }
            hasher.update(piece)
            total += piece.count
        }
        return FileContent(size: total, hash: try hasher.finish(), bytes: total <= keepUpTo ? kept : nil)
    }

    /// Passes on what lies here in pieces; blocks.
    ///
    /// - Parameters:
    ///   - maximum: Larger contents are refused.
    ///   - buckets: Who reads objects of buckets.
    ///   - body: Gets the pieces, and the size of the whole.
    /// - Throws: ``KelterError`` of the file or the container, and what `body` throws.
    func stream(
        maximum: Int,
        buckets: S3Client?,
        into body: (UnsafeRawBufferPointer, _ size: Int) throws(KelterError) -> Void
    ) throws(KelterError) {
        switch self {
        case .file(let path):
            try streamFile(path, maximum: maximum, into: body)
        case .record(let line, let path):
            let text = try line.read(from: path, maximum: maximum).text
            let result: Result<Void, KelterError> = text.withUnsafeBytes { bytes in
                do throws(KelterError) { return .success(try body(bytes, bytes.count)) } catch {
                    return .failure(error)
                }
            }
            try result.get()
        case .member(let member, let path):
            guard member.size <= maximum else { throw tooLarge(member.size, maximum, member.name) }
            try ArchiveShelf.shared.archive(path).read(member) { (piece) throws(KelterError) in
                try body(piece, member.size)
            }
        case .object(let object, let address):
            guard object.size <= maximum else { throw tooLarge(object.size, maximum, address) }
            guard let buckets else { throw KelterError(.internalError, "Nobody reads buckets here.", subject: address) }
            let location = try S3Location(address)
            try buckets.read(location.key, of: location.bucket, object) { (piece) throws(KelterError) in
                try body(piece, object.size)
            }
        }
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
