/// The memory and the parallel workers of an index build.
struct IndexResources: Sendable, Equatable {
    /// What the build is estimated to need, in bytes.
    let needed: Int
    /// The `maintenance_work_mem` to set, in bytes.
    let memory: Int
    /// The `max_parallel_maintenance_workers` to set.
    let workers: Int

    private static let mebibyte = 1 << 20
    /// Below this PostgreSQL plans no parallel build at all: 32 MB for each of two processes.
    private static let leastMemory = 64 * mebibyte

    /// Chooses within what the server has.
    ///
    /// The memory of a server's machine cannot be asked for by SQL, so that without a limit from the caller the
    /// server's own setting counts; `shared_buffers` of 1 GiB or more tell a machine on which 1 GiB does no harm.
    static func choose(
        _ kind: VectorIndexKind,
        rows: Int,
        indexing: VectorIndexing,
        request: IndexRequest,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> IndexResources {
        let server = try connection.query(
            """
            SELECT pg_size_bytes(current_setting('maintenance_work_mem')),
                pg_size_bytes(current_setting('shared_buffers')),
                current_setting('max_parallel_maintenance_workers')::int,
                least(current_setting('max_parallel_workers')::int, current_setting('max_worker_processes')::int)
            """
        )
        let gibibyte = 1 << 30
        let present = server.int(0, 0) ?? leastMemory
        let own = (server.int(0, 1) ?? 0) >= gibibyte ? max(present, gibibyte) : present
        let needed = needed(kind, rows: rows, indexing: indexing)
        let setting = server.int(0, 2) ?? 0
        // 0 is an administrator's decision against parallel builds, often because of a small /dev/shm.
        let workers = request.workers ?? (setting == 0 ? 0 : max(setting, 4))
        return IndexResources(
            needed: needed,
            memory: max(min(max(needed, leastMemory), request.memoryLimit ?? own), mebibyte),
            workers: max(0, min(workers, server.int(0, 3) ?? 0))
        )
    }

    /// The memory a build needs to run at its full speed (HNSW), or at all (IVFFLAT).
    ///
    /// HNSW holds the graph: for each row its vector, 2 m links of 16 bytes on the lowest layer, and about 250 bytes
    /// for the element and its upper layers. Measured with pgvector 0.8 and 64 dimensions: 971 bytes a row for m = 16,
    /// 1,482 for m = 32, 1,737 for m = 40; the formula gives 1,024, 1,536 and 1,792.
    ///
    /// IVFFLAT learns the centres from 50 vectors a list, at least 10,000, with the distances between all samples and
    /// all centres and between the centres: the sum in `ElkanKmeans` of pgvector's `ivfkmeans.c`, which refuses to
    /// begin with less. Centres of half-precision vectors are added up in float32.
    static func needed(_ kind: VectorIndexKind, rows: Int, indexing: VectorIndexing) -> Int {
        let slack = 8 * mebibyte
        switch kind {
        case .hnsw(let m, _):
            return rows * (indexing.indexedBytes + 32 * m + 256) + slack
        case .ivfflat(let lists):
            let lists = lists ?? 1
            let vector = indexing.indexedBytes + 8
            let sums = indexing.isHalf ? 4 * indexing.dimension * lists : 0
            let most = max(50 * lists, 10_000)
            let samples = min(most, rows)
            let distances = samples > lists ? 4 * samples * lists + 4 * lists * lists : 0
            return most * vector + 2 * lists * vector + sums + distances + 8 * samples + 12 * lists + slack
        }
    }
}
