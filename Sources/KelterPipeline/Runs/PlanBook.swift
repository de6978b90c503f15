package import KelterModel
import KelterStore
import Synchronization

/// What a batch would send to the endpoints, found out without sending it.
final class PlanBook: Sendable {
    /// What one profile's endpoint would be sent.
    struct Figures: Sendable {
        var inputs = 0
        var tokens = 0
    }

    private struct State {
        var contents: Set<ContentKey> = []
        var texts: [String: Set<ContentHash>] = [:]
        var figures: [String: Figures] = [:]
    }

    private let state = Mutex(State())

    /// The figures so far, by profile.
    var figures: [String: Figures] { state.withLock { $0.figures } }

    /// Takes note of contents that would be stored.
    ///
    /// - Returns: For each whether the plan has it already, so that it would be a duplicate.
    func claim(_ keys: [ContentKey]) -> [Bool] {
        state.withLock { state in keys.map { !state.contents.insert($0).inserted } }
    }

    /// Takes note of texts that are neither stored nor in the cache; of texts that occur again, once.
    func add(_ texts: [EmbeddingSource.Text], profile: String) {
        state.withLock { state in
            let new = texts.filter { state.texts[profile, default: []].insert($0.hash).inserted }
            state.figures[profile, default: Figures()].inputs += new.count
            state.figures[profile, default: Figures()].tokens += new.reduce(0) { $0 + $1.tokens }
        }
    }
}

/// What a plan expects of a run.
package struct PlanEstimate: Equatable, Sendable {
    /// Texts and tokens that would be sent.
    package var inputs = 0
    package var tokens = 0
    /// The fewest requests that they fit into; while the endpoint is not busy smaller ones are sent.
    package var requests = 0
    /// How long the run takes, in milliseconds, at the rate of the last runs; `nil` when there were none to learn from.
    package var milliseconds: Int?
    /// The price of the tokens; `nil` without a price in every profile.
    package var price: Double?

    package init() {}

    /// The estimate as JSON.
    package var json: JSONValue {
        .object([
            ("inputs", .int(inputs)), ("tokens", .int(tokens)), ("requests", .int(requests)),
            ("duration_ms", milliseconds.map { .int($0) } ?? .null), ("price", price.map { .double($0) } ?? .null),
        ])
    }
}

extension Ingestion {
    /// What a plan's figures mean for a run.
    ///
    /// - Parameters:
    ///   - book: The figures.
    ///   - scanned: How long the plan took, which a run takes as well.
    ///   - tenant: Whose runs tell the rate.
    /// - Returns: The estimate.
    /// - Throws: ``KelterError`` of the database.
    func estimate(_ book: PlanBook, scanned: Duration, tenant: Tenant) async throws(KelterError) -> PlanEstimate {
        var estimate = PlanEstimate()
        estimate.price = 0
        for profile in catalog.routing.profiles {
            guard let figures = book.figures[profile.name] else { continue }
            estimate.inputs += figures.inputs
            estimate.tokens += figures.tokens
            estimate.requests += max(
                (figures.inputs + profile.maximumInputs - 1) / max(profile.maximumInputs, 1),
                (figures.tokens + profile.maximumTokensPerRequest - 1) / max(profile.maximumTokensPerRequest, 1)
            )
            let perToken = profile.pricePerMillionTokens.map { $0 / 1e6 }
            estimate.price = estimate.price.flatMap { sum in perToken.map { sum + $0 * Double(figures.tokens) } }
        }
        let scan = Int(scanned.milliseconds)
        if estimate.tokens == 0 {
            estimate.milliseconds = scan
        } else if let rate = try await stages.store.tokensPerSecond(tenant: tenant) {
            estimate.milliseconds = max(scan, Int(Double(estimate.tokens) / rate * 1000))
        }
        return estimate
    }
}
