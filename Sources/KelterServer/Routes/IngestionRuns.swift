import HTTPTypes
import HummingbirdCore
import KelterModel
import KelterPipeline
import KelterStore

extension HTTPService {
    /// So many documents one run may have.
    private static let maximumDocuments = 1000

    /// `POST /ai/rag/ingestion/run/`: queues a run over documents that were uploaded before.
    func runIngestion(_ request: RouteRequest, _ admitted: Admitted) async throws(KelterError) -> Reply {
        let (bytes, body) = try await request.body.json(contentType: request.contentType)
        guard let items = body["document_ids"]?.array, (1...Self.maximumDocuments).contains(items.count) else {
            throw Self.invalid("document_ids", "is not a list of 1 to \(Self.maximumDocuments) identifiers")
        }
        let identifiers = items.compactMap(\.string)
        guard identifiers.count == items.count else {
            throw Self.invalid("document_ids", "has an item that is no text")
        }
        let intakeRequest = Intake.Request(
            caller: admitted.caller(list: body["collection_ids"], body: body["collection_id"]),
            traceID: admitted.trace.id,
            priority: try Self.priority(body["priority"])
        )
        let profile = try Self.text(body["embedding_profile"], "embedding_profile")
        return try await Idempotent(store: store).run(
            admitted,
            route: request.route.name,
            parts: [bytes],
            storesAnswer: false
        ) { claim throws(KelterError) in
            let accepted = try await intake.accept(
                documents: identifiers,
                profile: profile,
                request: intakeRequest
            ) { accepted in claim.map { Self.answer(accepted, admitted).repeated($0) } }
            for worker in workers { worker.wake() }
            return Self.answer(accepted, admitted)
        }
    }

    private static func answer(_ accepted: Intake.Accepted, _ admitted: Admitted) -> Idempotent.Answer {
        Idempotent.Answer(
            status: 202,
            members: [
                ("status", .string("queued")),
                ("queued_at", .string(accepted.queuedAt)),
                ("ingestion_run_id", .string(accepted.run.description)),
                ("document_ids", .array(accepted.documents.flatMap(\.documentIDs).map { .string($0.description) })),
                ("invalid_ids", .array(accepted.invalidIDs.map { .string($0) })),
                ("scope", accepted.documents.first?.scope.json ?? CollectionScope.none.json),
                ("trace_id", .string(admitted.trace.id)),
            ]
        )
    }

    /// `low`, `normal`, `high`, or a number from -100 to 100.
    private static func priority(_ value: JSONValue?) throws(KelterError) -> Int {
        switch value {
        case nil, .null, .string("normal"): return 0
        case .string("high"): return 10
        case .string("low"): return -10
        case .number:
            if let number = value?.int, (-100...100).contains(number) { return number }
        default: break
        }
        throw invalid("priority", "is not low, normal, high or a whole number from -100 to 100")
    }

    static func text(_ value: JSONValue?, _ name: String) throws(KelterError) -> String? {
        switch value {
        case nil, .null: return nil
        case .string(let text): return text
        default: throw invalid(name, "is not a text")
        }
    }

    static func invalid(_ name: String, _ what: String) -> KelterError {
        KelterError(
            .validationError,
            "The member \(name) \(what).",
            subject: name,
            fix: "See /openapi.json for what is expected."
        )
    }

    /// `GET /ai/rag/ingestion/status/`: the newest run of tenant and case, or the one that `run_id` names.
    func ingestionStatus(_ request: RouteRequest, _ admitted: Admitted) async throws(KelterError) -> Reply {
        let run: RunRecord?
        if let text = request.request.uri.queryParameters["run_id"] {
            guard let id = RowID(text) else { throw Self.invalid("run_id", "is not a UUID") }
            do throws(KelterError) {
                run = try await store.run(id, tenant: admitted.tenant)
            } catch  where error.code == .runNotFound {
                run = nil
            }
        } else {
            run = try await store.latestRun(ofCase: admitted.caseID, tenant: admitted.tenant)
        }
        guard let run else {
            throw KelterError(
                .ingestionStatusNotFound,
                "There is no such run of this tenant and case.",
                fix: "Upload a document, or name another run."
            )
        }
        return Reply(.ok, await status(of: run, admitted))
    }

    private func status(of run: RunRecord, _ admitted: Admitted) async -> JSONValue {
        let work = QueuedWork(run.arguments)
        let totals = run.totals
        func total(_ name: String, _ outcomes: String...) -> JSONValue {
            if let value = totals?[name] { return value }
            // A batch of the command line has its totals by outcome.
            return .int(outcomes.reduce(0) { $0 + (totals?["outcomes"]?[$1]?.int ?? 0) })
        }
        let planned = work.map { work in
            JSONValue.array(work.documents.flatMap(\.documentIDs).map { .string($0.description) })
        }
        let invalid = work.map { JSONValue.array($0.invalidIDs.map { .string($0) }) }
        var members: [(name: String, value: JSONValue)] = []
        members += [
            ("run_id", .string(run.id.description)),
            ("kind", .string(run.kind)),
            ("status", .string(run.status.wireName)),
            ("queued_at", .optional(run.queuedAt)),
            ("started_at", .optional(run.startedAt)),
            ("finished_at", .optional(run.finishedAt)),
            ("duration_ms", run.durationMilliseconds.map { .int($0) } ?? .null),
        ]
        members += [
            ("document_ids", totals?["document_ids"] ?? planned ?? .array([])),
            ("invalid_document_ids", invalid ?? .array([])),
            ("inserted_documents", total("inserted_documents", "inserted")),
            ("replaced_documents", total("replaced_documents", "replaced")),
            ("skipped_documents", total("skipped_documents", "unchanged", "updated", "duplicate", "skipped")),
            ("failed_documents", total("failed_documents", "failed")),
            ("inserted_chunks", totals?["inserted_chunks"] ?? totals?["chunks"] ?? .int(0)),
            ("documents", .array(await documents(totals?["documents"]?.array ?? []))),
        ]
        members += [
            ("embedding_profile", .optional(work?.profile)),
            ("trace_id", .string(run.traceID ?? admitted.trace.id)),
            ("error", .optional(run.error)),
        ]
        return .object(members)
    }

    /// The documents of a run with the collection in their stored metadata, so that callers can hold it against the
    /// database's from afar.
    private func documents(_ documents: [JSONValue]) async -> [JSONValue] {
        let objects = objects
        return await io.run {
            documents.map { document in
                guard case .object(let members) = document, let path = document["meta_json"]?.string,
                    let bytes = try? objects.readSmall(path), let stored = try? JSONReader.read(bytes)
                else { return document }
                return .object(members + [("meta_json_collection_id", stored["collection_id"] ?? .null)])
            }
        }
    }
}

extension RunStatus {
    /// The four states of the contract: what did not wholly succeed has failed, and says why.
    fileprivate var wireName: String {
        switch self {
        case .queued, .running, .succeeded, .failed: rawValue
        case .partial, .interrupted: RunStatus.failed.rawValue
        }
    }
}
