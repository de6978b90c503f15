import Synchronization

/// The warnings a session received; the newest 100 are kept.
final class NoticeLog: Sendable {
    private let lines = Mutex<[String]>([])

    /// The callback for `PQsetNoticeProcessor`; its argument is an unretained log.
    static let receive: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) -> Void = {
        argument,
        message in
        guard let argument, let message else { return }
        Unmanaged<NoticeLog>.fromOpaque(argument).takeUnretainedValue().append(String(cString: message))
    }

    private func append(_ message: String) {
        lines.withLock { lines in
            if lines.count == 100 { lines.removeFirst() }
            lines.append(message)
        }
    }

    /// Returns the lines and forgets them.
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}
