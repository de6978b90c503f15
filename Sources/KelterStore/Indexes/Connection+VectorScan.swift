extension Connection {
    /// Sets for the transaction how thoroughly vector indexes are read, whichever kind there is.
    ///
    /// From pgvector 0.8 on, a scan goes on until enough rows pass the filters. HNSW gives them in order; IVFFLAT can
    /// only go on list by list, so that the caller sorts what it gets.
    ///
    /// - Parameters:
    ///   - efSearch: `hnsw.ef_search`.
    ///   - probes: `ivfflat.probes`.
    /// - Returns: Whether scans go on.
    /// - Throws: ``DatabaseFailure``.
    @discardableResult
    func setVectorScan(efSearch: Int, probes: Int) throws(DatabaseFailure) -> Bool {
        let rows = try query(
            """
            WITH version AS (
                SELECT string_to_array(substring(extversion FROM '^[0-9]+\\.[0-9]+'), '.')::int[] >= ARRAY[0, 8]
                    AS iterates
                FROM pg_extension WHERE extname = 'vector'
            )
            SELECT set_config('hnsw.ef_search', $1, true), set_config('ivfflat.probes', $2, true),
                CASE WHEN (SELECT iterates FROM version)
                    THEN set_config('hnsw.iterative_scan', 'strict_order', true) END,
                CASE WHEN (SELECT iterates FROM version)
                    THEN set_config('ivfflat.iterative_scan', 'relaxed_order', true) END
            """,
            [.text(String(efSearch)), .text(String(probes))]
        )
        return rows.text(0, 2) != nil
    }
}
