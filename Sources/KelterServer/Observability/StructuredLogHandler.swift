import Glibc
package import Logging

/// Writes each event of a logger as one line to a file descriptor, with one write(2) unless the kernel takes a part.
///
/// Metadata is merged as swift-log asks: that of the handler, over it the provider's, over that the event's own; an
/// error adds `error.message` and `error.type`. A line that cannot be written is dropped. Lines written at once stay
/// whole up to 4 KiB in a pipe, and at any length in a file opened to append.
package struct StructuredLogHandler: LogHandler {
    package enum Format: Sendable {
        /// For people: `2026-11-24T20:30:01.123Z info kelter.http message key=value key="value with spaces"`.
        case text
        /// For programs: an object with `time`, `level`, `logger` and `message`, then the metadata by key.
        case json
    }

    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: Format
    private let descriptor: Int32

    /// Makes a handler; the descriptor stays the caller's and must outlive it.
    package init(
        label: String,
        format: Format = .text,
        descriptor: Int32 = STDERR_FILENO,
        logLevel: Logger.Level = .info,
        metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.label = label
        self.format = format
        self.descriptor = descriptor
        self.logLevel = logLevel
        self.metadataProvider = metadataProvider
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let line = LogLine(
            time: time,
            level: event.level,
            logger: label,
            message: event.message.description,
            metadata: merged(event)
        )
        write(line.bytes(format))
    }

    private func merged(_ event: LogEvent) -> Logger.Metadata {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { $1 } }
        if let explicit = event.metadata { merged.merge(explicit) { $1 } }
        if let error = event.error {
            merged["error.message"] = "\(error)"
            merged["error.type"] = "\(String(reflecting: type(of: error)))"
        }
        return merged
    }

    private func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}
