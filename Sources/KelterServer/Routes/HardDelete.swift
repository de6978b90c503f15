import HTTPTypes
import KelterModel
import KelterPipeline
import KelterStore

extension HTTPService {
    /// `POST /ai/rag/admin/hard-delete/`: removes documents, their objects and everything made of them.
    ///
    /// First the rows, then the objects, then the records of the objects: a request that fails in between is repeated by
    /// its caller and finds what is left.
    func hardDelete(_ request: RouteRequest, _ admitted: Admitted) async throws(KelterError) -> Reply {
        guard admitted.hasInternalKey || admitted.isSuperuser else {
            throw KelterError(
                .forbidden,
                "Documents are removed for good only by a superuser of the tenant or with an internal key.",
                subject: "X-Internal-Key",
                fix: "Send one of RAG_INTERNAL_KEYS in X-Internal-Key, or a superuser's name and password."
            )
        }
        let (bytes, body) = try await request.body.json(contentType: request.contentType)
        let order = try Self.order(body, admitted)
        return try await Idempotent(store: store).run(
            admitted,
            route: request.route.name,
            parts: [bytes],
            storesAnswer: true
        ) { _ throws(KelterError) in
            let deletion = try await retrieval.hardDelete(order, tenant: admitted.tenant)
            let objects = objects
            try await io.attempt { () throws(KelterError) in
                // A replacement that failed has left its bytes staged.
                for staged in deletion.runs.map({ StagedUpload(run: $0) }) {
                    try objects.remove(staged.content)
                    try objects.remove(staged.metadata)
                }
                for upload in deletion.uploads {
                    try objects.remove(upload.contentPath)
                    try objects.remove(upload.metadataPath)
                }
            }
            try await store.forgetUploads(of: deletion.uploads.map(\.document), tenant: admitted.tenant)
            return Idempotent.Answer(
                status: 200,
                members: [
                    ("status", .string("deleted")),
                    ("audit_id", .string(deletion.audit.description)),
                    ("deleted_ids", .array(deletion.documents.map { .string($0.description) })),
                    ("not_found_ids", .array(deletion.notFound.map { .string($0.description) })),
                    ("chunks", .int(deletion.chunks)),
                    ("embeddings", .int(deletion.embeddings)),
                    ("objects", .int(deletion.uploads.count)),
                    ("trace_id", .string(admitted.trace.id)),
                ]
            )
        }
    }

    private static func order(_ body: JSONValue, _ admitted: Admitted) throws(KelterError) -> HardDeletionOrder {
        guard let key = body["tenant_id"]?.string else { throw invalid("tenant_id", "is missing") }
        let tenant: Tenant
        do throws(KelterError) {
            tenant = try Tenant(key)
        } catch {
            throw invalid("tenant_id", "is not a tenant")
        }
        guard tenant.rowID == admitted.tenant.rowID else {
            throw KelterError(
                .tenantMismatch,
                "The body names another tenant than the headers.",
                subject: "tenant_id",
                fix: "Name the tenant of the request."
            )
        }
        let items = body["document_ids"]?.array ?? []
        let documents = items.compactMap { $0.string.flatMap { RowID(trimmed($0)) } }
        guard (1...1000).contains(items.count), documents.count == items.count else {
            throw invalid("document_ids", "is not a list of 1 to 1000 UUIDs")
        }
        func words(_ name: String) throws(KelterError) -> String {
            guard let words = body[name]?.string.map(trimmed), (1...2000).contains(words.utf8.count) else {
                throw invalid(name, "is not a text of 1 to 2000 bytes")
            }
            return words
        }
        var seen: Set<RowID> = []
        return HardDeletionOrder(
            documents: documents.filter { seen.insert($0).inserted },
            reason: try words("reason"),
            ticketReference: try words("ticket_ref"),
            operatorLabel: try text(body["operator_label"], "operator_label"),
            actor: (admitted.credential ?? .internalKey).actor,
            traceID: admitted.trace.id
        )
    }
}
