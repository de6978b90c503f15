import KelterModel
import KelterStore
import KelterTestSupport
import Synchronization
import Testing

@Suite("The checks of the database")
struct CheckTests {
    private static let names = [
        "pgvector-version", "pgvector-schema", "pgvector-operator-class", "schema-tables", "collections-key",
        "scope-columns", "scope-foreign-keys", "guard-indexes", "guard-null-scope", "guard-collection-scope",
        "vector-index", "invalid-indexes", "row-level-security", "roles", "connection-role", "rows-without-scope",
        "scope-consistency", "chunks-embedded", "unit-vectors",
    ]

    @Test("a healthy database of realistic size passes all of them, and its plans are the planner's own choice")
    func healthy() async throws {
        try await CheckDatabase.with { checked in
            try await checked.grow(documents: 20_000)
            let told = Mutex<[CheckResult]>([])
            let results = try await checked.app.databaseChecks(
                tenants: CheckDatabase.tenants,
                options: checked.options,
                progress: { result in told.withLock { $0.append(result) } }
            )
            #expect(told.withLock { $0 } == results)
            #expect(results.map(\.name) == Self.names)
            #expect(results.filter { $0.status != .ok || $0.fix != nil } == [])
            let details = results.reduce(into: [:]) { $0[$1.name] = $1.detail }
            #expect(details["guard-null-scope"]?.hasSuffix("null_collection_idx (10002 documents)") == true)
            #expect(details["guard-collection-scope"]?.hasSuffix("collection_hash_idx (10001 documents)") == true)
            #expect(details["rows-without-scope"] == "10004 of 20006 documents have no collection; they stay valid")
            #expect(details["unit-vectors"] == "20012 vectors, all of length 1")
            #expect(details["chunks-embedded"] == "20012 chunks of 20006 documents, each with a vector")

            var sampling = checked.options
            sampling.measuredVectors = 5000
            let sample = try await checked.app.databaseChecks(tenants: CheckDatabase.tenants, options: sampling)
            #expect(sample.last?.status == .ok)
            #expect(sample.last?.detail.contains("a sample of about 20012") == true)
            #expect(Int(sample.last?.detail.prefix { $0 != " " } ?? "").map { (1..<15_000).contains($0) } == true)

            try await checked.run("DROP INDEX rag.documents_tenant_collection_hash_idx")
            let failed = try await checked.results().filter { $0.status == .failed }
            #expect(failed.map(\.name) == ["guard-indexes", "guard-collection-scope"])
            #expect(failed.last?.detail.contains("instead of documents_tenant_collection_hash_idx (10001") == true)
            #expect(failed.last?.fix == "Run 'kelter schema apply'.")
            try await checked.database.store.applySchema()

            try await checked.run("ALTER DATABASE \(checked.database.name) SET enable_indexscan TO off")
            try await checked.run("ALTER DATABASE \(checked.database.name) SET enable_bitmapscan TO off")
            try await checked.run("ALTER DATABASE \(checked.database.name) SET enable_indexonlyscan TO off")
            let later = try Store(configuration: checked.app.configuration)
            let unused = try await later.databaseChecks(tenants: CheckDatabase.tenants, options: checked.options)
                .filter { $0.status != .ok }
            #expect(unused.map(\.name) == ["guard-null-scope", "guard-collection-scope"])
            #expect(unused.first?.detail.hasPrefix("the plan uses Seq Scan instead of documents_tenant_hash") == true)
            #expect(unused.first?.fix?.contains("ANALYZE") == true)
            await later.close()
        }
    }

    @Test("every failure is provoked, found by its check alone, and repaired by its fix", arguments: CheckDamage.all)
    func damage(damage: CheckDamage) async throws {
        try await CheckDatabase.with { checked in
            #expect(try await checked.results().filter { $0.status != .ok } == [])
            for (place, statement) in damage.statements.enumerated() {
                guard damage.lastFails, place == damage.statements.count - 1 else {
                    try await checked.run(statement)
                    continue
                }
                await #expect(throws: KelterError.self) { try await checked.run(statement) }
            }
            var results = try await checked.results()
            #expect(results.map(\.name) == Self.names)
            let failed = results.filter { $0.status == .failed }
            let warned = results.filter { $0.status == .warning }
            #expect(failed.map(\.name) == damage.failed, "\(failed)")
            #expect(warned.map(\.name) == damage.warned, "\(warned)")
            let first = try #require((failed + warned).first)
            #expect(first.detail.contains(checked.named(damage.detail)), "\(first.detail)")
            #expect(first.fix?.contains(damage.fix) == true, "\(first.fix ?? "none")")
            #expect((failed + warned).allSatisfy { $0.fix?.hasSuffix(".") == true && !$0.detail.hasSuffix(".") })
            #expect((failed + warned).allSatisfy { !$0.detail.contains("\n") })

            guard damage.isRepaired else { return }
            // A fix may uncover what the next check could not see.
            for _ in 0..<3 {
                let fixes = results.filter { $0.status == .failed }.compactMap(\.fix)
                guard try await checked.apply(fixes) else { return }
                results = try await checked.results()
            }
            #expect(results.filter { $0.status == .failed } == [])
        }
    }

    @Test("a superuser's connection is told, and sees all rows without being given the tenants")
    func superuser() async throws {
        try await CheckDatabase.with { checked in
            let results = try await checked.database.store.databaseChecks(tenants: [], options: checked.options)
            let failed = results.filter { $0.status != .ok }
            #expect(failed.map(\.name) == ["connection-role"])
            #expect(failed.first?.fix?.contains("Point RAG_DATABASE_URL at \(checked.options.roles.app)") == true)
            #expect(results.last?.detail == "12 vectors, all of length 1")
            try await checked.run("ALTER TABLE rag.runs ALTER COLUMN tenant_id DROP NOT NULL")
            try await checked.run("INSERT INTO rag.runs (id, kind, status) VALUES (gen_random_uuid(), 'k', 'queued')")
            let rows = try await checked.database.store.databaseChecks(tenants: [], options: checked.options)
            #expect(
                rows.first { $0.name == "rows-without-scope" }?.detail
                    == "tenant_id can be NULL: 1 rows of runs without a tenant"
            )
        }
    }

    @Test("rows that row level security hides are not called healthy")
    func noTenants() async throws {
        try await CheckDatabase.with { checked in
            let results = try await checked.app.databaseChecks(tenants: [], options: checked.options)
            #expect(
                results.filter { $0.status != .ok }.map(\.name)
                    == ["rows-without-scope", "scope-consistency", "chunks-embedded", "unit-vectors"]
            )
            #expect(results.allSatisfy { $0.status != .failed })
        }
    }

    @Test("the configured width and index parameters are what is expected")
    func configuration() async throws {
        try await CheckDatabase.with { checked in
            var configuration = checked.app.configuration
            configuration.dimension = 16
            let other = try Store(configuration: configuration)
            var options = checked.options
            options.hnsw = StoreSchema.HNSW(m: 32, efConstruction: 100)
            let results = try await other.databaseChecks(tenants: CheckDatabase.tenants, options: options)
            let failed = results.filter { $0.status != .ok }
            #expect(failed.map(\.name) == ["schema-tables", "vector-index"])
            #expect(failed.first?.detail == "rag.embeddings holds vectors of 8 dimensions, not 16")
            #expect(failed.first?.fix?.contains("EMBEDDINGS_DIM") == true)
            await other.close()
        }
    }

    @Test("an empty database fails check by check, and an unreachable one as a whole")
    func nothing() async throws {
        try await TemporaryDatabase.with(appliesSchema: false) { database in
            // The usual roles may be there, as roles belong to the whole server.
            let roles = RoleNames(owner: "nobody_o", app: "nobody_a", reader: "nobody_r")
            let results = try await database.store.databaseChecks(
                tenants: CheckDatabase.tenants,
                options: CheckOptions(roles: roles)
            )
            #expect(results.map(\.name) == Self.names)
            #expect(results.first { $0.name == "schema-tables" }?.fix == "Run 'kelter schema apply'.")
            #expect(
                results.first { $0.name == "guard-indexes" }?.detail.hasPrefix("cannot be checked: The tables") == true
            )
            #expect(results.filter { $0.status == .ok }.map(\.name) == ["invalid-indexes", "row-level-security"])

            var configuration = database.store.configuration
            configuration.url += "&user=nobody_of_this_name"
            let store = try Store(configuration: configuration)
            let error = await #expect(throws: KelterError.self) { try await store.databaseChecks(tenants: []) }
            #expect(error?.code == .databaseUnavailable)
            await store.close()
        }
    }
}

extension CheckDatabase {
    /// Adds documents of the first tenant, every other one in a collection, each with a chunk and its vector.
    fileprivate func grow(documents: Int) async throws {
        let tenant = Self.tenants[0].rowID
        // A vector index is built much faster than it grows.
        try await run(
            """
            DROP INDEX rag.embeddings_embedding_hnsw;
            INSERT INTO rag.documents (id, tenant_id, collection_id, external_id, hash)
                SELECT gen_random_uuid(), '\(tenant)', CASE WHEN i % 2 = 0 THEN '\(Fixture.collection(0))'::uuid END,
                    'e' || i, encode(sha256(i::text::bytea), 'hex') FROM generate_series(1, \(documents)) i;
            INSERT INTO rag.chunks (id, document_id, tenant_id, collection_id, ordinal, text)
                SELECT id, id, tenant_id, collection_id, 0, external_id FROM rag.documents WHERE external_id ~ '^e';
            INSERT INTO rag.embeddings (chunk_id, tenant_id, collection_id, embedding)
                SELECT id, tenant_id, collection_id, public.l2_normalize(
                    (SELECT array_agg(sin(i + hashtext(c.id::text))) FROM generate_series(1, 8) i)::public.vector
                ) FROM rag.chunks c WHERE id = document_id;
            """
        )
        try await database.store.applySchema()
        try await run("ANALYZE")
    }
}
