import Foundation
import Glibc
import KelterLocal
import KelterModel
import KelterTestSupport
import Synchronization
import Testing

@testable import KelterParsing

/// Parser processes: the built binary's, and some that behave as a parser never should.
@Suite("Parser processes")
struct ParserProcessTests {
    /// Starts processes and remembers them.
    private final class Launcher: Sendable {
        let arguments: [String]
        let started = Mutex<[pid_t]>([])

        init(_ arguments: [String]) {
            self.arguments = arguments
        }

        /// The built binary.
        convenience init(memory: Int = 512) {
            self.init([KelterProcess.path, "parse-worker", "\(memory)"])
        }

        convenience init(shell: String) {
            self.init(["/bin/sh", "-c", shell])
        }

        func parser(
            limits: WorkerLimits = WorkerLimits(),
            times: ParsingTimes = ParsingTimes()
        ) -> IsolatedParser {
            IsolatedParser(limits: limits, times: times) { () throws(KelterError) in try self.launch() }
        }

        private func launch() throws(KelterError) -> (pid: pid_t, socket: Int32) {
            var ends: [Int32] = [-1, -1]
            let status = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
            guard status == 0 else { throw KelterError(.internalError, "no socket") }
            let null = open("/dev/null", O_RDWR | O_CLOEXEC)
            defer {
                close(ends[1])
                close(null)
            }
            let pid = try ChildProcess.spawn(arguments, input: ends[1], output: ends[1], error: null)
            started.withLock { $0.append(pid) }
            return (pid, ends[0])
        }
    }

    private let page = Array(
        "<!DOCTYPE html><title>Titel</title><h1>Über</h1><p>Text</p><table><tr><td>a<td>b</table>".utf8
    )

    private func failure(_ parser: IsolatedParser, _ bytes: [UInt8]) -> KelterError? {
        do throws(KelterError) {
            _ = try parser.parse(bytes, name: "a.html")
            return nil
        } catch {
            return error
        }
    }

    @Test("a document comes back as it is parsed in one process, and the process is used again")
    func roundTrip() throws {
        let launcher = Launcher()
        let parser = launcher.parser()
        for _ in 0..<3 {
            let expected = try DocumentParser().parse(page, name: "a.html")
            #expect(try parser.parse(page, name: "a.html") == expected)
        }
        let binary = failure(parser, [0x1A, 0x45, 0xDF, 0xA3, 0x01, 0x00])
        #expect(binary?.code == .unsupportedMediaType)
        #expect(binary?.subject == "a.html")
        #expect(binary?.fix?.isEmpty == false)
        #expect(launcher.started.withLock { $0.count } == 1)
    }

    @Test("how large the process is that starts it does not count against a parser process")
    func largeParent() throws {
        let memory = [UInt8](repeating: 1, count: 300 << 20)
        let launcher = Launcher()
        let parser = launcher.parser()
        for _ in 0..<2 { _ = try parser.parse(page, name: "a.html") }
        #expect(launcher.started.withLock { $0.count } == 1)
        let crash = Launcher(shell: "head -c 20 >/dev/null; kill -SEGV $$")
        #expect(failure(crash.parser(), page)?.code == .parserCrash)
        #expect(memory.count > WorkerLimits().memory / 2)
    }

    @Test("lists as deep as the limit come back as they are")
    func deepLists() throws {
        let text = String(repeating: "<ul><li>a", count: 400)
        let bytes = Array(text.utf8)
        let expected = try DocumentParser().parse(bytes, name: "a.html")
        #expect(expected.document.blocks.map(\.level).max() == 400)
        #expect(try Launcher().parser().parse(bytes, name: "a.html") == expected)
    }

    @Test("how a process ended is told although it takes its time")
    func slowEnd() {
        // It closes the socket at once and ends by the signal of the limit for processor time later.
        let launcher = Launcher(shell: "exec 0<&- 1>&-; sleep 0.3; kill -XCPU $$")
        #expect(failure(launcher.parser(), page)?.code == .parserTimeout)
    }

    @Test("plain text needs no process")
    func plainText() throws {
        let launcher = Launcher()
        _ = try launcher.parser().parse(Array("Nur Text.".utf8), name: "a.txt")
        #expect(launcher.started.withLock { $0.isEmpty })
    }

    @Test("the kernel keeps the process from the network, from writing, and to its limits")
    func confinement() throws {
        let launcher = Launcher()
        let parser = launcher.parser()
        _ = try parser.parse(page, name: "a.html")
        let pid = try #require(launcher.started.withLock { $0.first })
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        #expect(status.contains("Seccomp:\t2\n"))
        #expect(status.contains("NoNewPrivs:\t1\n"))
        let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8)
        func limit(_ name: String) -> [Substring] {
            limits.split(separator: "\n").first { $0.hasPrefix(name) }?.dropFirst(26).split(separator: " ") ?? []
        }
        #expect(limit("Max file size").first == "0")
        #expect(limit("Max data size").first == "536870912")
        #expect(limit("Max open files").first == "32")
        #expect(limit("Max core file size").first == "0")
        #expect(limit("Max cpu time").first.flatMap { Int($0) } ?? 0 > 0)
        _ = parser
    }

    @Test("charsets of the C library are still found inside")
    func charsets() throws {
        let bytes: [UInt8] = Array("<p>Gr".utf8) + [0xFC, 0xDF] + Array("e".utf8)
        let result = try Launcher().parser().parse(bytes, name: "a.html", mediaType: "text/html; charset=iso-8859-15")
        #expect(String(decoding: result.document.text, as: UTF8.self) == "Grüße")
    }

    @Test("text in images is recognised inside")
    func recognition() throws {
        let pdfium = LocalPaths(environment: ProcessInfo.processInfo.environment).pdfium
        let launcher = Launcher([KelterProcess.path, "parse-worker", "512", pdfium, "deu+eng"])
        // White dots without anything: the libraries are loaded and run, and nothing is found.
        var bitmap = Array("BM".utf8)
        for (value, width) in [
            (54 + 300 * 300, 4), (0, 4), (54, 4), (40, 4), (100, 4), (300, 4), (1, 2), (24, 2), (0, 24),
        ] {
            for byte in 0..<width { bitmap.append(byte < 4 ? UInt8(value >> (8 * byte) & 0xFF) : 0) }
        }
        bitmap += [UInt8](repeating: 0xFF, count: 300 * 300)
        let result = try launcher.parser().parse(bitmap, name: "a.bmp")
        #expect(result.document.repairs == [.textRecognised: 1])
        #expect(result.document.blocks.isEmpty)
    }

    @Test("a process that crashes costs its document only")
    func crash() throws {
        let launcher = Launcher(shell: "head -c 20 >/dev/null; kill -SEGV $$")
        let error = failure(launcher.parser(), page)
        #expect(error?.code == .parserCrash)
        #expect(error?.subject == "a.html")
        #expect(launcher.started.withLock { $0.count } == 1)
    }

    @Test("a process that hangs is ended when its time is up")
    func hang() {
        var times = ParsingTimes()
        (times.base, times.clockFactor) = (1, 1)
        let launcher = Launcher(shell: "exec sleep 600")
        #expect(failure(launcher.parser(times: times), page)?.code == .parserTimeout)
        for pid in launcher.started.withLock({ $0 }) { #expect(kill(pid, 0) == -1 && errno == ESRCH) }
    }

    @Test("a process that computes too long is ended by the kernel")
    func processorTime() {
        let launcher = Launcher(shell: "ulimit -S -t 1; while :; do :; done")
        #expect(failure(launcher.parser(), page)?.code == .parserTimeout)
    }

    @Test("what a process sends that is no answer is refused", arguments: ["yes", "head -c 4096 /dev/zero", "exit 0"])
    func garbage(command: String) {
        #expect(failure(Launcher(shell: "head -c 20 >/dev/null; \(command)").parser(), page)?.code == .parserCrash)
    }

    @Test("a document that needs more memory than there is fails, the next one does not")
    func memory() throws {
        // Blocks take many times the memory of so short a markup.
        let many = Array(String(repeating: "<p>a", count: 500_000).utf8)
        let launcher = Launcher(memory: 48)
        var limits = WorkerLimits()
        limits.memory = 48 << 20
        let parser = launcher.parser(limits: limits)
        #expect(failure(parser, many)?.code == .parserLimit)
        _ = try parser.parse(page, name: "a.html")
        #expect(launcher.started.withLock { $0.count } == 2)
    }

    @Test("what was made to take a parser down ends with a result or a code", arguments: Bomb.allCases)
    func bombs(bomb: Bomb) throws {
        let parser = Launcher().parser()
        do throws(KelterError) {
            _ = try parser.parse(bomb.bytes, name: bomb.name)
        } catch {
            let codes: [ErrorCode] = [.parserLimit, .parserTimeout, .parserFailed, .archiveLimit]
            #expect(codes.contains(error.code), "\(bomb): \(error)")
        }
        _ = try parser.parse(page, name: "a.html")
    }

    enum Bomb: CaseIterable {
        case attributes, entities, nestedElements, nestedTags, namespaces, nestedLists, references

        var name: String {
            switch self {
            case .attributes, .entities, .nestedElements, .namespaces: "a.xml"
            case .nestedTags: "a.html"
            case .nestedLists, .references: "a.md"
            }
        }

        var bytes: [UInt8] {
            let text =
                switch self {
                case .attributes:
                    "<?xml version='1.0'?><a \((0..<100_000).map { "a\($0)=''" }.joined(separator: " "))/>"
                case .namespaces:
                    "<?xml version='1.0'?><a \((0..<50_000).map { "xmlns:a\($0)='u\($0)'" }.joined(separator: " "))/>"
                case .entities:
                    "<!DOCTYPE a [<!ENTITY b \"\(String(repeating: "b", count: 100_000))\">]><a>"
                        + String(repeating: "&b;", count: 50_000) + "</a>"
                case .nestedElements: "<?xml version='1.0'?>" + String(repeating: "<a>", count: 1_000_000)
                case .nestedTags: String(repeating: "<div><b>", count: 500_000)
                case .nestedLists: String(repeating: "- ", count: 500_000)
                case .references: String(repeating: "[a](", count: 200_000) + String(repeating: "*_", count: 200_000)
                }
            return Array(text.utf8)
        }
    }

    @Test("a process that was ended while it waited is replaced without a word")
    func killedWhileIdle() throws {
        let launcher = Launcher()
        let parser = launcher.parser()
        _ = try parser.parse(page, name: "a.html")
        let pid = try #require(launcher.started.withLock { $0.first })
        kill(pid, SIGKILL)
        _ = try parser.parse(page, name: "a.html")
        #expect(launcher.started.withLock { $0.count } == 2)
    }

    @Test("many threads share the processes")
    func concurrency() async throws {
        let launcher = Launcher()
        let parser = launcher.parser()
        let page = page
        let expected = try DocumentParser().parse(page, name: "a.html")
        let equal = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    (0..<50).allSatisfy { _ in (try? parser.parse(page, name: "a.html")) == expected }
                }
            }
            return await group.allSatisfy { $0 }
        }
        #expect(equal)
        #expect(launcher.started.withLock { $0.count } <= 2)
    }
}
