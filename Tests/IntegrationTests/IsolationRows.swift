import KelterModel
import KelterStore
import Testing

/// What a tenant has, by identifier.
struct IsolationRows: Sendable {
    let tenant: Tenant
    /// A run that is finished and has items.
    let run: RowID
    /// A run that a worker holds.
    let claim: ClaimedRun
    /// A run that waits.
    let queued: RowID
    /// A part of a batch that a process holds; another part of it waits.
    let part: (batch: RowID, lease: PartLease)
    /// Documents, those marked as deleted among them.
    let documents: [RowID]
    /// A document outside collections, as maintenance reads it.
    let stored: StoredDocument
    let apiKey: RowID
    /// A request that has been answered.
    let answered: IdempotentReply
    /// A request under way.
    let open: IdempotencyClaim
    /// The names of documents that only the victim has.
    static let secretName = "secret/plan.txt"
    static let secretBytes = "secret bytes"
    /// The part of the embedding cache in which both tenants have entries, and that in which only the victim has.
    static let cache = CacheSpace(fingerprint: "shared", dimension: 8, template: "1")
    static let secretCache = CacheSpace(fingerprint: "secret model", dimension: 8, template: "secret template")
    /// A text that both tenants have, with different vectors, and one that only the victim has.
    static let (sharedText, secretText) = (Fixture.hash("cached"), Fixture.hash("cached secret"))

    /// Fills every table through the store's own calls.
    static func fill(_ store: Store, _ tenant: Tenant, isVictim: Bool) async throws -> IsolationRows {
        let schema = "schema_" + tenant.key
        _ = try await store.createTenant(TenantRecord(tenant: tenant, schema: schema, name: tenant.key, domains: []))
        let run = Fixture.id()
        try await store.beginRun(
            RunRecord(id: run, caseID: isVictim ? "secret-case" : "case", kind: "ingest"),
            tenant: tenant
        )
        var items = [
            Fixture.item("x", "1", root: "r"), Fixture.item("y", "2", in: IsolationWorld.shared, root: "r"),
            Fixture.item("z", "1", root: "r"), Fixture.item("old", "3"), Fixture.item("gone", "4"),
            // Words only: no row of the embeddings stands against a forged one.
            Fixture.item("words", "5", content: [Fixture.chunk(0, "fünf", vector: .empty)]),
        ]
        if isVictim {
            items.append(Fixture.item(secretName, secretBytes, in: IsolationWorld.secretCollection, root: "secret"))
            items.append(Fixture.item(secretName, secretBytes, root: "secret"))
        }
        let text = isVictim ? Self.nearText : "Ein anderer Text der Angreifer, über etwas anderes."
        let signature = try #require(ShingleReader.signature(of: Array(text.utf8)))
        for index in items.indices { items[index].near = NearDuplicateWrite(signature: signature, reportsFrom: nil) }
        let written = try await store.write(items, run: run, tenant: tenant)
        let documents = Array(Set(written.compactMap(\.document)))
        try await store.finishRun(run, status: .succeeded, totals: .object([]), tenant: tenant)
        _ = try await store.deleteSources(["old"], in: nil, tenant: tenant, run: nil)
        let gone = try #require(written[4].document)
        let order = HardDeletionOrder(documents: [gone], reason: "reason", ticketReference: "T-1", actor: "test")
        _ = try await store.hardDelete(order, tenant: tenant)

        let apiKey = Fixture.id()
        let digest = Fixture.hash(tenant.key)
        try await store.insertAPIKey(apiKey, digest: digest, label: "key", lifetimeDays: nil, tenant: tenant)
        let (answered, claim) = try await requests(store, tenant, isVictim: isVictim, document: documents[0])
        let queued = Fixture.id()
        try await store.enqueue(
            RunSubmission(run: RunRecord(id: queued, kind: "upload", status: .queued)),
            tenant: tenant
        )
        let open = IdempotencyClaim(route: "r", key: "open", requestHash: digest, owner: Fixture.id())
        _ = try await store.claimIdempotencyKey(open, for: .seconds(600), tenant: tenant)
        let own = Fixture.axis(isVictim ? 2 : 3)
        try await store.cacheVectors([(sharedText, own)], in: cache, tenant: tenant)
        if isVictim {
            let secrets = [(secretText, own), (Fixture.hash("cached, empty"), UnitVector.empty)]
            for space in [cache, secretCache] { try await store.cacheVectors(secrets, in: space, tenant: tenant) }
        }
        let part = try await batch(store, tenant, isVictim: isVictim)
        let stored = try await standby(store, tenant, run: run)
        return IsolationRows(
            tenant: tenant,
            run: run,
            claim: claim,
            queued: queued,
            part: part,
            documents: documents.filter { $0 != gone },
            stored: stored,
            apiKey: apiKey,
            answered: answered,
            open: open
        )
    }

    /// The text that the victim's documents are nearly the same as.
    static let nearText = "Der geheime Bericht der Leitung über den Umbau der Halle sieben im nächsten Jahr."

    /// A batch of two parts, one of which is being worked on.
    private static func batch(_ store: Store, _ tenant: Tenant, isVictim: Bool) async throws -> (RowID, PartLease) {
        let record = RunRecord(id: Fixture.id(), kind: "ingest")
        let role = try await store.joinBatch(record, worker: "w", lease: .seconds(600), tenant: tenant)
        guard case .coordinator(let batch, _) = role else { throw KelterError(.internalError, "no coordinator") }
        let entry = JSONValue.object([("path", .string(isVictim ? secretName : "x"))])
        try await store.addParts([[entry], [entry]], to: batch)
        let stamp = FileStamp(
            path: isVictim ? secretName : "x",
            stamp: "1",
            hash: Fixture.hash(tenant.key),
            bytes: 1,
            sidecar: isVictim ? .object([("secret", .string(secretName))]) : nil
        )
        try await store.recordStamps([stamp], root: isVictim ? "secret" : "r", tenant: tenant)
        let part = try await store.claimPart(of: record.id, worker: "w", lease: .seconds(600), tenant: tenant)
        return (record.id, try #require(part).lease)
    }

    /// An upload that was accepted under an idempotency key and is being worked on.
    private static func requests(
        _ store: Store,
        _ tenant: Tenant,
        isVictim: Bool,
        document: RowID
    ) async throws -> (IdempotentReply, ClaimedRun) {
        let request = IdempotencyClaim(
            route: "r",
            key: isVictim ? "secret-key" : "key",
            requestHash: Fixture.hash(tenant.key),
            owner: Fixture.id()
        )
        _ = try await store.claimIdempotencyKey(request, for: .seconds(60), tenant: tenant)
        let reply = IdempotentReply(claim: request, status: 202, body: [1])
        let upload = UploadRecord(
            document: document,
            caseID: try CaseID("case"),
            externalID: "x",
            fileName: "x.txt",
            contentPath: tenant.key + "/x",
            metadataPath: tenant.key + "/x.json",
            bytes: 1,
            hash: Fixture.hash("1")
        )
        let run = RunRecord(id: Fixture.id(), kind: "upload", status: .queued)
        try await store.enqueue(RunSubmission(run: run, uploads: [upload]), completing: reply, tenant: tenant)
        let claim = try await store.claimRun(of: [tenant], worker: "w", lease: .seconds(600))
        return (reply, try #require(claim))
    }

    /// Fills the space that stands by, but for the chunk without a vector.
    private static func standby(_ store: Store, _ tenant: Tenant, run: RowID) async throws -> StoredDocument {
        let found = try await store.documentsToEmbed(
            DocumentSelection(),
            target: .standby(dimension: 8),
            run: Fixture.id(),
            after: nil,
            limit: 100,
            tenant: tenant
        ).filter { $0.externalID != "words" }
        let recomputed = found.map { document in
            RecomputedDocument(
                document: document,
                vectors: document.chunks.map { _ in Fixture.axis(7) },
                inputHashes: document.chunks.map { Fixture.hash("passage: " + $0.text) }
            )
        }
        let target = EmbeddingTarget.standby(dimension: 8)
        let skipped = try await store.storeVectors(recomputed, target: target, run: run, tenant: tenant)
        #expect(skipped.isEmpty)
        return try #require(found.first { $0.externalID == "x" })
    }
}
