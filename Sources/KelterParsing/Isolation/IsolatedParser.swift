package import Glibc
package import KelterModel
import Synchronization

/// Parses documents in processes of their own, so that a file that crashes, hangs or floods a parser costs only itself.
///
/// Plain text, rows and source code in valid UTF-8 are parsed by memory-safe code in this process; only CLD2, which tells
/// their language, is C++. All other formats go to a pool of parser
/// processes (``ParserWorker``), which are started when they are needed, kept, and replaced after many documents or when
/// one keeps much memory. Any number of threads may use one value; a call waits for its answer.
package final class IsolatedParser: Sendable {
    /// Starts a parser process: the child, and this side's end of the socket it serves.
    package typealias Launch = @Sendable () throws(KelterError) -> (pid: pid_t, socket: Int32)

    /// The rules that need no process.
    package let rules: DocumentParser
    private let launch: Launch?
    private let limits: WorkerLimits
    private let times: ParsingTimes
    private let idle = Mutex<[ParserProcess]>([])

    /// After so many documents a process is replaced.
    private static let mostDocuments = 2_000

    /// - Parameters:
    ///   - rules: The parser, which also decides what goes to a process.
    ///   - limits: What a process may take.
    ///   - times: How long one document may take.
    ///   - launch: Starts a process; `nil` parses everything in this one.
    package init(
        _ rules: DocumentParser = DocumentParser(),
        limits: WorkerLimits = WorkerLimits(),
        times: ParsingTimes = ParsingTimes(),
        launch: Launch? = nil
    ) {
        self.rules = rules
        self.limits = limits
        self.times = times
        self.launch = launch
    }

    /// Parses one file; blocks while a process is at it.
    ///
    /// - Parameters:
    ///   - bytes: The file as it is.
    ///   - name: Its name.
    ///   - mediaType: The type a sidecar declares.
    /// - Returns: The document.
    /// - Throws: ``KelterError`` as ``DocumentParser/parse(_:name:mediaType:)``, and `parserCrash`, `parserTimeout` or
    ///   `parserLimit` for a file that a process did not survive.
    package func parse(_ bytes: [UInt8], name: String, mediaType: String? = nil) throws(KelterError) -> ParseResult {
        guard let launch, !rules.isHarmless(bytes, name: name, mediaType: mediaType) else {
            return try rules.parse(bytes, name: name, mediaType: mediaType)
        }
        let seconds = times.seconds(for: bytes.count)
        let request = ParserRequest(name: name, mediaType: mediaType, seconds: seconds, bytes: bytes)
        while true {
            let process: ParserProcess
            if let waiting = idle.withLock({ $0.popLast() }) {
                process = waiting
            } else {
                process = try started(launch)
            }
            let isNew = process.answered == 0
            let answer: Result<ParserReply, ParserProcess.Failure>
            do throws(ParserProcess.Failure) {
                let format = BinaryFormat.recognise(bytes)
                let mayRecognise = format.map { $0.isPDF || $0.isImage } ?? false
                let allowed = seconds * times.clockFactor
                answer = .success(
                    try process.answer(request, within: mayRecognise ? max(allowed, times.recognition) : allowed)
                )
            } catch {
                answer = .failure(error)
            }
            switch answer {
            case .success(let reply):
                keep(process)
                return try reply.result.get()
            case .failure(.ended(let signal)) where signal != SIGXCPU && !isNew:
                // Somebody may have ended a process that was waiting, or documents before this one have worn it out.
                continue
            case .failure(let failure):
                throw error(failure, seconds: seconds).about(name)
            }
        }
    }

    private func started(_ launch: Launch) throws(KelterError) -> ParserProcess {
        let (pid, socket) = try launch()
        return ParserProcess(pid: pid, socket: socket)
    }

    private func keep(_ process: ParserProcess) {
        guard process.answered < Self.mostDocuments, process.memory < limits.memory / 2 else { return }
        idle.withLock { $0.append(process) }
    }

    private func error(_ failure: ParserProcess.Failure, seconds: Int) -> KelterError {
        switch failure {
        case .timeout, .ended(signal: SIGXCPU):
            KelterError(
                .parserTimeout,
                "Parsing it takes more than \(seconds) seconds.",
                fix: "Split the file or convert it to a simpler format."
            )
        case .outOfMemory, .ended(signal: SIGKILL):
            KelterError(
                .parserLimit,
                "Parsing it takes more than \(limits.memory >> 20) MiB of memory.",
                fix: "Split the file or convert it to a simpler format."
            )
        case .ended, .garbled:
            KelterError(
                .parserCrash,
                "The parser crashed on it.",
                fix: "Convert the file to another format, and report it."
            )
        }
    }
}

/// How long a document may take.
package struct ParsingTimes: Sendable {
    /// Seconds of processor time for any document.
    ///
    /// Default 10.
    package var base = 10
    /// Bytes of the file for which there is one second more.
    ///
    /// Default 1 MiB.
    package var bytesPerSecond = 1 << 20
    /// How many times as long it may take by the clock, for a machine that has other work.
    ///
    /// Default 3.
    package var clockFactor = 3

    /// Seconds by the clock that a document of images may take: the process gives each page its own processor time.
    ///
    /// Default 3600.
    package var recognition = 3600

    package init() {}

    func seconds(for bytes: Int) -> Int { base + bytes / max(1, bytesPerSecond) }
}
