import Glibc
import KelterModel

/// Reads a multipart/form-data body that arrives in pieces: RFC 7578 and RFC 2046 section 5.1.
///
/// A value without I/O. It keeps at most the header of one part and the end of a piece that may begin a boundary;
/// bodies are handed on as they lie in the pieces.
///
/// A boundary counts where CR LF, `--` and the boundary are followed by `--`, or by CR LF after spaces or tabs;
/// anything else is content of the part. What follows the last boundary is ignored.
struct MultipartParser {
    private enum State {
        /// In a body, or before the first boundary.
        case content
        /// Behind a delimiter, before what tells whether it is one.
        case delimiterEnd
        case header
        /// Behind the last boundary.
        case closed
        case failed(KelterError)
    }

    /// Spaces and tabs that gateways may have added behind a boundary, RFC 2046's transport padding.
    private static let maximumPadding = 64
    private static let headerEnd: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A]

    private let limits: MultipartLimits
    /// The line end, `--` and the boundary; no byte but the first is a CR, so no other can begin a delimiter.
    private let delimiter: [UInt8]

    private var state = State.content
    // The start of the body counts as the start of a line, as does the end of a header.
    /// How many bytes of a delimiter have just been read.
    private var matched = 2
    /// How many of these are no content of the part, whatever follows.
    private var unowned = 2
    /// What has been read behind a delimiter.
    private var delimiterEnd: [UInt8] = []
    /// The line end before a header and what has been read of the header.
    private var header: [UInt8] = []
    /// The part being read; `nil` before the first one.
    private var part: MultipartPart?
    private var parts = 0
    private var preambleBytes = 0

    /// Begins a body.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidMultipart`` for a boundary that RFC 2046 does not allow.
    init(boundary: String, limits: MultipartLimits = MultipartLimits()) throws(KelterError) {
        guard MultipartBoundary.isBoundary(boundary) else {
            throw .multipart("The boundary is not 1 to 70 of the characters RFC 2046 allows.", subject: "Content-Type")
        }
        self.limits = limits
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    /// Reads the next piece and reports what it holds.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidMultipart``, or what `handle` throws. Every later
    ///   call throws it again.
    mutating func feed(
        _ input: Span<UInt8>,
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) {
        do throws(KelterError) {
            var rest = input
            while !rest.isEmpty {
                let used =
                    switch state {
                    case .content: try readContent(rest, handle)
                    case .delimiterEnd: try readDelimiterEnd(rest, handle)
                    case .header: try readHeader(rest, handle)
                    case .closed: rest.count
                    case .failed(let error): throw error
                    }
                rest = rest.extracting(droppingFirst: used)
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Ends the body.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidMultipart`` when the closing boundary has not come.
    mutating func finish() throws(KelterError) {
        switch state {
        case .closed: return
        case .failed(let error): throw error
        case .content, .delimiterEnd, .header:
            let error = KelterError.multipart(
                parts == 0 ? "The body has no boundary." : "The body ends before its closing boundary.",
                subject: part.map { shortened($0.name) },
                fix: "Send the whole body with the boundary that Content-Type names."
            )
            state = .failed(error)
            throw error
        }
    }

    private mutating func readContent(
        _ input: Span<UInt8>,
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) -> Int {
        if matched > 0 {
            var position = 0
            while position < input.count, matched < delimiter.count, input[position] == delimiter[matched] {
                matched += 1
                position += 1
            }
            if matched == delimiter.count {
                state = .delimiterEnd
            } else if position < input.count {
                try passOnDelimiter(handle)
            }
            return position
        }
        if let start = firstDelimiter(in: input) {
            try passOn(input.extracting(first: start), handle)
            matched = delimiter.count
            state = .delimiterEnd
            return start + matched
        }
        let held = heldBytes(of: input)
        try passOn(input.extracting(droppingLast: held), handle)
        matched = held
        return input.count
    }

    private mutating func readDelimiterEnd(
        _ input: Span<UInt8>,
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) -> Int {
        for position in input.indices {
            let byte = input[position]
            switch (delimiterEnd.last, byte) {
            case (UInt8(ascii: "-"), UInt8(ascii: "-")):
                try endPart(handle)
                state = .closed
                return position + 1
            case (UInt8(ascii: "\r"), UInt8(ascii: "\n")):
                try endPart(handle)
                try beginHeader()
                return position + 1
            case (nil, UInt8(ascii: "-")),
                (nil, UInt8(ascii: "\r")), (0x20, UInt8(ascii: "\r")), (0x09, UInt8(ascii: "\r")):
                delimiterEnd.append(byte)
            case (nil, 0x20), (nil, 0x09), (0x20, 0x20), (0x20, 0x09), (0x09, 0x20), (0x09, 0x09):
                guard delimiterEnd.count < Self.maximumPadding else { fallthrough }
                delimiterEnd.append(byte)
            default:
                try passOnDelimiter(handle)
                return position
            }
        }
        return input.count
    }

    private mutating func readHeader(
        _ input: Span<UInt8>,
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) -> Int {
        let before = header.count
        let room = limits.headerBytes + 2 - before
        input.extracting(first: room).withUnsafeBufferPointer { header.append(contentsOf: $0) }
        // The end may have begun in the piece before this one.
        let searched = max(0, before - 3)
        guard let end = header[searched...].firstRange(of: Self.headerEnd) else {
            guard input.count < room else {
                throw .multipart("The header of a part is longer than \(limits.headerBytes) bytes.")
            }
            return input.count
        }
        let part = try MultipartPart(header: header[2..<max(2, end.lowerBound)], limits: limits)
        self.part = part
        try handle(.begin(part))
        header.removeAll(keepingCapacity: true)
        state = .content
        // The empty line may be the one before the next boundary, when a part has no body.
        matched = 2
        unowned = 2
        return end.upperBound - before
    }

    private mutating func beginHeader() throws(KelterError) {
        guard parts < limits.parts else {
            throw .multipart(
                "The body has more than \(limits.parts) parts.",
                fix: "Send fewer fields and files at once."
            )
        }
        parts += 1
        header = [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
        delimiterEnd.removeAll(keepingCapacity: true)
        state = .header
    }

    private mutating func endPart(
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) {
        guard part != nil else { return }
        part = nil
        try handle(.end)
    }

    /// Hands on what looked like a delimiter.
    private mutating func passOnDelimiter(
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) {
        let bytes = delimiter[unowned..<matched] + delimiterEnd
        matched = 0
        unowned = 0
        delimiterEnd.removeAll(keepingCapacity: true)
        state = .content
        try passOn(bytes.span, handle)
    }

    private mutating func passOn(
        _ bytes: Span<UInt8>,
        _ handle: (borrowing MultipartEvent) throws(KelterError) -> Void
    ) throws(KelterError) {
        guard !bytes.isEmpty else { return }
        if part != nil {
            try handle(.body(bytes))
        } else {
            preambleBytes += bytes.count
            guard preambleBytes <= limits.preambleBytes else {
                throw .multipart(
                    "The first boundary does not come within \(limits.preambleBytes) bytes.",
                    fix: "Begin the body with the boundary that Content-Type names."
                )
            }
        }
    }

    /// Where a whole delimiter begins; `nil` when the piece holds none.
    private func firstDelimiter(in input: Span<UInt8>) -> Int? {
        input.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            var position = 0
            // A carriage return is rare in most files, and memchr looks at many bytes at once.
            while bytes.count - position >= delimiter.count,
                let found = memchr(base + position, Int32(delimiter[0]), bytes.count - position - delimiter.count + 1)
            {
                position = UnsafeRawPointer(found) - base
                if memcmp(found, delimiter, delimiter.count) == 0 { return position }
                position += 1
            }
            return nil
        }
    }

    /// How many bytes at the end of a piece may begin a delimiter that the next piece completes.
    private func heldBytes(of input: Span<UInt8>) -> Int {
        let longest = min(input.count, delimiter.count - 1)
        for held in stride(from: 1, through: longest, by: 1) where input[input.count - held] == delimiter[0] {
            return (0..<held).allSatisfy { input[input.count - held + $0] == delimiter[$0] } ? held : 0
        }
        return 0
    }
}
