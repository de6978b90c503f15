import KelterModel

/// Rebuilds the vector index on one connection.
struct IndexRebuild: Sendable {
    let schema: SQLIdentifier
    let dimension: Int
    let request: IndexRequest
    let progress: @Sendable (IndexProgress) -> Void

    /// How many nearest vectors the verification compares.
    static let neighbours = 10

    var scope: String { "\(schema.name).embeddings" }
    var table: String { "\(schema).embeddings" }
    var indexing: VectorIndexing { VectorIndexing(dimension: dimension) }

    /// Takes the lock, rebuilds, and ends the session with all its settings.
    func run(on connection: isolated Connection) throws(DatabaseFailure) -> IndexReport {
        try lock(connection)
        defer {
            // The server ends a closed session a moment later; whoever comes next must not find the lock taken.
            connection.rollBack()
            _ = try? connection.query("SELECT pg_advisory_unlock($1)", [.int(lockKey)])
            connection.close()
        }
        do throws(DatabaseFailure) {
            return try rebuild(on: connection)
        } catch {
            guard case .connection(let reason) = error else { throw error }
            throw .finding(
                KelterError(
                    .databaseUnavailable,
                    "The session that built the vector index of \(scope) ended: \(reason).",
                    subject: "RAG_DATABASE_URL",
                    fix: "Repeat the command: it removes what is unfinished. The index that was there goes on serving."
                )
            )
        }
    }

    private func rebuild(on connection: isolated Connection) throws(DatabaseFailure) -> IndexReport {
        let start = ContinuousClock.now
        try prepareSession(connection)
        try indexing.requireVersion(on: connection)
        let operatorClass = try OperatorClass.find(
            method: request.kind.method,
            indexing: indexing,
            allowsFallback: request.allowsFallback,
            on: connection
        )
        progress(IndexProgress(phase: "removing left-overs"))
        let leftOvers = try removeLeftOvers(on: connection)
        let estimate = try estimatedRows(on: connection)
        let kind = request.kind.resolved(rows: estimate)
        let resources = try IndexResources.choose(
            kind,
            rows: estimate,
            indexing: indexing,
            request: request,
            on: connection
        )
        let built: (workers: Int, rows: Int, verification: IndexVerification, replaced: [VectorIndex])
        do throws(DatabaseFailure) {
            let workers = try build(kind, operatorClass, resources, on: connection)
            let rows = try indexedRows(kind, on: connection)
            progress(IndexProgress(phase: "verifying"))
            let verification = try verify(kind, operatorClass, on: connection)
            progress(IndexProgress(phase: "swapping"))
            built = (workers, rows, verification, try swap(kind, on: connection))
        } catch {
            discard(kind.buildingName, on: connection)
            throw error
        }
        progress(IndexProgress(phase: "dropping the old index"))
        for index in try VectorIndex.list(schema, on: connection) where index.name != kind.servingName {
            try drop(index.quotedName, on: connection)
        }
        return IndexReport(
            kind: kind,
            scope: scope,
            operatorClass: operatorClass.name,
            isFallback: operatorClass.isFallback,
            rows: built.rows,
            verification: built.verification,
            duration: .now - start,
            memory: resources.memory,
            neededMemory: resources.needed,
            workers: built.workers,
            removedLeftOvers: leftOvers,
            replaced: built.replaced.map(\.name),
            notes: notes(kind, operatorClass, resources, rows: built.rows)
        )
    }

    private func notes(
        _ kind: VectorIndexKind,
        _ operatorClass: OperatorClass,
        _ resources: IndexResources,
        rows: Int
    ) -> [String] {
        var notes: [String] = []
        if operatorClass.isFallback {
            notes.append(
                "FALLBACK: \(indexing.cosineClass) is missing, the index uses \(operatorClass.name); searches, which "
                    + "order by cosine distance, compare all vectors until it is rebuilt with \(indexing.cosineClass)."
            )
        }
        switch kind {
        case .hnsw:
            if resources.needed > resources.memory {
                notes.append(
                    "The graph needs about \(resources.needed >> 20) MB of memory and was given "
                        + "\(resources.memory >> 20) MB, which makes the build slower: raise RAG_MAINTENANCE_MEMORY."
                )
            }
        case .ivfflat:
            if rows == 0 {
                notes.append("The table is empty, so the lists are arbitrary: rebuild the index after loading vectors.")
            }
        }
        return notes
    }
}

extension IndexRebuild {
    /// Held by the building session: it goes when the session does, whatever ends it.
    private var lockKey: Int {
        var hash = FNV1a()
        hash.mix("rebuild-rag-index:\(schema.name)".utf8)
        return Int(truncatingIfNeeded: hash.value)
    }

    private func lock(_ connection: isolated Connection) throws(DatabaseFailure) {
        // A session that has just been ended may hold the lock for another moment.
        for attempt in 1...5 {
            if try connection.query("SELECT pg_try_advisory_lock($1)", [.int(lockKey)]).bool(0, 0) == true { return }
            if attempt < 5 { try connection.run("SELECT pg_sleep(0.2)") }
        }
        throw busy("Another session rebuilds the vector index of \(scope).")
    }

    private func busy(_ message: String) -> DatabaseFailure {
        .finding(
            KelterError(
                .maintenanceBusy,
                message,
                subject: scope,
                fix: "Wait until it is done; pg_stat_progress_create_index shows how far it is."
            )
        )
    }

    private func prepareSession(_ connection: isolated Connection) throws(DatabaseFailure) {
        try connection.run("SET statement_timeout TO 0; SET lock_timeout TO 0")
        do throws(DatabaseFailure) {
            // A build whose client was killed would go on for hours, with the lock. Not every system can find out.
            try connection.run("SET client_connection_check_interval TO '2s'")
        } catch {
            guard case .server = error else { throw error }
        }
        // The unfinished index of somebody else's build is not a left-over.
        let builds = try connection.query(
            "SELECT count(*) FROM pg_stat_progress_create_index "
                + "WHERE relid = to_regclass($1) AND datname = current_database()",
            [.text(table)]
        )
        if builds.int(0, 0) != 0 { throw busy("Another session builds an index on \(scope).") }
    }

    /// Counts as the server estimates after sampling the table, which row level security does not narrow.
    private func estimatedRows(on connection: isolated Connection) throws(DatabaseFailure) -> Int {
        try connection.run("ANALYZE \(table) (chunk_id)")
        return try reltuples(of: table, on: connection)
    }

    private func indexedRows(_ kind: VectorIndexKind, on connection: isolated Connection) throws(DatabaseFailure) -> Int
    {
        try reltuples(of: "\(schema).\(kind.buildingName)", on: connection)
    }

    private func reltuples(of name: String, on connection: isolated Connection) throws(DatabaseFailure) -> Int {
        let rows = try connection.query(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)",
            [.text(name)]
        )
        return rows.int(0, 0) ?? 0
    }
}
