import Foundation
import Glibc
import KelterLocal
import KelterModel
import Testing

/// The built `kelter` binary as a process of its own, as a user's shell would run it.
struct KelterProcess {
    /// What a finished process left behind.
    struct Result {
        let exitCode: Int32
        let output: String
        let messages: String

        /// Standard output as the one JSON object it must be.
        var json: JSONValue {
            get throws { try JSONReader.read(output) }
        }
    }

    let pid: pid_t
    private let arguments: [String]
    private let files: (output: String, messages: String)

    /// The binary beside the tests' own.
    static let path: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: tests).deletingLastPathComponent().appending(path: "kelter").path
    }()

    /// A crash says where, whatever the test was about.
    private static let backtraces = ["SWIFT_BACKTRACE=enable=yes,color=no,interactive=no,threads=all"]
    private static let crashes = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV]

    /// Starts the binary.
    ///
    /// - Parameters:
    ///   - arguments: Command and options.
    ///   - environment: Variables beside a clean environment.
    /// - Throws: What keeps the process from starting.
    init(_ arguments: [String], environment: [String: String]) throws {
        self.arguments = arguments
        let base = FileManager.default.temporaryDirectory.appending(path: "kelter-e2e-\(UUID().uuidString)").path
        files = (base + ".out", base + ".err")
        let descriptors = [files.output, files.messages].map { (path: String) in
            open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        }
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { for descriptor in descriptors + [null] { close(descriptor) } }
        pid = try ChildProcess.spawn(
            [Self.path] + arguments,
            environment: ChildProcess.cleanEnvironment + Self.backtraces + environment.map { "\($0)=\($1)" },
            input: null,
            output: descriptors[0],
            error: descriptors[1]
        )
    }

    /// Sends a signal.
    func send(_ signal: Int32) {
        kill(pid, signal)
    }

    /// Whether it has ended, without taking its exit status from ``finish()``.
    var hasEnded: Bool {
        var information = siginfo_t()
        return waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_signo != 0
    }

    /// What it has written to standard error so far.
    var messagesSoFar: String {
        (try? String(contentsOfFile: files.messages, encoding: .utf8)) ?? ""
    }

    /// What it has written to standard output so far.
    var outputSoFar: String {
        (try? String(contentsOfFile: files.output, encoding: .utf8)) ?? ""
    }

    /// Waits for the end without blocking the cooperative pool.
    func finish() async throws -> Result {
        var status = ChildProcess.endedStatus(of: pid)
        while status == nil {
            try await Task.sleep(for: .milliseconds(10))
            status = ChildProcess.endedStatus(of: pid)
        }
        defer { for file in [files.output, files.messages] { try? FileManager.default.removeItem(atPath: file) } }
        let result = Result(
            exitCode: status ?? -1,
            output: try String(contentsOfFile: files.output, encoding: .utf8),
            messages: try String(contentsOfFile: files.messages, encoding: .utf8)
        )
        if Self.crashes.contains(result.exitCode - 128) {
            Issue.record("kelter \(arguments) crashed (\(result.exitCode)): \(result.messages)")
        }
        return result
    }

    /// Runs the binary to its end.
    static func run(_ arguments: [String], environment: [String: String]) async throws -> Result {
        try await KelterProcess(arguments, environment: environment).finish()
    }
}
