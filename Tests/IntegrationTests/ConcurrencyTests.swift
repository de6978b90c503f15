import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Writers, readers and failures at the same time")
struct ConcurrencyTests {
    private let tenant = Fixture.tenant

    @Test("eight writers of overlapping groups lose nothing and double nothing")
    func writers() async throws {
        try await TemporaryDatabase.with(poolSize: 8) { database in
            let store = database.store
            // 40 names over 30 contents: the same bytes under several names, in every writer's own order.
            let names = (0..<40).map { ("n\($0)", "b\($0 % 30)") }
            let outcomes = try await withThrowingTaskGroup(of: [Outcome].self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        let start = writer * 5
                        let own = (names[start...] + names[..<start]).map { Fixture.item($0.0, $0.1) }
                        var outcomes: [Outcome] = []
                        for position in stride(from: 0, to: own.count, by: 8) {
                            let part = Array(own[position..<(position + 8)])
                            outcomes += try await store.write(part, run: nil, tenant: tenant).map(\.outcome)
                        }
                        return outcomes
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes.count == 320)
            #expect(outcomes.count { $0 == .inserted } == 30)
            #expect(outcomes.allSatisfy { [.inserted, .duplicate, .unchanged].contains($0) })
            #expect(try await store.count("SELECT count(*) FROM rag.documents") == 30)
            #expect(try await store.count("SELECT count(*) FROM rag.sources") == 40)
            #expect(try await store.count("SELECT count(*) FROM rag.embeddings") == 60)
            #expect(try await store.violations() == [])
        }
    }

    @Test("writers that change the same names over and over end with the last bytes of one of them, whole")
    func rewriters() async throws {
        try await TemporaryDatabase.with(poolSize: 4) { database in
            let store = database.store
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        var generator = SeededGenerator(seed: UInt64(writer + 1))
                        for _ in 0..<12 {
                            let names = (0..<5).map { "n\($0)" }.shuffled(using: &generator)
                            let items = names.map { Fixture.item($0, "b\(Int.random(in: 0..<6, using: &generator))") }
                            let results = try await store.write(items, run: nil, tenant: tenant)
                            #expect(results.allSatisfy { $0.error == nil })
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.count("SELECT count(*) FROM rag.sources") == 5)
            #expect(try await store.violations() == [])
            // Every document holds the chunks of its own bytes.
            let strays = try await store.count(
                """
                SELECT count(*) FROM (SELECT d.hash, split_part(c.text, ' ', 1) AS bytes FROM rag.documents d
                    JOIN rag.chunks c ON c.document_id = d.id GROUP BY 1, 2) s
                GROUP BY hash HAVING count(*) > 1
                """
            )
            #expect(strays == nil)
        }
    }

    @Test("any sequence of groups ends like the same items written one by one", arguments: 1...6)
    func groupingDoesNotMatter(seed: UInt64) async throws {
        try await TemporaryDatabase.with { database in
            var generator = SeededGenerator(seed: seed)
            let (together, alone) = (Fixture.tenant("together"), Fixture.tenant("alone"))
            for _ in 0..<12 {
                let group = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                    Fixture.item(
                        "n\(Int.random(in: 0..<5, using: &generator))",
                        "b\(Int.random(in: 0..<5, using: &generator))",
                        metadata: "m\(Int.random(in: 0..<2, using: &generator))"
                    )
                }
                let one = try await database.store.write(group, run: nil, tenant: together)
                var other: [WriteResult] = []
                for item in group {
                    var item = item
                    item.newDocumentID = Fixture.id()
                    other += try await database.store.write([item], run: nil, tenant: alone)
                }
                #expect(one.map(\.outcome) == other.map(\.outcome))
                if Bool.random(using: &generator) {
                    for tenant in [together, alone] {
                        _ = try await database.store.deleteSources(["n0", "n3"], in: nil, tenant: tenant, run: nil)
                    }
                }
            }
            func rows(_ tenant: Tenant) async throws -> [[String?]] {
                try await database.store.rows(
                    """
                    SELECT d.external_id, d.hash, d.metadata_hash, d.deleted_at IS NULL,
                        (SELECT string_agg(s.external_id, ',' ORDER BY s.external_id)
                            FROM rag.sources s WHERE s.document_id = d.id),
                        (SELECT string_agg(c.text, ',' ORDER BY c.ordinal) FROM rag.chunks c WHERE c.document_id = d.id)
                    FROM rag.documents d WHERE d.tenant_id = '\(tenant.rowID)' ORDER BY 1, 2
                    """
                )
            }
            let (left, right) = (try await rows(together), try await rows(alone))
            #expect(left == right)
            #expect(try await database.store.violations() == [])
        }
    }

    @Test("a reader sees the old generation or the new one, never a mixture or a gap")
    func atomicFlip() async throws {
        try await TemporaryDatabase.with { database in
            let (reader, writer) = (try database.store(), database.store)
            func content(_ generation: Int) -> [StoredChunk] {
                (0..<20).map { Fixture.chunk($0, "generation \(generation) part \($0)") }
            }
            _ = try await writer.write([Fixture.item("a", "0", content: content(0))], run: nil, tenant: tenant)
            let reading = Task {
                var seen: Set<[String?]> = []
                while !Task.isCancelled {
                    let rows = try await reader.rows(
                        """
                        SELECT count(*), count(e.chunk_id), count(DISTINCT split_part(c.text, ' ', 2))
                        FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
                        LEFT JOIN rag.embeddings e ON e.chunk_id = c.id WHERE d.external_id = 'a'
                        """
                    )
                    seen.formUnion(rows)
                }
                return seen
            }
            for generation in 1...30 {
                let item = Fixture.item("a", "\(generation)", content: content(generation))
                _ = try await writer.write([item], run: nil, tenant: tenant)
            }
            reading.cancel()
            let seen: Set<[String?]>
            do {
                seen = try await reading.value
            } catch let error as KelterError where error.code == .interrupted {
                seen = [["20", "20", "1"]]
            }
            #expect(seen == [["20", "20", "1"]])
            await reader.close()
        }
    }

    @Test("sessions ended by an administrator cost a retry, not a document")
    func terminatedSessions() async throws {
        try await TemporaryDatabase.with(poolSize: 2) { database in
            let administrator = try database.store()
            let killing = Task {
                for _ in 0..<12 {
                    _ = try await administrator.count(
                        """
                        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()
                        """
                    )
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            var stored = 0
            for index in 0..<60 {
                let item = Fixture.item("n\(index)", "b\(index)")
                // A store whose every attempt met the end of its session reports it; the caller repeats the call.
                while true {
                    do {
                        let result = try await database.store.write([item], run: nil, tenant: tenant)
                        #expect(result.map(\.outcome) == [.inserted])
                        stored += 1
                        break
                    } catch let error as KelterError {
                        #expect(error.code == .databaseUnavailable)
                    }
                }
            }
            killing.cancel()
            _ = await killing.result
            #expect(stored == 60)
            #expect(try await database.store.count("SELECT count(*) FROM rag.documents") == 60)
            #expect(try await database.store.violations() == [])
            await administrator.close()
        }
    }

    @Test("a cancelled task ends its statement at once and leaves a usable connection")
    func cancellation() async throws {
        try await TemporaryDatabase.with(poolSize: 1) { database in
            let store = database.store
            let started = ContinuousClock.now
            let sleeping = Task { try await store.runScript("SELECT pg_sleep(30)") }
            let administrator = try database.store()
            try await waitUntil("the statement runs") {
                try await administrator.count(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                ) != 0
            }
            sleeping.cancel()
            let error = await #expect(throws: KelterError.self) { try await sleeping.value }
            #expect(error?.code == .interrupted)
            #expect(started.duration(to: .now) < .seconds(29))
            #expect(try await store.count("SELECT 1") == 1)
            await administrator.close()
        }
    }

    @Test("a task that waits for a connection can be cancelled")
    func cancelledWaiter() async throws {
        try await TemporaryDatabase.with(poolSize: 1) { database in
            let store = database.store
            let holder = Task { try await store.runScript("SELECT pg_sleep(30)") }
            let waiter = Task { try await store.runScript("SELECT 1") }
            waiter.cancel()
            holder.cancel()
            let error = await #expect(throws: KelterError.self) { try await waiter.value }
            #expect(error?.code == .interrupted)
            _ = await holder.result
            let answer = try await store.count("SELECT 1")
            #expect(answer == 1)
        }
    }

    @Test("a statement that takes too long names the setting")
    func statementTimeout() async throws {
        try await TemporaryDatabase.with { database in
            var configuration = database.store.configuration
            configuration.statementTimeout = .milliseconds(50)
            let impatient = try Store(configuration: configuration)
            let error = await #expect(throws: KelterError.self) { try await impatient.runScript("SELECT pg_sleep(5)") }
            #expect(error?.subject == "RAG_STATEMENT_TIMEOUT_MS")
            await impatient.close()
        }
    }

    @Test(
        "a database that cannot be reached is named, its password is not",
        arguments: [
            "postgresql://kelter:geheim@127.0.0.1:1/rag", "postgresql://kelter:geheim@/rag?host=/nonexistent",
        ]
    )
    func unreachable(url: String) async throws {
        let store = try Store(
            configuration: StoreConfiguration(url: url, dimension: 8, retryBaseDelay: .milliseconds(1))
        )
        let error = await #expect(throws: KelterError.self) { try await store.serverInfo() }
        #expect(error?.code == .databaseUnavailable && error?.subject == "RAG_DATABASE_URL")
        #expect(error?.detail.contains("rag") == true && error?.detail.contains("geheim") == false)
        await store.close()
    }

    @Test("a connection string that is none is refused without being quoted")
    func malformed() {
        let error = #expect(throws: KelterError.self) {
            try Store(configuration: StoreConfiguration(url: "postgres//kelter:geheim@host/rag", dimension: 8))
        }
        #expect(error?.code == .settingInvalid && error?.detail.contains("geheim") == false)
    }
}

/// SplitMix64 (https://prng.di.unimi.it/splitmix64.c): the same sequence for a seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
