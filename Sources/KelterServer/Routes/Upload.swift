import HTTPTypes
import Hummingbird
import KelterModel
import KelterPipeline
import KelterStore
import NIOCore

extension HTTPService {
    /// `POST /ai/rag/documents/upload/`: takes a file as `multipart/form-data` and queues it; 202 once it cannot be lost
    /// any more.
    func upload(_ request: RouteRequest, _ admitted: Admitted) async throws(KelterError) -> Reply {
        var form = try UploadForm(
            contentType: request.contentType,
            objects: objects,
            io: io,
            maximumBytes: configuration.maximumUploadBytes
        )
        try await request.body.forEach(broken: .invalidMultipart) { piece throws(KelterError) in
            try await form.take(piece)
        }
        let file = try await form.finish()
        metrics.count(uploadedBytes: file.content.size)
        let parts = [Array(file.name.utf8), file.content.hash.bytes, file.metadata ?? []]
        let intakeRequest = Intake.Request(caller: admitted.caller(), traceID: admitted.trace.id)
        return try await Idempotent(store: store).run(
            admitted,
            route: request.route.name,
            parts: parts,
            storesAnswer: false
        ) { claim throws(KelterError) in
            let accepted = try await intake.accept(
                file.incoming,
                content: file.content,
                fileName: file.name,
                metadata: file.metadata,
                request: intakeRequest
            ) { accepted in claim.map { Self.answer(accepted, admitted).repeated($0) } }
            for worker in workers { worker.wake() }
            return Self.answer(accepted, admitted)
        }
    }

    private static func answer(_ accepted: Intake.Accepted, _ admitted: Admitted) -> Idempotent.Answer {
        let document = accepted.documents.first
        let scope = document?.scope ?? .none
        return Idempotent.Answer(
            status: 202,
            members: [
                ("status", .string("accepted")),
                ("document_id", .optional(document?.documentIDs.first?.description)),
                ("document_ids", .array(accepted.documents.flatMap(\.documentIDs).map { .string($0.description) })),
                ("external_id", .optional(document?.externalID)),
                ("collection_id", .optional(scope.collections.first?.description)),
                ("scope", scope.json),
                ("ingestion_run_id", .string(accepted.run.description)),
                ("ingestion_status", .string("queued")),
                ("trace_id", .string(admitted.trace.id)),
            ]
        )
    }
}

extension Admitted {
    /// The caller as the pipeline knows it: tenant, case, and the headers that take part in the scope.
    ///
    /// - Parameters:
    ///   - list: `collection_ids` of the request's body.
    ///   - body: `collection_id` of the request's body.
    /// - Returns: The caller.
    func caller(list: JSONValue? = nil, body: JSONValue? = nil) -> Caller {
        Caller(tenant: tenant, caseID: caseID, scope: ScopeInputs(list: list, body: body, headers: headers))
    }
}

/// The form of an upload while it arrives: a file, which goes to the object store piece by piece, and its metadata.
struct UploadForm {
    /// The largest `metadata` field: 1 MiB, as a sidecar.
    private static let maximumMetadata = 1 << 20
    /// So many bytes are written at a time.
    private static let pieceBytes = 256 << 10

    /// A complete form.
    struct File: Sendable {
        let incoming: IncomingObject
        let content: IncomingObject.Content
        let name: String
        let metadata: [UInt8]?
    }

    private enum Field {
        case file, metadata
    }

    private let objects: ObjectStore
    private let io: IOThreads
    private let maximumBytes: Int
    private var parser: MultipartParser
    private var field: Field?
    private var fileName: String?
    private var metadata: [UInt8]?
    private var incoming: IncomingObject?
    private var pending: [UInt8] = []
    private var received = 0

    /// Prepares to read a form.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/unsupportedMediaType`` or ``ErrorCode/invalidMultipart``.
    init(contentType: String?, objects: ObjectStore, io: IOThreads, maximumBytes: Int) throws(KelterError) {
        let type = lowercasedASCII(trimmed(String((contentType ?? "").prefix { $0 != ";" })))
        guard let contentType, type == "multipart/form-data" else {
            throw KelterError(
                .unsupportedMediaType,
                "The request's body is not multipart/form-data.",
                subject: "Content-Type",
                fix: "Send a form with a field 'file' and perhaps a field 'metadata'."
            )
        }
        parser = try MultipartParser(boundary: try MultipartBoundary.boundary(ofContentType: contentType))
        self.objects = objects
        self.io = io
        self.maximumBytes = maximumBytes
    }

    /// Takes the next piece of the body.
    ///
    /// - Throws: ``KelterError`` of the form or the object store.
    mutating func take(_ piece: ByteBuffer) async throws(KelterError) {
        var parser = parser
        let bytes = Array(piece.readableBytesView)
        try parser.feed(bytes.span) { (event) throws(KelterError) in try handle(event) }
        self.parser = parser
        if pending.count >= Self.pieceBytes { try await write() }
    }

    /// Ends the form.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/missingFile`` or ``ErrorCode/invalidMultipart``.
    mutating func finish() async throws(KelterError) -> File {
        try parser.finish()
        guard let fileName else {
            throw KelterError(
                .missingFile,
                "The form has no file.",
                subject: "file",
                fix: "Send the document in a field 'file' with a file name."
            )
        }
        try await write()
        guard let incoming else { throw KelterError(.internalError, "An upload has no object.") }
        let content = try await io.attempt { () throws(KelterError) in try incoming.finish() }
        return File(incoming: incoming, content: content, name: fileName, metadata: metadata)
    }

    private mutating func handle(_ event: borrowing MultipartEvent) throws(KelterError) {
        switch event {
        case .begin(let part): try begin(part)
        case .body(let bytes): try append(bytes)
        case .end: field = nil
        }
    }

    private mutating func begin(_ part: MultipartPart) throws(KelterError) {
        switch part.name {
        case "file":
            guard fileName == nil else { throw Self.twice(part.name) }
            guard let name = part.fileName, !name.isEmpty else {
                throw KelterError(
                    .missingFile,
                    "The field 'file' has no file name.",
                    subject: "file",
                    fix: "Send the document as a file."
                )
            }
            fileName = name
            field = .file
        case "metadata":
            guard metadata == nil else { throw Self.twice(part.name) }
            metadata = []
            field = .metadata
        default:
            // A field that would be ignored may be a scope or a tenant somebody relies on.
            throw KelterError(
                .invalidMultipart,
                "The form has no field \"\(shortened(part.name))\".",
                subject: shortened(part.name),
                fix: "Send 'file' and 'metadata'; everything else belongs into the metadata's JSON."
            )
        }
    }

    private mutating func append(_ bytes: Span<UInt8>) throws(KelterError) {
        switch field {
        case .metadata:
            guard (metadata?.count ?? 0) + bytes.count <= Self.maximumMetadata else {
                throw KelterError(
                    .sidecarInvalid,
                    "The metadata has more than \(Self.maximumMetadata) bytes.",
                    subject: "metadata",
                    fix: "Send less metadata."
                )
            }
            bytes.withUnsafeBufferPointer { metadata?.append(contentsOf: $0) }
        case .file:
            received += bytes.count
            guard received <= maximumBytes else {
                throw KelterError(
                    .fileTooLarge,
                    "The file has more than the \(maximumBytes) bytes that are taken.",
                    subject: "file",
                    fix: "Split the file."
                )
            }
            bytes.withUnsafeBufferPointer { pending.append(contentsOf: $0) }
        case nil:
            break
        }
    }

    private static func twice(_ name: String) -> KelterError {
        KelterError(
            .invalidMultipart,
            "The form has more than one field '\(name)'.",
            subject: name,
            fix: "Send one file a request."
        )
    }

    private mutating func write() async throws(KelterError) {
        let bytes = pending
        pending = []
        let objects = objects
        if let incoming {
            try await io.attempt { () throws(KelterError) in try incoming.append(bytes) }
        } else {
            incoming = try await io.attempt { () throws(KelterError) in
                let incoming = try IncomingObject(in: objects)
                try incoming.append(bytes)
                return incoming
            }
        }
    }
}
