import HTTPTypes
import KelterModel
import KelterPipeline

extension HTTPService {
    /// `POST /v1/ai/rag/query/`: searches the tenant's documents, and answers when there is a chat model.
    func query(_ request: RouteRequest, _ admitted: Admitted) async throws(KelterError) -> Reply {
        let (bytes, body) = try await request.body.json(contentType: request.contentType)
        let question = try Question(
            json: body,
            headers: admitted.headers,
            tenant: admitted.tenant,
            maySeeDeleted: admitted.isSuperuser
        )
        return try await Idempotent(store: store).run(
            admitted,
            route: request.route.name,
            parts: [bytes],
            storesAnswer: true
        ) { _ throws(KelterError) in
            let findings = try await retrieval.find(question)
            try findings.requireMatches()
            let members = findings.json.members ?? []
            return Idempotent.Answer(status: 200, members: members + [("trace_id", .string(admitted.trace.id))])
        }
    }
}
