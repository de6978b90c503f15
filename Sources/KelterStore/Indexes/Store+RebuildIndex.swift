package import KelterModel

extension Store {
    /// Builds the vector index anew beside the one that serves, verifies it, swaps the names and drops what it
    /// replaces.
    ///
    /// Searches and writes go on all the time: nothing takes a lock that they wait for. A rebuild that ends early
    /// leaves the old index serving; what it leaves besides is removed here, at the latest by the next rebuild. One
    /// rebuild at a time runs in a schema. It uses one connection throughout, and another one now and then to read the
    /// progress.
    ///
    /// - Parameters:
    ///   - request: What to build and what to use for it.
    ///   - progress: Called at each step, and twice a second during the build, from any thread.
    /// - Returns: What was done.
    /// - Throws: ``KelterError``: ``ErrorCode/maintenanceBusy`` beside another rebuild,
    ///   ``ErrorCode/indexOperatorMissing``, ``ErrorCode/indexNotVerified`` when the new index finds too little,
    ///   ``ErrorCode/settingInvalid``, ``ErrorCode/schemaMissing``, ``ErrorCode/interrupted`` and others.
    package func rebuildVectorIndex(
        _ request: IndexRequest,
        progress: @escaping @Sendable (IndexProgress) -> Void = { _ in }
    ) async throws(KelterError) -> IndexReport {
        try request.kind.validate()
        try await verifySchema()
        let rebuild = IndexRebuild(
            schema: schema,
            dimension: configuration.dimension,
            request: request,
            progress: progress
        )
        return try await reporting { () async throws(DatabaseFailure) in
            async let _: Void = watchBuild(progress)
            // Not repeated after a lost connection, as other calls are: hours of building are the user's to repeat.
            let result = await pool.withConnection { connection throws(DatabaseFailure) in
                try rebuild.run(on: connection)
            }
            return try result.get()
        }
    }

    /// Tells the progress of the build on the embeddings until the task is cancelled.
    private func watchBuild(_ progress: @Sendable (IndexProgress) -> Void) async {
        let table = "\(schema).embeddings"
        while true {
            do {
                try await Task.sleep(for: .milliseconds(500))
                let current = try await session { connection throws(DatabaseFailure) in
                    let rows = try connection.query(
                        """
                        SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total
                        FROM pg_stat_progress_create_index
                        WHERE relid = to_regclass($1) AND datname = current_database()
                        """,
                        [.text(table)]
                    )
                    return rows.text(0, 0).map { phase in
                        IndexProgress(
                            phase: phase,
                            tuplesDone: rows.int(0, 1) ?? 0,
                            tuplesTotal: rows.int(0, 2) ?? 0,
                            blocksDone: rows.int(0, 3) ?? 0,
                            blocksTotal: rows.int(0, 4) ?? 0
                        )
                    }
                }
                if let current { progress(current) }
            } catch {
                // Progress that cannot be read must not end the build.
                if Task.isCancelled { return }
            }
        }
    }
}
