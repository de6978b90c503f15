import Foundation
import FoundationNetworking
import Glibc
import KelterLocal
import KelterTestSupport
import Synchronization
import Testing

/// A server in Python as a child process on a free loopback port.
final class PythonService: Sendable {
    let port: UInt16
    private let pid: pid_t
    private let log: String
    private let isStopped = Atomic(false)

    /// Starts the server.
    ///
    /// - Parameters:
    ///   - program: Its program in the tests' virtual environments.
    ///   - directory: Where its log goes.
    ///   - environment: Further variables, `NAME=value`.
    ///   - port: Its port; default a free one.
    ///   - arguments: Its arguments, given its port.
    /// - Throws: What keeps the process from starting.
    init(
        _ program: String,
        directory: String,
        environment: [String] = [],
        port: UInt16? = nil,
        arguments: (String) -> [String]
    ) throws {
        self.port = try port ?? freePort()
        log = directory + "/service.log"
        let output = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { for descriptor in [output, null] { close(descriptor) } }
        pid = try ChildProcess.spawn(
            ["\(TestServer.partsDirectory)/\(program)"] + arguments(String(self.port)),
            environment: ChildProcess.cleanEnvironment + environment,
            input: null,
            output: output,
            error: output
        )
    }

    /// Waits until a path is answered with 200; a cold start takes ten seconds or more.
    func waitUntilReady(_ path: String) async throws {
        let url = try #require(URL(string: "http://127.0.0.1:\(port)\(path)"))
        for _ in 0..<600 {
            if ChildProcess.endedStatus(of: pid) != nil { break }
            if let (_, response) = try? await URLSession.shared.data(from: url),
                (response as? HTTPURLResponse)?.statusCode == 200
            {
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        Issue.record("The service did not start (run make deps-test): \(messages.suffix(2000))")
        throw CancellationError()
    }

    /// What it has logged.
    var messages: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    /// Ends the server; a second call does nothing.
    func stop() {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        kill(pid, SIGTERM)
        ChildProcess.wait(for: pid)
    }
}

/// A port nobody listens on at the moment.
private func freePort() throws -> UInt16 {
    let server = try LoopbackHTTPServer { _ in .init(status: 200, body: []) }
    defer { server.stop() }
    return server.port
}
