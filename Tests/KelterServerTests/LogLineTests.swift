import Glibc
import KelterModel
import Logging
import Testing

@testable import KelterServer

@Suite("Log lines")
struct LogLineTests {
    private func line(
        _ message: String,
        logger: String = "kelter.http",
        metadata: Logger.Metadata = [:],
        format: StructuredLogHandler.Format = .text
    ) -> String {
        // 2026-11-24T20:30:01.123999999Z
        let time = timespec(tv_sec: 1_795_552_201, tv_nsec: 123_999_999)
        let line = LogLine(time: time, level: .info, logger: logger, message: message, metadata: metadata)
        return String(decoding: line.bytes(format), as: UTF8.self)
    }

    @Test("An event as text, metadata by key")
    func text() {
        #expect(line("Started.") == "2026-11-24T20:30:01.123Z info kelter.http Started.\n")
        #expect(
            line("message", metadata: ["b": "value with spaces", "a": "value", "c": "", "C": "\(12)"])
                == "2026-11-24T20:30:01.123Z info kelter.http message C=12 a=value b=\"value with spaces\" c=\"\"\n"
        )
    }

    @Test(
        "Values that need quotes",
        arguments: [
            (#"a\b"#, #"a\b"#), (#"a\b c"#, #""a\\b c""#), (#"a"b"#, #""a\"b""#), ("a=b", #""a=b""#),
            ("a\nb", #""a\nb""#), ("a\r\n\tb", #""a\r\n\tb""#), ("\u{1B}[31m", #""\u{1b}[31m""#),
            ("a\u{9B}b", #""a\u{9b}b""#), ("a\u{2028}b", #""a\u{2028}b""#), ("a\0b", #""a\u{0}b""#),
            ("a\u{A0}b", "\"a\u{A0}b\""), ("größe", "größe"), ("\"\u{301}", "\"\\\"\u{301}\""),
        ]
    )
    func quoting(value: String, written: String) {
        #expect(line("m", metadata: ["k": .string(value)]).hasSuffix(" m k=\(written)\n"))
        #expect(line("m", metadata: ["\(value)": "v"]).hasSuffix(" m \(written)=v\n"))
    }

    @Test("Messages and labels stay on their line")
    func oneLine() {
        #expect(line("a\nb\r\n\u{85}c \"d\" e\\f").hasSuffix(#" a\nb\r\n\u{85}c "d" e\f"# + "\n"))
        #expect(line("m", logger: "a\nb").hasSuffix(#" info a\nb m"# + "\n"))
    }

    @Test("Lists and dictionaries are JSON in text too")
    func nested() {
        let metadata: Logger.Metadata = ["l": ["a", "b c"], "d": ["y": ["z": "1"], "x": "\"\n"], "e": []]
        #expect(
            line("m", metadata: metadata).hasSuffix(
                #" m d="{\"x\":\"\\\"\\n\",\"y\":{\"z\":\"1\"}}" e=[] l="[\"a\",\"b c\"]""# + "\n"
            )
        )
    }

    @Test("An event as JSON")
    func json() throws {
        let metadata: Logger.Metadata = [
            "s": "a\nb", "i": .stringConvertible(12), "d": .stringConvertible(0.5), "b": .stringConvertible(true),
            "l": ["x", .stringConvertible(1)], "o": ["z": "1", "a": "2"],
        ]
        let text = line("Say \"hi\"\n", metadata: metadata, format: .json)
        #expect(
            text == #"{"time":"2026-11-24T20:30:01.123Z","level":"info","logger":"kelter.http","#
                + #""message":"Say \"hi\"\n","b":true,"d":0.5,"i":12,"l":["x",1],"o":{"a":"2","z":"1"},"s":"a\nb"}"#
                + "\n"
        )
        #expect(try JSONReader.read(text)["message"]?.string == "Say \"hi\"\n")
    }

    @Test("Metadata never hides a member of the event")
    func reserved() throws {
        let metadata: Logger.Metadata = ["message": "1", "metadata.message": "2", "level": "3"]
        let text = line("m", metadata: metadata, format: .json)
        #expect(
            text.hasSuffix(
                #""message":"m","metadata.level":"3","metadata.metadata.message":"1","metadata.message":"2"}"# + "\n"
            )
        )
        // Refuses a name that stands twice.
        _ = try JSONReader.read(text)
    }

    @Test(
        "Times in UTC",
        arguments: [
            (0, 0, "1970-01-01T00:00:00.000Z"), (1_709_251_199, 999_999_999, "2024-02-29T23:59:59.999Z"),
            (253_402_300_799, 1_000_000, "9999-12-31T23:59:59.001Z"),
        ]
    )
    func times(seconds: Int, nanoseconds: Int, text: String) {
        #expect(utcText(timespec(tv_sec: seconds, tv_nsec: nanoseconds)) == text)
    }
}
