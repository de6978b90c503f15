import KelterModel

extension IndexRebuild {
    /// Drops what earlier rebuilds left: unfinished indexes, and finished ones under a name that never serves.
    ///
    /// A finished one is kept as long as it is the only index that searches have, and replaced like any other.
    ///
    /// - Returns: The names of what was dropped.
    func removeLeftOvers(on connection: isolated Connection) throws(DatabaseFailure) -> [String] {
        let present = try VectorIndex.list(schema, on: connection)
        var kept: VectorIndex?
        if !present.contains(where: { !$0.isLeftOver }) { kept = present.last { $0.isValid } }
        var removed: [String] = []
        for index in present where index.isLeftOver && index.name != kept?.name {
            try drop(index.quotedName, on: connection)
            removed.append(index.name)
        }
        if let kept, kept.name == request.kind.buildingName {
            let retired = VectorIndexKind.retiredName(of: request.kind.servingName)
            try connection.run("ALTER INDEX \(schema).\(kept.quotedName) RENAME TO \(retired)")
        }
        return removed
    }

    /// Creates the index under its building name.
    ///
    /// - Returns: The parallel workers it was allowed.
    func build(
        _ kind: VectorIndexKind,
        _ operatorClass: OperatorClass,
        _ resources: IndexResources,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> Int {
        let parameters = kind.parameters.map { "\($0.name) = \($0.value)" }.joined(separator: ", ")
        let statement = """
            CREATE INDEX CONCURRENTLY \(kind.buildingName) ON \(table)
            USING \(kind.method) (\(indexing.operand("embedding")) \(operatorClass.qualifiedName)) WITH (\(parameters))
            """
        try connection.run("SET maintenance_work_mem TO '\(resources.memory >> 10)kB'")
        try connection.run("SET max_parallel_maintenance_workers TO \(resources.workers)")
        do throws(DatabaseFailure) {
            try connection.run(statement)
            return resources.workers
        } catch {
            guard case .server(let state, let message) = error else { throw error }
            if state == "54000" { throw .finding(tooLittleMemory(kind, message)) }
            // A parallel build keeps its memory in /dev/shm, which is small in many containers.
            guard ["53100", "53200"].contains(state), resources.workers > 0 else { throw error }
        }
        try drop(kind.buildingName, on: connection)
        try connection.run("SET max_parallel_maintenance_workers TO 0")
        try connection.run(statement)
        return 0
    }

    private func tooLittleMemory(_ kind: VectorIndexKind, _ message: String) -> KelterError {
        KelterError(
            .settingInvalid,
            "The \(kind.label) index of \(scope) cannot be built with this much memory (\(message)).",
            subject: "RAG_MAINTENANCE_MEMORY",
            fix: "Raise RAG_MAINTENANCE_MEMORY, or lower RAG_IVF_LISTS."
        )
    }

    /// Gives the new index the serving name, and retires whatever has one; all of it or nothing.
    ///
    /// Renaming takes no lock that searches or writers wait for.
    ///
    /// - Returns: The indexes that served until now.
    func swap(_ kind: VectorIndexKind, on connection: isolated Connection) throws(DatabaseFailure) -> [VectorIndex] {
        let old = try VectorIndex.list(schema, on: connection).filter { $0.name != kind.buildingName }
        var script = ["BEGIN", "SET LOCAL lock_timeout TO '2s'"]
        for index in old where VectorIndexKind.servingNames.contains(index.name) {
            let retired = VectorIndexKind.retiredName(of: index.name)
            script.append("ALTER INDEX \(schema).\(index.quotedName) RENAME TO \(retired)")
        }
        script.append("ALTER INDEX \(schema).\(kind.buildingName) RENAME TO \(kind.servingName)")
        script.append("COMMIT")
        var attempt = 1
        while true {
            do throws(DatabaseFailure) {
                try connection.run(script.joined(separator: "; "))
                return old
            } catch {
                guard error.isTransient, attempt < 5 else { throw error }
                try connection.run("ROLLBACK")
                attempt += 1
            }
        }
    }

    /// Drops an index without a lock that searches or writers wait for.
    func drop(_ name: String, on connection: isolated Connection) throws(DatabaseFailure) {
        try connection.run("DROP INDEX CONCURRENTLY IF EXISTS \(schema).\(name)")
    }

    /// Drops the new index after a failure, also for a cancelled task.
    ///
    /// The drop waits for other sessions' transactions; what does not end soon is left to the next rebuild.
    func discard(_ name: String, on connection: isolated Connection) {
        connection.rollBack()
        guard connection.isUsable else { return }
        _ = try? connection.run("SET statement_timeout TO '10s'")
        _ = try? drop(name, on: connection)
    }
}
