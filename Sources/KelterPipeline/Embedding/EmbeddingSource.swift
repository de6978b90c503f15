package import KelterEmbedding
package import KelterModel
package import KelterStore
import Synchronization

/// Where the vectors of one profile come from: the cache in its vector space first, then the endpoint.
///
/// Before the first vector of the endpoint is used, the endpoint's contract is compared with the space: a model that
/// answers differently from the one whose vectors are stored stops the run instead of spoiling the space.
package final class EmbeddingSource: Sendable {
    /// A text to embed.
    struct Text: Sendable {
        let text: String
        let tokens: Int
        let hash: ContentHash
    }

    /// The vectors of some texts.
    struct Answer: Sendable {
        var vectors: [UnitVector]
        /// How many of them came from the cache.
        var cached = 0
    }

    /// What was saved and what could not be kept.
    package struct Figures: Sendable, Equatable {
        /// Texts whose vectors came from the cache.
        package var cacheHits = 0
        /// Their tokens, which were not paid for.
        package var tokensSaved = 0
        /// Tokens of the texts that were sent, as the profile's tokenizer counts them.
        package var tokensSent = 0
        /// Vectors that could not be entered in the cache.
        package var uncached = 0
    }

    package let client: EmbeddingClient
    private let store: Store
    private let profile: EmbeddingProfile
    private let usesCache: Bool
    private let lookups: CacheLookups
    private let entries: CacheEntries
    private let state = Mutex(State())

    private struct State {
        var figures = Figures()
        /// The space as the database knows it, read once; for lookups alone no endpoint is asked.
        var known: CacheSpace?
        /// Whether a question has found the endpoint's model to be that of the space.
        var isCompared = false
        var contract: Task<Result<CacheSpace, KelterError>, Never>?
    }

    /// Prepares a source; nothing is asked yet.
    ///
    /// - Parameters:
    ///   - client: The client of the profile's model.
    ///   - store: The profile's vector space.
    ///   - profile: The profile.
    ///   - usesCache: Whether vectors are looked up in the space's cache and entered there.
    package init(client: EmbeddingClient, store: Store, profile: EmbeddingProfile, usesCache: Bool) {
        self.client = client
        self.store = store
        self.profile = profile
        self.usesCache = usesCache
        lookups = CacheLookups(store: store)
        entries = CacheEntries(store: store)
    }

    /// The figures as they stand.
    package var figures: Figures {
        let uncached = entries.lost
        return state.withLock { state in
            var figures = state.figures
            figures.uncached = uncached
            return figures
        }
    }

    /// Embeds texts; one vector, or ``UnitVector/empty``, per text in order.
    ///
    /// What the endpoint answers is entered in the cache as it comes, also for a call that fails later.
    ///
    /// - Throws: ``KelterError`` of the endpoint or the database; ``ErrorCode/embeddingModelDrift`` when the endpoint's
    ///   model is another than that of the space.
    func vectors(for texts: [Text], tenant: Tenant) async throws(KelterError) -> Answer {
        var answer = Answer(vectors: Array(repeating: .empty, count: texts.count))
        var missing = Array(texts.indices)
        if usesCache, let space = try await knownSpace() {
            let found = try await lookups.vectors(texts.map(\.hash), in: space, tenant: tenant)
            for index in missing { if let vector = found[texts[index].hash] { answer.vectors[index] = vector } }
            let isHit = missing.map { found[texts[$0].hash] != nil }
            let saved = zip(missing, isHit).reduce(0) { $0 + ($1.1 ? texts[$1.0].tokens : 0) }
            missing = zip(missing, isHit).filter { !$0.1 }.map(\.0)
            answer.cached = texts.count - missing.count
            state.withLock { [answer] state in
                state.figures.cacheHits += answer.cached
                state.figures.tokensSaved += saved
            }
        }
        guard !missing.isEmpty else { return answer }
        let space = try await establish()
        let inputs = missing.map { EmbeddingInput(text: texts[$0].text, tokens: texts[$0].tokens) }
        state.withLock { $0.figures.tokensSent += inputs.reduce(0) { $0 + $1.tokens } }
        let hashes = missing.map { texts[$0].hash }
        let entries = entries
        let remember: @Sendable ([Int], [UnitVector]) -> Void = { indices, vectors in
            entries.add(zip(indices, vectors).map { (hashes[$0], $1) }, in: space, tenant: tenant)
        }
        let vectors: [UnitVector]
        do throws(KelterError) {
            vectors = try await client.embed(inputs, progress: usesCache ? remember : nil)
        } catch {
            if error.code == .embeddingModelDrift { forget() }
            throw error
        }
        FailPoint.vectorsReceived.pass()
        for (index, vector) in zip(missing, vectors) { answer.vectors[index] = vector }
        return answer
    }

    /// The texts that are not in the cache; the endpoint is not asked.
    ///
    /// - Throws: ``KelterError`` of the database.
    func uncached(_ texts: [Text], tenant: Tenant) async throws(KelterError) -> [Text] {
        guard usesCache, !texts.isEmpty, let space = try await knownSpace() else { return texts }
        let found = try await lookups.vectors(texts.map(\.hash), in: space, tenant: tenant)
        return texts.filter { found[$0.hash] == nil }
    }

    /// Embeds a question and compares the endpoint's model with that of the space, which is not changed.
    ///
    /// - Parameters:
    ///   - input: The question's text.
    ///   - deadline: When nobody waits for the answer any more.
    /// - Returns: The vector.
    /// - Throws: ``KelterError`` of the endpoint or the database.
    func questionVector(
        _ input: EmbeddingInput,
        deadline: ContinuousClock.Instant
    ) async throws(KelterError) -> UnitVector {
        let vector: UnitVector
        do throws(KelterError) {
            vector = try await client.embed([input], deadline: deadline).first ?? .empty
        } catch {
            if error.code == .embeddingModelDrift { forget() }
            throw error
        }
        guard !state.withLock({ $0.isCompared }) else { return vector }
        let contract = try await client.probe()
        let comparison = try await store.compareFingerprint(reference: contract.reference)
        if let comparison, !comparison.isSame() {
            throw KelterError(
                .embeddingModelDrift,
                "The model \(profile.model) is not the one that the vectors of schema \(profile.vectorSpace) are of "
                    + "(cosine similarity \(rounded(comparison.similarity))).",
                subject: "EMBEDDINGS_MODEL_PRIMARY",
                fix: "Point the alias at the model it had, or see 'kelter check'."
            )
        }
        state.withLock { $0.isCompared = comparison != nil }
        return vector
    }

    /// What was found out about the model holds no longer.
    private func forget() {
        state.withLock { state in
            state.contract = nil
            state.isCompared = false
        }
    }

    /// Waits until the vectors that came are in the cache.
    package func finish() async {
        await entries.finish()
    }

    private func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

    /// The fingerprint stands for the model; the rest for what is put around a text before it is hashed.
    private func space(_ fingerprint: String) -> CacheSpace {
        CacheSpace(fingerprint: fingerprint, dimension: profile.dimension, template: "1:" + profile.passagePrefix)
    }

    private func knownSpace() async throws(KelterError) -> CacheSpace? {
        if let known = state.withLock({ $0.known }) { return known }
        guard let stamp = try await store.spaceStamp(), stamp.model == profile.model,
            let fingerprint = stamp.fingerprint
        else { return nil }
        let space = space(fingerprint)
        state.withLock { $0.known = space }
        store.expectFingerprint(fingerprint)
        return space
    }

    /// Compares the endpoint with the space, once; a failure is tried again by the next caller.
    private func establish() async throws(KelterError) -> CacheSpace {
        // In the caller's own task, which can be cancelled while an endpoint is waited for.
        _ = try await client.probe()
        let task = state.withLock { state in
            if let task = state.contract { return task }
            let task = Task { await self.compare() }
            state.contract = task
            return task
        }
        let result = await task.value
        state.withLock { state in
            switch result {
            case .success(let space): state.known = space
            case .failure: if state.contract == task { state.contract = nil }
            }
        }
        return try result.get()
    }

    private func compare() async -> Result<CacheSpace, KelterError> {
        do throws(KelterError) {
            let contract = try await client.probe()
            let fingerprint = try await store.adoptFingerprint(model: profile.model, reference: contract.reference)
            store.expectFingerprint(fingerprint)
            return .success(space(fingerprint))
        } catch {
            return .failure(error)
        }
    }
}
