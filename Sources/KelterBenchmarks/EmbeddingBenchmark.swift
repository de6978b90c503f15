import Glibc
import KelterEmbedding
import KelterLocal
import KelterModel

/// The embedding client alone, beside Python's `openai` client: processor time of a vector, and vectors a second.
///
/// Endpoint and client are processes of their own, on a processor each if there are two. The endpoint answers with
/// prepared bytes, the same ones for both clients. Each client measures its own user and system time around the work,
/// without start, imports and a warm-up. Kelter's client does more: it checks each number for being finite, its reply
/// for width, order and completeness, and normalises the vectors.
struct EmbeddingBenchmark {
    /// The number of texts of each measurement.
    let texts: Int

    /// Each measurement is done so often, both clients in turn; the one with the median of processor time is told.
    private static let rounds = 3

    /// What one client did in one round.
    private struct Measurement {
        let vectorsPerSecond: Double
        let wallSeconds: Double
        let cpuSeconds: Double
        /// Microseconds.
        let cpuPerVector: Double
        let versions: String?
    }

    /// Measures and prints; blocks.
    ///
    /// - Throws: ``KelterError`` when a process cannot be started or does not do its work.
    func run() throws(KelterError) {
        let processors = HiddenLibC.processors
        let isPinned = processors.count > 1
        print(
            "\(texts) texts of 40 bytes, \(EmbeddingWorkers.inputsPerRequest) a request, "
                + "\(EmbeddingWorkers.requestsAtATime) requests at a time, endpoint with prepared replies; median of "
                + "\(Self.rounds)"
        )
        if !isPinned { print("One processor only: the vectors a second are those of endpoint and client together.") }
        let interpreter = OpenAIClient.interpreter
        if interpreter == nil {
            print("Without Python's openai client; to compare with it, run \(OpenAIClient.installation) first.")
        }
        Self.show("case                    vectors/s  wall s  CPU s  CPU µs/vector  openai : Kelter")
        var versions: String?
        for encoding in EmbeddingEncoding.allCases {
            for dimension in [384, 1536] {
                let endpoint = try EndpointProcess(
                    dimension: dimension,
                    encoding: encoding,
                    launcher: isPinned ? Self.pinned(to: processors[0]) : []
                )
                defer { endpoint.stop() }
                let launcher = isPinned ? Self.pinned(to: processors[1]) : []
                let own = [
                    try Benchmarks.ownPath(), EmbeddingWorkers.clientMode, endpoint.baseURL, "\(dimension)", "\(texts)",
                ]
                let other = interpreter.map {
                    OpenAIClient.command(
                        $0,
                        url: endpoint.baseURL,
                        encoding: encoding.rawValue,
                        dimension: dimension,
                        texts: texts
                    )
                }
                var kelter: [Measurement] = []
                var openai: [Measurement] = []
                for _ in 0..<Self.rounds {
                    kelter.append(try measure(launcher + own))
                    if let other { openai.append(try measure(launcher + other)) }
                }
                let name = "\(dimension) \(encoding.rawValue)"
                guard let mine = Self.median(kelter) else { continue }
                Self.show(Self.row("\(name), Kelter", mine))
                guard let theirs = Self.median(openai) else { continue }
                Self.show(
                    Self.row("\(name), openai", theirs)
                        + Benchmarks.number(theirs.cpuPerVector / mine.cpuPerVector, 17, digits: 1)
                )
                versions = theirs.versions
            }
        }
        if let versions { print(versions) }
    }

    /// Prints a line at once, also into a pipe: the next one takes a while.
    private static func show(_ line: String) {
        print(line)
        fflush(nil)
    }

    private func measure(_ command: [String]) throws(KelterError) -> Measurement {
        let process = try MeasuredProcess(command, environment: [:])
        guard process.exitCode == 0, let report = try? JSONReader.read(process.output),
            report["vectors"]?.int == texts, let wall = report["wall_us"]?.int, let cpu = report["cpu_us"]?.int
        else {
            throw KelterError(
                .internalError,
                "A client ended with \(process.exitCode): \(process.output.prefix(400))"
            )
        }
        return Measurement(
            vectorsPerSecond: Double(texts) / Double(wall) * 1e6,
            wallSeconds: Double(wall) / 1e6,
            cpuSeconds: Double(cpu) / 1e6,
            cpuPerVector: Double(cpu) / Double(texts),
            versions: report["versions"]?.string
        )
    }

    private static func median(_ measurements: [Measurement]) -> Measurement? {
        let sorted = measurements.sorted { $0.cpuSeconds < $1.cpuSeconds }
        return sorted.isEmpty ? nil : sorted[sorted.count / 2]
    }

    /// What starts a command on one processor.
    private static func pinned(to processor: Int) -> [String] {
        ["taskset", "--cpu-list", "\(processor)"]
    }

    private static func row(_ name: String, _ measurement: Measurement) -> String {
        Benchmarks.pad(name, 24) + Benchmarks.number(measurement.vectorsPerSecond, 9)
            + Benchmarks.number(measurement.wallSeconds, 8, digits: 2)
            + Benchmarks.number(measurement.cpuSeconds, 7, digits: 2)
            + Benchmarks.number(measurement.cpuPerVector, 15, digits: 1)
    }
}

/// The endpoint as a child process.
private struct EndpointProcess {
    let baseURL: String
    private let pid: pid_t
    /// The child ends when this is closed, also by this process's own end.
    private let lifeline: Int32

    init(dimension: Int, encoding: EmbeddingEncoding, launcher: [String]) throws(KelterError) {
        let command = [try Benchmarks.ownPath(), EmbeddingWorkers.endpointMode, "\(dimension)", encoding.rawValue]
        let input = try ChildProcess.makePipe()
        let output = try ChildProcess.makePipe()
        pid = try ChildProcess.spawn(
            launcher + command,
            input: input.reader,
            output: output.writer,
            error: STDERR_FILENO
        )
        close(input.reader)
        close(output.writer)
        defer { close(output.reader) }
        lifeline = input.writer
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output.reader, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        baseURL = String(decoding: line, as: UTF8.self)
        guard baseURL.hasPrefix("http") else {
            stop()
            throw KelterError(.serviceStartFailed, "The benchmark's endpoint does not start.")
        }
    }

    func stop() {
        close(lifeline)
        ChildProcess.wait(for: pid)
    }
}
