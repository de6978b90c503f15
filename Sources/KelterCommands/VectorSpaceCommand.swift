import ArgumentParser
import KelterModel
import KelterSettings
import KelterStore

struct VectorSpaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vector-space",
        abstract: "The space that is searched, and the one that stands by for another model.",
        discussion: """
            `kelter reembed --model MODEL --dimension N` fills the space that stands by. After a switch the settings \
            EMBEDDINGS_MODEL_PRIMARY and EMBEDDINGS_DIM have to name the new model; processes with the old ones are \
            refused. A second switch takes the first back.
            """,
        subcommands: [Show.self, Compare.self, Switch.self, Drop.self]
    )

    /// The owner's connection, whatever the space's dimension is.
    static func owner() async throws(KelterError) -> Store {
        try await Services().unverifiedStore(connections: 2, role: .owner)
    }

    struct Show: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Says which models there are vectors of.")

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let store = try await owner()
            let model = try await store.currentModel()
            let presence = try await store.schemaPresence()
            let standby = try await store.standbySpace()
            await store.close()
            var dimension: Int?
            if case .present(let width) = presence { dimension = width }
            terminal.print(
                json: .object([
                    (
                        "current",
                        .object([("model", .optional(model)), ("dimension", dimension.map { .int($0) } ?? .null)])
                    ), ("standby", standby.map(\.json) ?? .null),
                ]),
                text: table([
                    ["searched", model ?? "not used yet", dimension.map { "\($0) dimensions" } ?? "-"],
                    ["standing by", standby?.model ?? "-", standby.map { "\($0.dimension) dimensions" } ?? "-"],
                ])
            )
            return .done
        }
    }

    struct Compare: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compares the nearest neighbours of random chunks in both spaces."
        )

        @Option(help: "Chunks of each tenant whose neighbours are compared.")
        var samples = 50

        @Option(help: "Only this tenant; default: all tenants.")
        var tenant: String?

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard (1...10_000).contains(samples) else {
                throw KelterError(
                    .usage,
                    "\(samples) samples are not possible.",
                    subject: "--samples",
                    fix: "Give 1 to 10000."
                )
            }
            let store = try await owner()
            var tenants: [Tenant] = []
            if let tenant { tenants = [try Tenant(tenant)] } else { tenants = try await store.knownTenants() }
            var total = SpaceComparison()
            for tenant in tenants {
                let part = try await store.compareSpaces(samples: samples, tenant: tenant)
                total.samples += part.samples
                total.shared += part.shared
                total.neighbours += part.neighbours
            }
            await store.close()
            let members: [(name: String, value: JSONValue)] = [
                ("samples", .int(total.samples)), ("neighbours", .int(total.neighbours)),
                ("shared", .int(total.shared)), ("overlap", total.overlap.map { .double($0) } ?? .null),
            ]
            terminal.print(json: .object(members), text: Self.text(total))
            return .done
        }

        private static func text(_ total: SpaceComparison) -> String {
            guard let overlap = total.overlap else { return "There is nothing to compare." }
            let percent = (overlap * 1000).rounded() / 10
            return
                "\(percent) % of the 10 nearest neighbours of \(total.samples) random chunks are the same in both spaces."
        }
    }

    struct Switch: ExecutableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Searches the space that stands by from now on; the searched one stands by."
        )

        @Flag(
            name: .customLong("allow-missing"),
            help: "Switch although chunks would lose their vector; words still find them."
        )
        var allowMissing = false

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            let store = try await owner()
            let (space, missing) = try await store.switchSpaces(allowsMissing: allowMissing)
            await store.close()
            terminal.print(
                json: .object([("current", space.json), ("missing", .int(missing))]),
                text: (missing > 0 ? "\(missing) chunks have no vector now. " : "")
                    + "The space of \(space.model) is searched now. Set EMBEDDINGS_MODEL_PRIMARY=\(space.model) and "
                    + "EMBEDDINGS_DIM=\(space.dimension) for every process; `kelter vector-space switch` takes it back."
            )
            return .done
        }
    }

    struct Drop: ExecutableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes the space that stands by.")

        @Flag(help: "Confirms that its vectors are not needed any more.")
        var yes = false

        @OptionGroup var common: CommonOptions

        func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
            guard yes else {
                throw KelterError(
                    .confirmationRequired,
                    "The vectors of the space that stands by would be gone.",
                    subject: "--yes",
                    fix: "Add --yes to remove them."
                )
            }
            let store = try await owner()
            let isDropped = try await store.dropStandby()
            await store.close()
            terminal.print(
                json: .object([("dropped", .bool(isDropped))]),
                text: isDropped ? "The space that stood by is gone." : "No vector space stands by."
            )
            return .done
        }
    }
}

extension StandbySpace {
    fileprivate var json: JSONValue { .object([("model", .string(model)), ("dimension", .int(dimension))]) }
}
