import KelterHashing
import KelterModel
import KelterParsing

extension ContentLocation {
    /// Reads and hashes what lies here in one pass; blocks.
    ///
    /// - Parameters:
    ///   - keepUpTo: Contents of up to this many bytes are returned whole.
    ///   - maximum: Larger ones are refused.
    /// - Returns: Size, digest and perhaps the bytes.
    /// - Throws: ``KelterError`` as ``readFile(_:keepUpTo:maximum:)``, and that of the container.
    func read(keepUpTo: Int, maximum: Int) throws(KelterError) -> FileContent {
        switch self {
        case .file(let path):
            return try readFile(path, keepUpTo: keepUpTo, maximum: maximum)
        case .record(let line, let path):
            return try FileContent(line.read(from: path, maximum: maximum).text, keepUpTo: keepUpTo)
        case .member(let member, let path):
            return try read(member, of: path, keepUpTo: keepUpTo, maximum: maximum)
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
        guard member.size <= maximum else {
            throw KelterError(
                .fileTooLarge,
                "The file has \(member.size) bytes, more than the \(maximum) that are read.",
                subject: member.name,
                fix: "Split the file."
            )
        }
        let archive = try ArchiveShelf.shared.archive(path)
        var hasher = SHA256()
        var kept: [UInt8]? = member.size <= keepUpTo ? [] : nil
        try archive.read(member) { (bytes) throws(KelterError) in
            hasher.update(bytes)
            kept?.append(contentsOf: bytes)
        }
        return FileContent(size: member.size, hash: try hasher.finish(), bytes: kept)
    }
}

extension FileContent {
    init(_ bytes: [UInt8], keepUpTo: Int) throws(KelterError) {
        self.init(size: bytes.count, hash: try SHA256.hash(bytes), bytes: bytes.count <= keepUpTo ? bytes : nil)
    }
}
