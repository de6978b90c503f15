import Glibc
import KelterLocal
import KelterModel
import KelterParsing

/// `kelter parse-worker MEBIBYTES [PDFIUM [LANGUAGES]]`, which only the program itself starts: a process that parses;
/// ``ParserWorker``.
enum ParserProcessCommand {
    static let name = "parse-worker"
    /// What recognising the text of a page may take.
    private static let secondsPerPage = 60

    /// Parses until nobody asks any more.
    ///
    /// - Parameter arguments: How much memory it may take, the path of PDFium's library, the languages of images.
    /// - Returns: The exit code.
    static func run(_ arguments: ArraySlice<String>) -> Int32 {
        var limits = WorkerLimits()
        if let mebibytes = arguments.first.flatMap({ Int($0) }), mebibytes > 0 { limits.memory = mebibytes << 20 }
        let rest = Array(arguments.dropFirst())
        let recognition = rest.dropFirst().first.map { languages in
            TextRecognition(languages: languages) { WorkerLimits.limitProcessorTime(secondsPerPage) }
        }
        return ParserWorker.run(DocumentParser(pdfium: rest.first, recognition: recognition), limits: limits)
    }

    /// Starts this program again as a parser process, in a session of its own so that Ctrl-C does not reach it.
    ///
    /// - Parameters:
    ///   - pdfium: The path of PDFium's library.
    ///   - languages: Tesseract's names of the languages that images are in.
    /// - Returns: The child, and this side's end of the socket it serves.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it cannot be started.
    static func launch(pdfium: String, languages: String) throws(KelterError) -> (pid: pid_t, socket: Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw KelterError(.serviceStartFailed, "Cannot open a socket: \(String(cString: strerror(errno))).")
        }
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(ends[1])
            close(null)
        }
        do throws(KelterError) {
            let pid = try ChildProcess.spawn(
                ["/proc/self/exe", name, "\(WorkerLimits().memory >> 20)", pdfium, languages],
                environment: ChildProcess.cleanEnvironment + ["SWIFT_BACKTRACE=enable=no"],
                input: ends[1],
                output: null,
                error: null,
                newSession: true
            )
            return (pid, ends[0])
        } catch {
            close(ends[0])
            throw error
        }
    }
}
