import Glibc
import KelterModel

/// The process that parses: reads requests from standard input, a socket, and answers on it until its other end is
/// closed.
///
/// Before the first request it gives up what a parser does not need; see ``WorkerLimits``.
package enum ParserWorker {
    /// Serves requests.
    ///
    /// - Parameters:
    ///   - parser: What parses them.
    ///   - limits: What the process may take.
    /// - Returns: The exit code: 0 when there are no more requests, 1 when the other side breaks off in the middle.
    package static func run(_ parser: DocumentParser, limits: WorkerLimits = WorkerLimits()) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        limits.apply()
        while true {
            guard let head = read(ParserRequest.headBytes) else { return 0 }
            var reader = MessageReader(head)
            guard let seconds = reader.number(4), let restBytes = reader.number(8), let fileBytes = reader.number(8),
                let rest = read(restBytes), let bytes = read(fileBytes)
            else { return 1 }
            reader = MessageReader(rest)
            guard let name = reader.string(), let mediaType = reader.optionalString() else { return 1 }
            WorkerLimits.limitProcessorTime(seconds)
            let result: Result<ParseResult, KelterError>
            do throws(KelterError) {
                result = .success(try parser.parse(bytes, name: name, mediaType: mediaType))
            } catch {
                result = .failure(error)
            }
            let reply = ParserReply(result: result, memory: WorkerMemory.bytes)
            guard write(reply.head) else { return 1 }
            if case .success(let result) = result, !write(result.document.text) { return 1 }
        }
    }

    /// So many bytes; `nil` when there are no more.
    private static func read(_ count: Int) -> [UInt8]? {
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let step = Glibc.read(0, buffer.baseAddress.map { $0 + filled }, count - filled)
                if step < 0 && errno == EINTR { continue }
                guard step > 0 else {
                    isWhole = false
                    return
                }
                filled += step
            }
        }
        return isWhole ? bytes : nil
    }

    private static func write(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let step = Glibc.write(0, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if step < 0 && errno == EINTR { continue }
                guard step > 0 else { return false }
                written += step
            }
            return true
        }
    }
}
