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
        package let parser: IsolatedParser
        package let chunker: Chunker
        package let source: EmbeddingSource
        package let store: Store
        package let profile: EmbeddingProfile
        private let usesCache: Bool
        package let nearDuplicates: NearDuplicatePolicy

        /// The client of the profile's model.
        package var embeddings: EmbeddingClient { source.client }

        package init(
            parser: IsolatedParser,
            chunker: Chunker,
            embeddings: EmbeddingClient,
            store: Store,
            profile: EmbeddingProfile,
            usesCache: Bool = true,
            nearDuplicates: NearDuplicatePolicy = NearDuplicatePolicy()
        ) {
            self.parser = parser
            self.chunker = chunker
            self.store = store
            self.profile = profile
            self.usesCache = usesCache
            self.nearDuplicates = nearDuplicates
            source = EmbeddingSource(client: embeddings, store: store, profile: profile, usesCache: usesCache)
        }

        /// The same with another client, whose figures are its own.
        package func replacing(_ client: EmbeddingClient) -> Stages {
            Stages(
                parser: parser,
                chunker: chunker,
                embeddings: client,
                store: store,
                profile: profile,
                usesCache: usesCache,
                nearDuplicates: nearDuplicates
            )
        }
    }

    /// Files above this size are refused; those of all formats but plain text at the parsers' own limit.
    package static let maximumFileBytes = ParsingLimits().maximumPlainTextBytes
    /// Bytes in memory for documents between reading and writing.
    private static let memoryBudget = 96 << 20

    /// An object costs waiting, not computing.
    private static let objectsAtATime = 16

    /// The stages of all profiles.
    package let catalog: StageCatalog
    /// Those of the default profile, whose store has the ledger.
    var stages: Stages { catalog.standard }
    let io: IOThreads
    let jobs: Int
    /// How many files are read at a time.
    let readers: Int
    /// Who reads objects of buckets.
    let buckets: S3Client?
    let memory = Budget(total: memoryBudget)
    private let parsing: Budget
    /// Threads that wait for parser processes.
    private let parsers: IOThreads
    private let nearClaims = NearClaims()
    /// How far large texts have come.
    package let largeTexts = LargeTextProgress()
    /// How long documents spent in each stage.
    package let stageTimes = StageTimes()

    /// Prepares the pipeline.
    ///
    /// - Parameters:
    ///   - catalog: The stages of all profiles.
    ///   - jobs: How many files are read, hashed and parsed at a time; at least one.
    ///   - buckets: Who reads objects of buckets; default nobody.
    package init(catalog: StageCatalog, jobs: Int, buckets: S3Client? = nil) {
        self.catalog = catalog
        self.jobs = max(1, jobs)
        self.buckets = buckets
        parsing = Budget(total: self.jobs)
        parsers = IOThreads(count: self.jobs)
        readers = buckets == nil ? self.jobs : max(self.jobs, Self.objectsAtATime)
        io = IOThreads(count: readers)
    }

    /// What has been exchanged with the embedding endpoint.
    package var endpointFigures: [(name: String, value: Int)] {
        let statistics = stages.embeddings.statistics
        return [
            ("requests", statistics.requests), ("inputs", statistics.inputs), ("tokens", statistics.promptTokens),
            ("retries", statistics.retries), ("throttles", statistics.throttles),
        ]
    }

    /// What works on the items of one profile in a run.
    func processor(of stages: Stages, tenant: Tenant, run: RowID, plan: PlanBook? = nil) -> ItemProcessor {
        ItemProcessor(
            producer: ContentProducer(
                tenant: tenant,
                profile: stages.profile,
                parser: stages.parser,
                parsers: parsers,
                chunker: stages.chunker,
                source: stages.source,
                store: stages.store,
                io: io,
                buckets: buckets,
                jobs: parsing,
                signs: stages.nearDuplicates.strategy != .off,
                largeTexts: largeTexts
            ),
            writer: StoreWriter(store: stages.store, tenant: tenant, run: run),
            store: stages.store,
            tenant: tenant,
            profile: stages.profile,
            plan: plan,
            nearDuplicates: stages.nearDuplicates,
            nearClaims: nearClaims,
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
            .schemaDimensionMismatch, .vectorDimensionMismatch, .modelMismatch, .embeddingModelDrift,
            .embeddingTruncation, .embeddingRedirected, .embeddingUntrusted, .pgvectorMissing, .pgvectorTooOld,
            .partMissing, .tokenizerInvalid, .s3Unreachable, .s3Untrusted, .s3Unauthorised, .s3WrongRegion:
            true
        default:
            false
        }
    }
}
