import Glibc
package import KelterModel

/// The main program of one inference process: a hidden command of `kelter`, started by the embedding endpoint.
///
/// It answers questions on its standard input, which is a socket, until the endpoint closes it or dies.
package enum EmbeddingEngineWorker {
    /// The name of the command.
    package static let commandName = "embedding-worker"

    /// What the command is told.
    package struct Arguments: Sendable {
        /// `--weights`: the file of the model.
        package var weights: String
        /// `--engine`: the library.
        package var engine: String
        /// `--core`: the number of the processor to stay on.
        package var core: Int

        package init(weights: String, engine: String, core: Int) {
            self.weights = weights
            self.engine = engine
            self.core = core
        }

        /// The command with its options, without the program.
        package var commandLine: [String] {
            [commandName, "--weights", weights, "--engine", engine, "--core", String(core)]
        }
    }

    /// Loads the engine and answers until there are no more questions; blocks.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing``.
    package static func run(_ arguments: Arguments) throws(KelterError) {
        HiddenLibC.pin(to: arguments.core)
        // One process a core is the parallelism; more threads would only wait for each other.
        setenv("OMP_NUM_THREADS", "1", 1)
        let channel = EngineChannel(descriptor: dup(0))
        let engine = try EmbeddingEngine(library: arguments.engine, weights: arguments.weights)
        // An engine compiled for another processor dies here, before it is trusted with work.
        guard engine.vector(EngineText(input: "query: ready?")) != nil, channel.send(0, payload: []) else { return }
        while let (operation, kind, bytes) = channel.receive() {
            guard let operation = EngineChannel.Operation(rawValue: operation),
                let kind = EngineText.Kind(rawValue: kind)
            else { return }
            let text = EngineText(kind: kind, bytes: bytes)
            let answer: [UInt8]?
            switch operation {
            case .countTokens: answer = withUnsafeBytes(of: UInt32(engine.countTokens(text))) { Array($0) }
            case .embed: answer = engine.vector(text).map { vector in vector.withUnsafeBytes { Array($0) } }
            }
            guard channel.send(answer == nil ? 1 : 0, payload: answer ?? []) else { return }
        }
    }
}
