import Glibc
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport

/// `kelter-bench [FILES]`: batches of text files against an instant endpoint, without and with the vector index in place;
/// `kelter-bench embedding [TEXTS]`: the embedding client alone; `kelter-bench batch [FILES [MB]]`: a batch that is
/// disturbed, perhaps with one large text in it; `kelter-bench parse DIRECTORY`: the parsers alone.
///
/// The first runs the release binary beside it as a process of its own, so that memory and processor time are those of
/// the product. Everything is made and removed by the benchmark itself.
@main
struct Benchmarks {
    static func main() async {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            let numbers = arguments.compactMap { Int($0) }
            let number = numbers.first
            switch arguments.first {
            case "embedding":
                try EmbeddingBenchmark(texts: max(1, number ?? 20_000)).run()
            case "parse":
                let directory = arguments.dropFirst().first ?? "Samples"
                try ParsingBenchmark(directory: directory).run()
            case "batch":
                let directory = "/tmp/kelter-bench-\(getpid())"
                defer { _ = try? ChildProcess.run(["rm", "-rf", directory]) }
                let benchmark = BatchBenchmark(
                    files: max(1, number ?? 100_000),
                    megabytes: numbers.dropFirst().first ?? 0,
                    directory: directory,
                    binary: try binary()
                )
                try await benchmark.run()
            case EmbeddingWorkers.endpointMode:
                try EmbeddingWorkers.serve(Array(arguments))
            case EmbeddingWorkers.clientMode:
                try await EmbeddingWorkers.embed(Array(arguments))
            default:
                try await run(files: number ?? 5000)
            }
        } catch {
            print("\(error)")
            exit(1)
        }
    }

    private static func run(files: Int) async throws {
        let directory = "/tmp/kelter-bench-\(getpid())"
        defer { _ = try? ChildProcess.run(["rm", "-rf", directory]) }
        mkdir(directory, 0o755)
        mkdir(directory + "/corpus", 0o755)
        var corpus = Corpus(files: files, sizes: 1024...8192)
        let bytes = try corpus.write(to: directory + "/corpus")
        print("\(files) text files, \(bytes / 1000) kB, 384 dimensions, instant endpoint, base64")
        print("case                    files/s  chunks/s  wall s  client CPU s  µs/chunk  peak MB")

        var options = FaultInjectingEndpoint.Options()
        options.recordsTexts = false
        let endpoint = try FaultInjectingEndpoint(dimension: 384, options: options)
        defer { endpoint.stop() }
        for (name, hasIndex) in [("without vector index", false), ("with vector index", true)] {
            try await TemporaryDatabase.with(dimension: 384) { database in
                if !hasIndex { try await database.store.runScript("DROP INDEX rag.embeddings_embedding_hnsw") }
                let environment = [
                    "RAG_DATABASE_URL": database.url, "LITELLM_BASE_URL": endpoint.baseURL,
                    "KELTER_HOME": directory + "/home", "KELTER_PARTS": TestServer.partsDirectory,
                    "EMBEDDINGS_BATCH_SIZE": "256",
                    "RAG_STATEMENT_TIMEOUT_MS": "600000",
                ]
                try measure(name, environment, corpus: directory + "/corpus")
                try measure(name + ", again", environment, corpus: directory + "/corpus")
            }
        }
    }

    private static func measure(_ name: String, _ environment: [String: String], corpus: String) throws {
        let process = try MeasuredProcess([try binary(), "ingest", corpus, "--json"], environment: environment)
        let report = try JSONReader.read(process.output)
        guard process.exitCode == 0, report["balanced"]?.bool == true else {
            throw KelterError(.internalError, "The batch ended with \(process.exitCode): \(process.output.prefix(400))")
        }
        let found = Double(report["found"]?.int ?? 0)
        let chunks = Double(report["chunks"]?.int ?? 0)
        let perChunk = chunks > 0 ? process.cpuSeconds / chunks * 1e6 : 0
        print(
            pad(name, 24) + number(found / process.wallSeconds, 7) + number(chunks / process.wallSeconds, 10)
                + number(process.wallSeconds, 8, digits: 2) + number(process.cpuSeconds, 14, digits: 2)
                + number(perChunk, 10) + number(Double(process.peakMemory) / 1e6, 9)
        )
    }

    /// The `kelter` binary built together with this one.
    private static func binary() throws(KelterError) -> String {
        try ownPath().split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/kelter"
    }

    /// The path of this program.
    static func ownPath() throws(KelterError) -> String {
        guard let resolved = realpath("/proc/self/exe", nil) else {
            throw KelterError(.internalError, "This program's path cannot be found.")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func number(_ value: Double, _ width: Int, digits: Int = 0) -> String {
        let scale = [1, 10, 100.0][digits]
        let rounded = (value * scale).rounded() / scale
        let text = digits == 0 ? "\(Int(rounded))" : "\(rounded)"
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
