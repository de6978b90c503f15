import KelterModel
import KelterStore
import KelterTestSupport
import Testing

// One database after the other: all at once they would make the other suites wait.
/// The store's own calls, made for one tenant with the identifiers of another.
///
/// Made by the application's role, and by a superuser, whom row level security does not bind: the calls ask for the
/// tenant themselves. A lease cannot be tried: only ``Store/claimRun(of:worker:lease:)`` makes one, and the tenant is
/// part of it.
@Suite("Calls for one tenant with another's identifiers", .serialized)
struct IsolationCallTests {
    /// Who makes the calls.
    enum Caller: String, CaseIterable, Sendable { case application, superuser }

    /// Makes the calls and compares what the victim has before and after.
    private func attack(
        _ caller: Caller,
        _ body: (IsolationWorld, Store, IsolationRows, Tenant) async throws -> Void
    ) async throws {
        try await IsolationWorld.with { world in
            let store = caller == .application ? world.app : world.truth
            let before = try await world.dump()
            try await body(world, store, world.victimRows, IsolationWorld.attacker)
            #expect(try await world.dump() == before)
            #expect(try await world.crossings().isEmpty)
        }
    }

    @Test("searches and looks find nothing", arguments: Caller.allCases)
    func reading(caller: Caller) async throws {
        try await attack(caller) { world, store, theirs, us in
            let (name, bytes) = (IsolationRows.secretName, IsolationRows.secretBytes)
            let keys = [Fixture.key(name, bytes), Fixture.key(name, bytes, in: IsolationWorld.secretCollection)]
            #expect(try await store.probe(keys, tenant: us) == [.new, .new])
            var filters = theirs.documents.map { SearchFilters(documentID: $0) }
            filters += [
                SearchFilters(collections: [IsolationWorld.secretCollection]), SearchFilters(externalID: name),
                SearchFilters(hash: Fixture.hash(bytes)),
            ]
            for filter in filters {
                for visibility in SearchVisibility.allCases {
                    let request = SearchRequest(
                        vector: Fixture.axis(0).values,
                        text: bytes,
                        filters: filter,
                        visibility: visibility,
                        minSimilarity: 0
                    )
                    let result = try await store.search(request, tenant: us)
                    #expect(result.matches.isEmpty && result.deletedMatchesBlocked == 0)
                    #expect(result.vectorCandidates == 0 && result.lexicalCandidates == 0)
                }
            }
            let everything = SearchRequest(vector: Fixture.axis(0).values, text: bytes, minSimilarity: 0, topK: 1000)
            let found = try await store.search(everything, tenant: us)
            let own = Set(world.attackerRows.documents)
            #expect(!found.matches.isEmpty && found.matches.allSatisfy { own.contains($0.documentID) })

            #expect(try await store.existingDocuments(theirs.documents, tenant: us).isEmpty)
            #expect(try await store.documentCollections(theirs.documents, tenant: us).isEmpty)
            #expect(try await store.uploads(of: theirs.documents, tenant: us).isEmpty)
            let hashes = try await world.truth.inputHashes()
            for document in theirs.documents {
                #expect(try await store.vectors(of: hashes, inDocument: document, tenant: us).isEmpty)
                #expect(try await store.chunkCount(of: document, tenant: us) == 0)
            }
            #expect(try await store.sources(underRoot: "secret", tenant: us).isEmpty)
            #expect(try await store.apiKeyDigest(theirs.apiKey, tenant: us) == nil)
            #expect(try await store.apiKeys(of: us).map(\.id) == [world.attackerRows.apiKey])
            let counts = try await world.truth.rows(
                """
                SELECT (SELECT count(*) FROM rag.documents WHERE tenant_id = '\(us.rowID)'),
                    (SELECT count(*) FROM rag.runs WHERE tenant_id = '\(us.rowID)')
                """
            )
            let contents = try await store.contents(of: us)
            #expect(["\(contents.documents)", "\(contents.runs)"] == counts[0])
            #expect(contents.apiKeys == 1 && contents.activeRuns == 2)
        }
    }

    @Test("runs, the queue and idempotency keys are the tenant's own", arguments: Caller.allCases)
    func runs(caller: Caller) async throws {
        try await attack(caller) { world, store, theirs, us in
            let item = Fixture.item("new", "new")
            let recorded = RunItem(collection: nil, externalID: "x", outcome: .failed)
            for run in [theirs.run, theirs.claim.run.id, theirs.queued] {
                #expect(await store.refusal { _ = try await store.run(run, tenant: us) } == "RUN_NOT_FOUND")
                #expect(try await store.items(ofRun: run, outcomes: Outcome.allCases, tenant: us).isEmpty)
                #expect(try await store.countOutcomes(ofRun: run, tenant: us).accounted == 0)
                let record = RunRecord(id: run, kind: "ingest")
                let calls: [() async throws -> Void] = [
                    { try await store.beginRun(record, tenant: us) },
                    {
                        try await store.finishRun(run, status: .failed, totals: .object([]), tenant: us)
                    },
                    { try await store.recordItems([recorded], run: run, tenant: us) },
                    { _ = try await store.write([item], run: run, tenant: us) },
                    {
                        _ = try await store.deleteSources(["x"], in: nil, tenant: us, run: run)
                    },
                    {
                        _ = try await store.enqueue(RunSubmission(run: record), tenant: us)
                    },
                ]
                for (number, call) in calls.enumerated() {
                    #expect(await store.refusal(of: call) != nil, "call \(number)")
                }
            }
            let latest = Set(try await store.latestRuns(limit: 100, tenant: us).map(\.id))
            #expect(!latest.isEmpty && latest.isDisjoint(with: [theirs.run, theirs.claim.run.id, theirs.queued]))
            #expect(try await store.latestRun(ofCase: CaseID("secret-case"), tenant: us)?.id == nil)
            let resumed = try await store.beginOrResume(RunRecord(id: Fixture.id(), kind: "upload"), tenant: us)
            #expect(latest.contains(resumed.id))
            #expect(try await store.claimRun(of: [us], worker: "w", lease: .seconds(9))?.tenant ?? us == us)
            let rest = try await store.claimRun(of: [us], worker: "w", lease: .seconds(9))
            #expect(rest?.run.id == nil, "the victim's run still waits, but not for the attacker")
            let batch = try await store.openBatch(of: [us])
            #expect(batch?.tenant == us && batch?.run.id != theirs.run)

            // The same key of another tenant is another key.
            let answered = theirs.answered.claim
            #expect(try await store.claimIdempotencyKey(answered, for: .seconds(9), tenant: us) == .claimed)
            try await store.releaseIdempotencyKey(answered, tenant: us)
            let late = IdempotentReply(claim: theirs.open, status: 200, body: [9])
            let finish = await store.refusal {
                try await store.finishIdempotencyKey(late, tenant: us)
            }
            #expect(finish == ErrorCode.idempotencyInProgress.rawValue)
            try await store.releaseIdempotencyKey(theirs.open, tenant: us)
            try await store.removeExpiredIdempotencyKeys(of: us)
        }
    }

    @Test("the parts of batches are the tenant's own", arguments: Caller.allCases)
    func parts(caller: Caller) async throws {
        try await attack(caller) { _, store, theirs, us in
            let (batch, lease) = theirs.part
            let record = RunRecord(id: batch, kind: "ingest")
            #expect(
                await store.refusal {
                    _ = try await store.joinBatch(record, worker: "w", lease: .seconds(9), tenant: us)
                } == "RUN_NOT_FOUND"
            )
            #expect(try await store.claimPart(of: batch, worker: "w", lease: .seconds(9), tenant: us)?.lease == nil)
            #expect(try await store.renewParts([lease], of: batch, tenant: us, for: .seconds(9)) == [lease])
            try await store.releaseParts([lease], of: batch, tenant: us, countsAttempt: true)
            #expect(try await store.finishPart(lease, items: 1, of: batch, tenant: us) == false)
            #expect(try await store.partCounts(of: batch, tenant: us) == PartCounts())
            #expect(try await store.contradictions(inRun: batch, tenant: us).isEmpty)
            try await store.endLeases(of: "w", run: batch, tenant: us)
            for run in [batch, theirs.run] {
                #expect(try await store.deadLetters(of: [run], tenant: us).isEmpty)
                #expect(
                    await store.refusal { _ = try await store.dropDeadLetters(nil, of: run, tenant: us) }
                        == "RUN_NOT_FOUND"
                )
                #expect(try await store.requeueFailed(run, tenant: us) == false)
            }
            #expect(try await store.isCoordinated(batch, tenant: us) == false)
            #expect(try await store.leaseOwners(of: batch, tenant: us).isEmpty)
            #expect(try await store.addedPaths(to: batch, tenant: us).isEmpty)
            #expect(try await store.addedInputs(to: batch, tenant: us) == 0)
            #expect(try await store.unidentifiedItems(ofRun: batch, tenant: us) == 0)
            #expect(try await store.totals(ofRun: theirs.run, tenant: us).outcomes.accounted == 0)
            #expect(try await store.stamps(of: [IsolationRows.secretName], root: "secret", tenant: us).isEmpty)
            let signature = try #require(ShingleReader.signature(of: Array(IsolationRows.nearText.utf8)))
            #expect(try await store.nearDuplicate(of: signature, named: "", in: nil, threshold: 0.5, tenant: us) == nil)
            // Nor does what is written find it, or become its source.
            var like = Fixture.item("like", "like")
            like.near = NearDuplicateWrite(signature: signature, reportsFrom: 0.5)
            let written = try await store.write([like], run: nil, tenant: us)
            #expect(written.map(\.outcome) == [.inserted] && written[0].nearDuplicate == nil)
            for document in theirs.documents {
                var taken = Fixture.item("taken", "taken", hasContent: false)
                taken.nearDuplicateOf = NearDuplicate(document: document, externalID: "x", similarity: 1)
                #expect(try await store.write([taken], run: nil, tenant: us)[0].needsContent)
            }
            try await store.pruneStamps(underRoot: "secret", notIn: batch, tenant: us)
            let gone = try await store.missingSources(underRoot: "secret", run: batch, space: "rag", tenant: us)
            #expect(gone.known == 0 && gone.missing.isEmpty)
            var item = Fixture.item("new", "new")
            item.place = BatchPlace(path: "new", lease: lease)
            let results = try await store.write([item], run: batch, tenant: us)
            #expect(results.map { $0.error?.code } == [.leaseLost])
        }
    }

    @Test("documents, uploads and keys are neither replaced nor removed", arguments: Caller.allCases)
    func writing(caller: Caller) async throws {
        try await attack(caller) { _, store, theirs, us in
            for document in theirs.documents {
                var item = Fixture.item("new \(document)", "new \(document)")
                item.newDocumentID = document
                let result = try await store.write([item], run: nil, tenant: us)
                #expect(result.first?.error?.code == .storeConflict)
            }
            let removal = try await store.deleteSources(
                [IsolationRows.secretName],
                in: IsolationWorld.secretCollection,
                tenant: us,
                run: nil
            )
            #expect(removal.missing == 1 && removal.deleted == 0 && removal.unlinked == 0)
            let order = HardDeletionOrder(
                documents: theirs.documents,
                reason: "r",
                ticketReference: "T",
                actor: "attacker"
            )
            let deletion = try await store.hardDelete(order, tenant: us)
            #expect(deletion.notFound == theirs.documents && deletion.documents.isEmpty)
            #expect(deletion.chunks == 0 && deletion.embeddings == 0)
            #expect(deletion.uploads.isEmpty && deletion.runs.isEmpty)
            try await store.forgetUploads(of: theirs.documents, tenant: us)
            #expect(try await !store.revokeAPIKey(theirs.apiKey, tenant: us))
            let forged = await store.refusal {
                try await store.insertAPIKey(
                    theirs.apiKey,
                    digest: Fixture.hash("forged"),
                    label: "l",
                    lifetimeDays: nil,
                    tenant: us
                )
            }
            #expect(forged == "23505", "an identifier that is taken cannot be entered again")
        }
    }

    @Test("maintenance of one tenant leaves the other alone", arguments: Caller.allCases)
    func maintenance(caller: Caller) async throws {
        try await attack(caller) { world, store, theirs, us in
            let secret = DocumentSelection(collection: IsolationWorld.secretCollection)
            let (run, ours) = (theirs.run, world.attackerRows)
            for target in [EmbeddingTarget.current, .standby(dimension: 8)] {
                let found = try await store.documentsToEmbed(
                    secret,
                    target: target,
                    run: run,
                    after: nil,
                    limit: 9,
                    tenant: us
                )
                #expect(found.isEmpty)
                let count = try await store.countToEmbed(secret, target: target, run: run, tenant: us)
                #expect(count.documents == 0 && count.chunks == 0)
                // The victim's document, and the attacker's with the victim's chunks.
                var forged = ours.stored
                forged.chunks = theirs.stored.chunks
                let vectors = forged.chunks.indices.map { $0 == 0 ? UnitVector.empty : Fixture.axis(6) }
                let hashes = forged.chunks.map { Fixture.hash("forged " + $0.text) }
                for document in [theirs.stored, forged] {
                    let new = RecomputedDocument(document: document, vectors: vectors, inputHashes: hashes)
                    _ = await store.refusal {
                        _ = try await store.storeVectors([new], target: target, run: ours.run, tenant: us)
                    }
                }
            }
            let comparison = try await store.compareSpaces(samples: 1000, tenant: us)
            let own = try await store.contents(of: us).embeddings
            #expect(comparison.samples > 0 && comparison.samples <= own)
            #expect(try await store.normaliseVectors(after: nil, tenant: us).report == NormalisationReport())

            let rule = ScopeRule(externalIDPrefix: "secret")
            let plan = try await store.planBackfill(rule, into: IsolationWorld.secretCollection, tenant: us)
            #expect(plan.matching == 0 && plan.conflicts == 0)
            for rule in [rule, ScopeRule()] {
                let move = try await store.backfill(
                    rule,
                    into: IsolationWorld.secretCollection,
                    after: nil,
                    run: ours.run,
                    tenant: us
                )
                #expect(Set(move.moved + move.conflicts).isDisjoint(with: theirs.documents))
            }
            let undone = try await store.undoBackfill(
                of: theirs.run,
                from: IsolationWorld.secretCollection,
                after: nil,
                run: ours.run,
                tenant: us
            )
            #expect(undone.moved.isEmpty && undone.conflicts.isEmpty)
        }
    }

    @Test("the same text has each tenant's own vector, also where vectors are used again", arguments: Caller.allCases)
    func vectors(caller: Caller) async throws {
        try await attack(caller) { world, store, theirs, us in
            let name = IsolationRows.secretName
            let text = Fixture.chunk(0, IsolationRows.secretBytes + " eins", vector: Fixture.axis(4))
            let write = { (bytes: String, vector: UnitVector) in
                var chunk = text
                chunk.vector = vector
                return Fixture.item(name, bytes, content: [chunk])
            }
            let first = try await store.write([write("mine", Fixture.axis(4))], run: nil, tenant: us)
            let document = try #require(first.first?.document)
            #expect(
                try await store.vectors(of: [text.inputHash], inDocument: document, tenant: us) == [
                    text.inputHash: Fixture.axis(4).values
                ]
            )
            // The same text of the same document keeps its row and its vector; never the victim's of the same text.
            let again = try await store.write([write("mine, changed", Fixture.axis(5))], run: nil, tenant: us)
            #expect(again.map(\.outcome) == [.replaced])
            #expect(
                try await store.vectors(of: [text.inputHash], inDocument: document, tenant: us) == [
                    text.inputHash: Fixture.axis(4).values
                ]
            )
            let secret = try await world.truth.count(
                """
                SELECT count(*) FROM rag.chunks WHERE input_hash = '\\x\(text.inputHash.hex)'
                    AND tenant_id = '\(theirs.tenant.rowID)'
                """
            )
            #expect(secret == 2, "the victim has the same text, twice")
        }
    }
}
