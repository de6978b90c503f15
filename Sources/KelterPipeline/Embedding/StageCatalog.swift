import KelterEmbedding
package import KelterModel
import KelterStore
import Synchronization

/// The stages of every profile, made when the first item needs them.
///
/// The ledger of all runs is in the store of the default profile's stages.
package final class StageCatalog: Sendable {
    /// Opens the stages of a profile.
    package typealias Opening = @Sendable (EmbeddingProfile) async throws(KelterError) -> Ingestion.Stages
    private typealias Opened = Task<Result<Ingestion.Stages, KelterError>, Never>

    /// Which profile an item or a question gets.
    package let routing: Routing
    /// The stages of the default profile.
    package let standard: Ingestion.Stages
    private let open: Opening
    private let others = Mutex<[String: Opened]>([:])
    private let clients: Mutex<[EmbeddingClient]>

    /// What has been exchanged with the endpoints of all profiles so far, one after the other.
    var statistics: [EmbeddingStatistics] { clients.withLock { $0 }.map(\.statistics) }

    /// Makes a catalog.
    ///
    /// - Parameters:
    ///   - routing: The profiles and the rules.
    ///   - standard: The stages of the default profile.
    ///   - open: Opens those of another profile.
    package init(routing: Routing, standard: Ingestion.Stages, open: @escaping Opening) {
        self.routing = routing
        self.standard = standard
        self.open = open
        clients = Mutex([standard.embeddings])
    }

    /// A catalog of one profile.
    package convenience init(_ stages: Ingestion.Stages) {
        self.init(routing: Routing(stages.profile), standard: stages) { (profile) throws(KelterError) in
            throw KelterError(.unknownProfile, "There is no embedding profile \"\(shortened(profile.name))\".")
        }
    }

    /// The stages of a profile.
    ///
    /// - Throws: ``KelterError`` of its tokenizer, its endpoint or its vector space; the next caller tries again.
    package func stages(for profile: EmbeddingProfile) async throws(KelterError) -> Ingestion.Stages {
        guard profile.name != standard.profile.name else { return standard }
        let open = open
        let task = others.withLock { others in
            if let task = others[profile.name] { return task }
            let task = Opened {
                do throws(KelterError) {
                    let stages = try await open(profile)
                    self.clients.withLock { $0.append(stages.embeddings) }
                    return .success(stages)
                } catch {
                    return .failure(error)
                }
            }
            others[profile.name] = task
            return task
        }
        let result = await task.value
        if case .failure = result {
            others.withLock { if $0[profile.name] == task { $0[profile.name] = nil } }
        }
        return try result.get()
    }

    /// The stages that are open, the default profile's first.
    package func opened() async -> [Ingestion.Stages] {
        var stages = [standard]
        for (_, task) in others.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            if case .success(let value) = await task.value { stages.append(value) }
        }
        return stages
    }

    /// The stages of every vector space of the profiles that is there, opened where they are not.
    ///
    /// - Throws: ``KelterError`` of one of them.
    package func allSpaces() async throws(KelterError) -> [Ingestion.Stages] {
        var spaces: [String: Ingestion.Stages] = [standard.profile.vectorSpace: standard]
        for profile in routing.profiles where spaces[profile.vectorSpace] == nil {
            do throws(KelterError) {
                spaces[profile.vectorSpace] = try await stages(for: profile)
            } catch {
                // A space that was never made holds nothing.
                guard error.code == .schemaMissing else { throw error }
            }
        }
        return spaces.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The same with other stages for the default profile.
    package func replacing(_ stages: Ingestion.Stages) -> StageCatalog {
        StageCatalog(routing: routing, standard: stages, open: open)
    }

    /// Ends clients and connections.
    package func close() async {
        for stages in await opened() {
            await stages.source.finish()
            stages.embeddings.close()
            await stages.store.close()
        }
    }
}
