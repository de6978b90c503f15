import Glibc
package import KelterChunking
package import KelterEmbedding
package import KelterModel
package import KelterParsing
package import KelterStore

/// The pipeline: brings files into the database, each ending in exactly one outcome per scope.
///
/// Holds what all items share. One value serves any number of batches and uploads.
package final class Ingestion: Sendable {
    /// The tools of the stages.
    package struct Stages: Sendable {
        package var parser: DocumentParser
        package var chunker: Chunker
        package var embeddings: EmbeddingClient
        package var store: Store
        package var profile: EmbeddingProfile

        package init(
            parser: DocumentParser,
            chunker: Chunker,
            embeddings: EmbeddingClient,
            store: Store,
            profile: EmbeddingProfile
        ) {
            self.parser = parser
            self.chunker = chunker
            self.embeddings = embeddings
            self.store = store
            self.profile = profile
        }
    }

    /// Files above this size are refused: the limit the parsers are tested with.
    package static let maximumFileBytes = 100 << 20
    /// Bytes in memory for documents between reading and writing.
    private static let memoryBudget = 96 << 20

    let stages: Stages
    let io: IOThreads
    let jobs: Int
    let memory = Budget(total: memoryBudget)
    /// How long documents spent in each stage.
    package let stageTimes = StageTimes()

    /// Prepares the pipeline.
    ///
    /// - Parameters:
    ///   - stages: The tools of the stages.
    ///   - jobs: How many files are read, hashed and parsed at a time; at least one.
    package init(stages: Stages, jobs: Int) {
        self.stages = stages
        self.jobs = max(1, jobs)
        io = IOThreads(count: self.jobs)
    }

    /// What has been exchanged with the embedding endpoint.
    package var endpointFigures: [(name: String, value: Int)] {
        let statistics = stages.embeddings.statistics
        return [
            ("requests", statistics.requests), ("inputs", statistics.inputs), ("tokens", statistics.promptTokens),
            ("retries", statistics.retries), ("throttles", statistics.throttles),
        ]
    }

    func processor(tenant: Tenant, run: RowID, isPlan: Bool = false) -> ItemProcessor {
        ItemProcessor(
            producer: ContentProducer(
                tenant: tenant,
                profile: stages.profile,
                parser: stages.parser,
                chunker: stages.chunker,
                embeddings: stages.embeddings,
                store: stages.store,
                io: io,
                jobs: Budget(total: jobs)
            ),
            writer: StoreWriter(store: stages.store, tenant: tenant, run: run),
            store: stages.store,
            tenant: tenant,
            profile: stages.profile,
            isPlan: isPlan,
            memory: memory,
            times: stageTimes,
            now: millisecondsSince1970
        )
    }
}

/// A new identifier that sorts after earlier ones.
package func newRowID() -> RowID {
    .version7(milliseconds: millisecondsSince1970())
}

/// Milliseconds since 1970-01-01 UTC.
func millisecondsSince1970() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
}

extension KelterError {
    /// Whether going on with other items makes no sense: the fault is a service's or a setting's, not the item's.
    package var endsRun: Bool {
        switch code {
        case .embeddingUnreachable, .embeddingUnauthorised, .databaseUnavailable, .schemaMissing,
            .schemaDimensionMismatch, .vectorDimensionMismatch, .modelMismatch:
            true
        default:
            false
        }
    }
}
