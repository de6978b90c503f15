import KelterHashing
import KelterModel

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
        }
    }
}

extension FileContent {
    init(_ bytes: [UInt8], keepUpTo: Int) throws(KelterError) {
        self.init(size: bytes.count, hash: try SHA256.hash(bytes), bytes: bytes.count <= keepUpTo ? bytes : nil)
    }
}
