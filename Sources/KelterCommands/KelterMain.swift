import ArgumentParser
import Glibc
import KelterModel
import KelterParsing

/// The command line from its arguments to its exit code.
package enum KelterMain {
    /// Runs one command.
    ///
    /// - Parameter arguments: The arguments without the program's name.
    /// - Returns: The exit code; SPEC section 10.
    package static func run(arguments: [String]) async -> Int32 {
        // Before anything starts a thread: what a parser process gives up holds for those it has then.
        if arguments.first == ParserProcessCommand.name { return ParserProcessCommand.run(arguments.dropFirst()) }
        let terminal = Terminal(isJSON: arguments.prefix { $0 != "--" }.contains("--json"))
        var command: any ParsableCommand
        do {
            command = try KelterCommand.parseAsRoot(arguments)
        } catch {
            return finish(with: error, terminal)
        }
        guard let executable = command as? any ExecutableCommand else {
            // A group without a command of its own prints its help.
            do {
                try command.run()
                return ExitCode.done.rawValue
            } catch {
                return finish(with: error, terminal)
            }
        }
        let work = Task { () -> Result<KelterModel.ExitCode, KelterError> in
            do throws(KelterError) {
                #if DEBUG
                    try FailPointSwitch.arm()
                #endif
                return .success(try await executable.execute(terminal))
            } catch {
                return .failure(error)
            }
        }
        let interrupts = executable.handlesInterrupts ? InterruptHandler(terminal: terminal) { work.cancel() } : nil
        defer { interrupts?.stop() }
        switch await work.value {
        case .success(let code):
            return code.rawValue
        case .failure(let error):
            terminal.print(error)
            return work.isCancelled ? KelterModel.ExitCode.interrupted.rawValue : error.code.exitCode.rawValue
        }
    }

    /// Ends with the parser's own message: help and version are no errors, everything else is bad usage.
    private static func finish(with error: any Error, _ terminal: Terminal) -> Int32 {
        if KelterCommand.exitCode(for: error).isSuccess {
            terminal.print(KelterCommand.message(for: error))
            return ExitCode.done.rawValue
        }
        let message = KelterCommand.message(for: error)
        terminal.print(
            KelterError(.usage, message.hasSuffix(".") ? message : message + ".", fix: "See `kelter --help`.")
        )
        return KelterModel.ExitCode.badInput.rawValue
    }
}

private typealias ExitCode = KelterModel.ExitCode

/// A command that does something; the others are groups.
protocol ExecutableCommand: ParsableCommand, Sendable {
    /// Whether Ctrl-C is handled by finishing what has begun; the hidden service processes have their own way.
    var handlesInterrupts: Bool { get }

    /// Does the command's work.
    ///
    /// - Parameter terminal: Where to print.
    /// - Returns: The exit code of a command that could say what it did.
    /// - Throws: ``KelterError``, whose code decides the exit code.
    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode
}

extension ExecutableCommand {
    var handlesInterrupts: Bool { true }
}

/// The root of the command line.
struct KelterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kelter",
        abstract: "Ingests documents into PostgreSQL with pgvector for retrieval.",
        discussion: """
            Exit codes: 0 done; 1 some items failed, all others are stored; 2 bad usage, setting or input file; 3 a \
            needed service is unavailable; 4 refused by a guard; 130 interrupted, repeat the command to complete it.
            """,
        version: "0.1.0",
        subcommands: [
            IngestCommand.self, UploadCommand.self, QueryCommand.self, ParseCommand.self, ChunkCommand.self,
            UpCommand.self, DownCommand.self, StatusCommand.self, ServeCommand.self, WorkerCommand.self,
            SmokeCommand.self, ConfigCommand.self,
            SchemaCommand.self, RolesCommand.self, ReembedCommand.self, VectorSpaceCommand.self, CacheCommand.self,
            RunsCommand.self,
            MigrateCommand.self, MakeMigrationsCommand.self, LegacyWorkflowsCommand.self, RebuildIndexCommand.self,
            CheckCommand.self, BackupCommand.self, BackfillScopeCommand.self,
            BootstrapPublicTenantCommand.self, CreateTenantCommand.self, ListTenantsCommand.self,
            CreateTenantSuperuserCommand.self, DeleteTenantCommand.self, APIKeyCommand.self,
            EmbeddingEndpointCommand.self,
            EmbeddingWorkerCommand.self,
        ]
    )
}
