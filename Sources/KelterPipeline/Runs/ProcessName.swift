import Glibc

/// The name under which a process holds leases: `host:pid:start`, the start in clock ticks since the machine's, so that a
/// process identifier that is used again is another name.
struct ProcessName: CustomStringConvertible, Equatable, Sendable {
    let host: String
    let process: pid_t
    let start: UInt64

    static let current = ProcessName(host: hostName(), process: getpid(), start: startTime(of: getpid()) ?? 0)

    private init(host: String, process: pid_t, start: UInt64) {
        self.host = host
        self.process = process
        self.start = start
    }

    /// Reads a name; `nil` for one of another form.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 3, let process = pid_t(parts[1]), let start = UInt64(parts[2]) else { return nil }
        self.init(host: String(parts[0]), process: process, start: start)
    }

    var description: String { "\(host):\(process):\(start)" }

    /// Whether it is a process of this machine that is no more; of other machines nothing is known.
    var hasEnded: Bool {
        host == Self.current.host && Self.startTime(of: process) != start
    }

    /// Field 22 of `/proc/PID/stat`; `nil` when there is no such process, or only what is left of it.
    private static func startTime(of process: pid_t) -> UInt64? {
        // One read: the kernel makes the text anew for each file, whose size it does not know.
        let descriptor = Glibc.open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
        // The name in parentheses may hold anything; the state follows it.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}

/// The name of this machine; `localhost` where it has none.
package func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
