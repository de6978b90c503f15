import Glibc
import KelterModel

/// The file of a tokenizer, read as a whole.
struct TokenizerFile {
    /// Its path.
    let path: String
    let bytes: [UInt8]

    /// A larger file is no tokenizer.
    private static let largest = 64 << 20

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: Its path.
    ///   - fix: What to do when it is not there.
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` if it cannot be read, and with
    ///   ``ErrorCode/tokenizerInvalid`` if it is not a file of a likely size.
    init(path: String, fix: String) throws(KelterError) {
        // Without waiting for a writer, if the path is a pipe's.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.unreadable(path, fix) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.unreadable(path, fix) }
        self.path = path
        guard status.st_mode & S_IFMT == S_IFREG, (1...Self.largest).contains(Int(status.st_size)) else {
            bytes = []
            throw damaged("it is not a file of 1 byte to \(Self.largest >> 20) MiB")
        }
        var failed = false
        bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, filled in
            while filled < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled)
                if got < 0, errno == EINTR { continue }
                failed = got < 0
                if got <= 0 { return }
                filled += got
            }
        }
        if failed { throw Self.unreadable(path, fix) }
    }

    private static func unreadable(_ path: String, _ fix: String) -> KelterError {
        KelterError(
            .partMissing,
            "The tokenizer's file cannot be read: \(String(cString: strerror(errno))).",
            subject: path,
            fix: fix
        )
    }

    /// The error of a damaged file; `reason` is the rest of a sentence.
    func damaged(_ reason: String) -> KelterError {
        KelterError(
            .tokenizerInvalid,
            "The tokenizer's file is damaged: \(reason).",
            subject: path,
            fix: "Fetch the file again, or use the tokenizer \"bytes\"."
        )
    }

    /// The error of a file of a kind that cannot be counted exactly; `reason` is the rest of a sentence.
    func unsupported(_ reason: String) -> KelterError {
        KelterError(
            .tokenizerInvalid,
            "The tokenizer's file is not supported: \(reason).",
            subject: path,
            fix: "Supported are rank files of cl100k_base and o200k_base (.tiktoken) and a tokenizer.json with a "
                + "WordPiece model and BERT's normaliser; for any other model use the tokenizer \"bytes\"."
        )
    }
}
