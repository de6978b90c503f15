import Glibc
import KelterModel
import KelterServer
import Logging
import Testing

@Suite("Structured log handler")
struct StructuredLogHandlerTests {
    /// What a logger of this label writes, without the times.
    private func lines(
        format: StructuredLogHandler.Format = .text,
        provider: Logger.MetadataProvider? = nil,
        _ body: (inout Logger) -> Void
    ) -> [Substring] {
        written { descriptor in
            var logger = Logger(label: "kelter.test") { label in
                StructuredLogHandler(label: label, format: format, descriptor: descriptor, metadataProvider: provider)
            }
            body(&logger)
        }
        .split(separator: "\n").map { format == .text ? $0.dropFirst("2026-11-24T20:30:01.123Z ".count) : $0 }
    }

    @Test("The event's metadata goes over the provider's, and that over the handler's")
    func merging() {
        let provider = Logger.MetadataProvider { ["b": "provider", "c": "provider", "e": "provider"] }
        let lines = lines(provider: provider) { logger in
            logger[metadataKey: "a"] = "handler"
            logger[metadataKey: "b"] = "handler"
            logger[metadataKey: "c"] = "handler"
            logger.info("all", metadata: ["c": "event", "d": "event"])
            logger.info("two")
            logger[metadataKey: "a"] = nil
            logger.info("none of its own")
        }
        #expect(
            lines == [
                "info kelter.test all a=handler b=provider c=event d=event e=provider",
                "info kelter.test two a=handler b=provider c=provider e=provider",
                "info kelter.test none of its own b=provider c=provider e=provider",
            ]
        )
    }

    @Test("Levels and metadata belong to one logger, as swift-log asks of handlers")
    func valueSemantics() {
        let lines = lines { logger in
            #expect(logger.logLevel == .info)
            logger.debug("no")
            logger[metadataKey: "only-on"] = "first"
            var second = logger
            second.logLevel = .error
            second[metadataKey: "only-on"] = "second"
            logger.logLevel = .debug
            #expect(logger[metadataKey: "only-on"] == "first")
            #expect(second[metadataKey: "only-on"] == "second")
            logger.debug("yes")
            second.warning("no")
            second.critical("yes")
        }
        #expect(
            lines == ["debug kelter.test yes only-on=first", "critical kelter.test yes only-on=second"]
        )
    }

    @Test("An error adds its text and type")
    func error() throws {
        let failure = KelterError(.usage, "Something is wrong.")
        let lines = lines(format: .json) { logger in
            logger.error("Failed.", error: failure, metadata: ["path": "/a"])
        }
        let object = try JSONReader.read(String(try #require(lines.first)))
        #expect(object["error.message"]?.string == "USAGE: Something is wrong.")
        #expect(object["error.type"]?.string == "KelterModel.KelterError")
        #expect(object["path"]?.string == "/a")
        #expect(object["level"]?.string == "error")
        #expect(object.members?.prefix(4).map(\.name) == ["time", "level", "logger", "message"])
    }

    @Test("The time is that of the event")
    func time() throws {
        func now() throws -> String {
            let text = written { StructuredLogHandler(label: "t", descriptor: $0).log(event: event("m")) }
            return try String(#require(text.split(separator: " ").first))
        }
        let first = try now()
        usleep(2000)
        let second = try now()
        #expect(first < second)
        #expect(first.utf8.count == 24)
        #expect(first.hasSuffix("Z"))
    }

    @Test("Lines of many tasks stay whole")
    func concurrency() async throws {
        let path = "/tmp/kelter-log-test-\(getpid())"
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        let text = String(repeating: "x", count: 6000)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { @concurrent in
                    let handler = StructuredLogHandler(label: "t\(task)", format: .json, descriptor: descriptor)
                    for _ in 0..<50 { handler.log(event: event("\(text)")) }
                }
            }
        }
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let lines = bytes[..<max(0, count)].split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 400)
        for line in lines {
            let object = try JSONReader.read(Array(line))
            #expect(object["message"]?.string == text)
        }
    }

    @Test("A descriptor that takes nothing does not stop the program")
    func closed() {
        StructuredLogHandler(label: "t", descriptor: -1).log(event: event("m"))
    }
}

private func event(_ message: Logger.Message) -> LogEvent {
    LogEvent(level: .info, message: message, metadata: nil, source: nil, file: #fileID, function: "", line: #line)
}
