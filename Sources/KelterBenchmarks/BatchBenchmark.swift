import Glibc
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport

/// `kelter-bench batch [FILES [MB]]`, a night in short.
///
/// A batch over an endpoint that answers one request in twenty with 429, 500 or a cut body, killed twice and through a restart
/// of the database server, and resumed to its end.
///
/// What is stored is held against a batch of the same files that nothing disturbs. No vector index is in place.
struct BatchBenchmark {
    let files: Int
    /// The size of one text among them; 0 for none.
    let megabytes: Int
    let directory: String
    /// The `kelter` binary.
    let binary: String

    /// When something happens: as soon as this share of the files is stored.
    private enum Event {
        case kill(at: Double)
        case restart(at: Double)
    }

    private struct Course {
        var report: JSONValue = .null
        var seconds = 0.0
        /// Mebibytes resident, one value a second, of all processes one after the other.
        var memory: [Int] = []
        var processes = 0
    }

    func run() async throws {
        mkdir(directory, 0o755)
        for name in ["corpus", "server"] { mkdir("\(directory)/\(name)", 0o755) }
        var corpus = Corpus(files: files, sizes: 1024...8192)
        var bytes = try corpus.write(to: directory + "/corpus")
        if megabytes > 0 { bytes += try corpus.write(megabytes * 1_000_000, to: directory + "/corpus/large.txt") }
        print("\(files) files\(megabytes > 0 ? " and a large one" : ""), \(bytes / 1_000_000) MB")
        var dumps: [String] = []
        for events in [[], [Event.kill(at: 0.2), .restart(at: 0.45), .kill(at: 0.7)]] {
            let (course, dump) = try await measured(events)
            dumps.append(dump)
            let outcomes = (course.report["outcomes"]?.members ?? []).filter { $0.value.int ?? 0 > 0 }.map {
                "\($0.value.int ?? 0) \($0.name)"
            }
            print(
                "\(events.isEmpty ? "undisturbed" : "disturbed"): \(outcomes.joined(separator: ", ")) of "
                    + "\(course.report["found"]?.int ?? 0), balanced \(course.report["balanced"]?.bool == true), "
                    + "\(course.processes) processes, \(Int(course.seconds)) s"
            )
            print(
                "  chunks \(course.report["chunks"]?.int ?? 0), requests \(course.report["embedding_requests"]?.int ?? 0), "
                    + "retries \(course.report["endpoint"]?[0]?["retries"]?.int ?? 0), "
                    + "throttles \(course.report["endpoint"]?[0]?["throttles"]?.int ?? 0) (of the last process)"
            )
            let memory = course.memory
            let curve = stride(from: 0, to: memory.count, by: max(1, memory.count / 12)).map { "\(memory[$0])" }
            print("  MB resident, peak \(memory.max() ?? 0): \(curve.joined(separator: " "))")
        }
        print("rows \(dumps[0] == dumps[1] ? "are the same" : "DIFFER"): \(dumps[1])")
    }

    private func measured(_ events: [Event]) async throws -> (Course, String) {
        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        options.latency = .milliseconds(20)
        options.script = .fraction(
            0.05,
            seed: 7,
            of: [.status(429, headers: [("Retry-After", "1")]), .status(500), .cutJSON(after: 200)]
        )
        let endpoint = try FaultInjectingEndpoint(dimension: 384, options: options)
        defer { endpoint.stop() }
        var server = try await GuardedServer.start(in: directory + "/server", removesDirectory: false)
        let result = try await TemporaryDatabase.with(server: server.url, dimension: 384) { database in
            try await database.store.runScript("DROP INDEX rag.embeddings_embedding_hnsw")
            let environment = [
                "RAG_DATABASE_URL": database.url, "LITELLM_BASE_URL": endpoint.baseURL,
                "KELTER_HOME": directory + "/home", "KELTER_PARTS": TestServer.partsDirectory,
                "RAG_STATEMENT_TIMEOUT_MS": "600000",
            ]
            let course = try await course(events, environment, database, &server)
            let dump = try await database.store.rows(
                """
                SELECT count(DISTINCT d.id), count(c.id), count(e.chunk_id),
                    md5(string_agg(md5(concat_ws('|', d.external_id, d.hash, c.ordinal, c.text, e.embedding::text)), ''
                        ORDER BY d.external_id, c.ordinal))
                FROM rag.documents d LEFT JOIN rag.chunks c ON c.document_id = d.id
                LEFT JOIN rag.embeddings e ON e.chunk_id = c.id WHERE d.deleted_at IS NULL
                """
            )
            return (course, dump[0].map { $0 ?? "" }.joined(separator: " "))
        }
        try await server.stop()
        return result
    }

    private func course(
        _ events: [Event],
        _ environment: [String: String],
        _ database: TemporaryDatabase,
        _ server: inout GuardedServer
    ) async throws -> Course {
        var course = Course()
        var left = events[...]
        let start = ContinuousClock.now
        while course.report == .null {
            let run = try await database.store.rows("SELECT id FROM rag.runs").first?.first ?? nil
            let arguments = run.map { ["--resume", $0] } ?? [directory + "/corpus"]
            let output = directory + "/output.json"
            let descriptor = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            let pid = try ChildProcess.spawn(
                [binary, "ingest", "--json"] + arguments,
                environment: ChildProcess.cleanEnvironment + environment.map { "\($0)=\($1)" },
                input: STDIN_FILENO,
                output: descriptor,
                error: STDERR_FILENO
            )
            close(descriptor)
            course.processes += 1
            var status: Int32?
            while status == nil {
                try await Task.sleep(for: .seconds(1))
                status = ChildProcess.endedStatus(of: pid)
                if let resident = Self.resident(pid) { course.memory.append(resident) }
                guard status == nil, let next = left.first else { continue }
                let rows = try await database.store.rows("SELECT count(*) FROM rag.documents")
                let stored = rows[0][0].flatMap { Int($0) } ?? 0
                switch next {
                case .kill(let share) where Double(stored) >= share * Double(files):
                    kill(pid, SIGKILL)
                    left = left.dropFirst()
                case .restart(let share) where Double(stored) >= share * Double(files):
                    try await server.stop()
                    server = try await GuardedServer.start(in: directory + "/server", removesDirectory: false)
                    left = left.dropFirst()
                default: break
                }
            }
            if status != 128 + SIGKILL { course.report = try JSONReader.read(try readText(output)) }
        }
        let time = ContinuousClock.now - start
        course.seconds = Double(time.components.seconds)
        return course
    }

    private func readText(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var slice = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = slice.withUnsafeMutableBytes({ read(descriptor, $0.baseAddress, $0.count) }), count > 0 {
            bytes += slice[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Mebibytes in memory, from `/proc/PID/statm`: proc_pid_statm(5).
    private static func resident(_ pid: pid_t) -> Int? {
        let descriptor = open("/proc/\(pid)/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        let fields = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]).map { ($0 * Int(sysconf(Int32(_SC_PAGESIZE)))) >> 20 } : nil
    }
}
