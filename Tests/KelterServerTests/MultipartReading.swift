import KelterModel

@testable import KelterServer

/// One part with the whole of its body.
struct ReadPart: Equatable {
    let part: MultipartPart
    var body: [UInt8] = []
    var hasEnded = false

    init(_ part: MultipartPart) {
        self.part = part
    }

    /// A part that has ended.
    init(_ name: String, _ fileName: String? = nil, _ contentType: String? = nil, body: String) {
        part = MultipartPart(name: name, fileName: fileName, contentType: contentType)
        self.body = Array(body.utf8)
        hasEnded = true
    }
}

/// The parts of a body, gathered from the parser's events.
struct MultipartReading {
    var parts: [ReadPart] = []
    var pieces = 0
    private var parser: MultipartParser
    private let boundary: String

    init(boundary: String = "B", limits: MultipartLimits = MultipartLimits()) throws(KelterError) {
        parser = try MultipartParser(boundary: boundary, limits: limits)
        self.boundary = boundary
    }

    mutating func feed(_ bytes: ArraySlice<UInt8>) throws(KelterError) {
        try parser.feed(bytes.span) { event throws(KelterError) in
            switch event {
            case .begin(let part):
                parts.append(ReadPart(part))
            case .body(let bytes):
                pieces += 1
                bytes.withUnsafeBufferPointer { parts[parts.count - 1].body.append(contentsOf: $0) }
            case .end:
                parts[parts.count - 1].hasEnded = true
            }
        }
    }

    mutating func finish() throws(KelterError) {
        try parser.finish()
    }

    /// Reads a whole body cut before each of some offsets.
    static func parts(
        of body: [UInt8],
        boundary: String = "B",
        limits: MultipartLimits = MultipartLimits(),
        cuts: [Int] = []
    ) throws(KelterError) -> [ReadPart] {
        var reading = try MultipartReading(boundary: boundary, limits: limits)
        var start = 0
        for cut in cuts + [body.count] {
            try reading.feed(body[start..<cut])
            start = cut
        }
        try reading.finish()
        return reading.parts
    }

    /// The error a body ends in; `nil` when it is read to its end.
    static func error(of body: String, limits: MultipartLimits = MultipartLimits()) -> KelterError? {
        do throws(KelterError) {
            _ = try parts(of: Array(body.utf8), limits: limits)
            return nil
        } catch {
            return error
        }
    }
}

/// A body with one part of this header.
func bodyWithHeader(_ lines: String...) -> String {
    "--B\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\nx\r\n--B--\r\n"
}

/// A body with one part of this Content-Disposition behind the word `form-data`.
func bodyWithDisposition(_ parameters: String) -> String {
    bodyWithHeader("Content-Disposition: form-data" + parameters)
}
