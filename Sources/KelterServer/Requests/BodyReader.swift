import HTTPTypes
import Hummingbird
import KelterModel
import NIOCore
import Synchronization

/// Whether all of a request's body has been read; what has not is not waited for once the request is refused.
final class BodyProgress: Sendable {
    private let state = Mutex(false)

    var isComplete: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// Reads the body of a request within bounds of size and time.
struct BodyReader: Sendable {
    /// The least speed of a caller: it may fall behind this by ``patience``.
    static let bytesPerSecond = 16 << 10
    /// How long a caller may be slower; silence beyond the connection's idle time ends the connection.
    static let patience = Duration.seconds(30)
    /// The largest body of a request in JSON: 1 MiB.
    static let maximumJSON = 1 << 20

    let body: RequestBody
    /// Notes when the whole body has come.
    let progress: BodyProgress

    /// Hands on the body piece by piece.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/requestTooSlow``, with `broken` when the connection ends early, or what
    ///   the closure throws.
    func forEach(
        broken: ErrorCode,
        _ take: (ByteBuffer) async throws(KelterError) -> Void
    ) async throws(KelterError) {
        let clock = ContinuousClock()
        let start = clock.now
        var received = 0
        var iterator = body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do {
                piece = try await iterator.next()
            } catch {
                throw KelterError(broken, "The request's body broke off.", fix: "Send the request again.")
            }
            guard let piece else {
                progress.isComplete = true
                return
            }
            received += piece.readableBytes
            guard clock.now - start < Self.patience + .seconds(Double(received) / Double(Self.bytesPerSecond)) else {
                throw KelterError(
                    .requestTooSlow,
                    "The request's body came too slowly.",
                    fix: "Send at least 16 KiB a second."
                )
            }
            try await take(piece)
        }
    }

    /// Reads a body in JSON.
    ///
    /// - Returns: The bytes and the object.
    /// - Throws: ``KelterError`` with ``ErrorCode/unsupportedMediaType``, ``ErrorCode/requestTooLarge``,
    ///   ``ErrorCode/requestTooSlow`` or ``ErrorCode/validationError``.
    func json(contentType: String?) async throws(KelterError) -> (bytes: [UInt8], value: JSONValue) {
        let type = contentType.map { lowercasedASCII(trimmed(String($0.prefix { $0 != ";" }))) }
        guard type == nil || type == "application/json" else {
            throw KelterError(
                .unsupportedMediaType,
                "The request's body is not application/json.",
                subject: "Content-Type",
                fix: "Send a JSON object."
            )
        }
        var bytes: [UInt8] = []
        try await forEach(broken: .validationError) { piece throws(KelterError) in
            guard bytes.count + piece.readableBytes <= Self.maximumJSON else {
                throw KelterError(
                    .requestTooLarge,
                    "The request's body is larger than \(Self.maximumJSON) bytes.",
                    fix: "Send less at a time."
                )
            }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        do {
            let value = try JSONReader.read(bytes)
            guard case .object = value else {
                throw KelterError(
                    .validationError,
                    "The request's body is not a JSON object.",
                    fix: "Send an object: { … }."
                )
            }
            return (bytes, value)
        } catch let failure as JSONReader.Failure {
            throw KelterError(
                .validationError,
                "The request's body is not valid JSON: \(failure).",
                fix: "Correct the JSON."
            )
        } catch let error as KelterError {
            throw error
        } catch {
            throw KelterError(.validationError, "The request's body cannot be read.", fix: "Send a JSON object.")
        }
    }
}
