import KelterModel
import KelterStore

/// Seeded random documents in several languages, scopes and states, for searches that are compared with a reference.
struct SearchCorpus {
    static let tenants = [Fixture.tenant("dev-tenant"), Fixture.tenant("other-tenant")]
    static let collections = (1...3).map { Fixture.collection($0) }
    static let cases = ["K-1", "K-2"]
    static let sources = ["handbuch", "intranet"]
    static let docClasses = ["notiz", "vertrag"]
    static let documents = 130

    private static let words: [String?: [String]] = [
        "de": [
            "Kelter", "Presse", "Traubenvollernter", "Frist", "Fristen", "Einspruch", "gebunden", "der", "die", "nicht",
            "Größe", "Häuser", "Urlaub", "antreten", "Vorjahr", "Kaffeemaschine", "entkalkt", "Wartung", "Wein",
        ],
        "en": [
            "press", "pressed", "grape", "grapes", "incident", "acknowledged", "hospital", "the", "of", "not",
            "vacation",
            "machine", "wine", "maintenance", "quickly", "deadline", "objection",
        ],
        "fr": ["vendange", "vin", "pressoir", "congé", "machine", "l'hôpital", "délai", "été", "Wein"],
        nil: ["Wein", "wine", "x-7", "50%", "Kelter/Presse", "日本", "🍇", "press", "Urlaub"],
    ]

    var generator: Seeded

    init(seed: UInt64) {
        generator = Seeded(state: seed)
    }

    /// Fills a database: both tenants have documents of every kind, and some of them are deleted again.
    mutating func write(to store: Store) async throws {
        for tenant in Self.tenants {
            let group = (0..<Self.documents).map { document($0, tenant) }
            _ = try await store.write(group, run: nil, tenant: tenant)
            for scope in [nil] + Self.collections {
                let names = group.filter { $0.key.collection == scope }.map(\.key.externalID)
                let deleted = names.filter { _ in chance(0.2) }
                _ = try await store.deleteSources(deleted, in: scope, tenant: tenant, run: nil)
            }
        }
    }

    private mutating func document(_ number: Int, _ tenant: Tenant) -> DocumentWrite {
        let language = pick(["de", "en", "fr", nil])
        // The same names in several scopes, and a few texts that stand in several documents.
        var item = Fixture.item(
            "d\(number % 60)",
            "\(tenant.key) \(number)",
            in: number < 60 ? nil : Self.collections[(number / 60 + number) % 3],
            title: "T\(number)",
            language: language,
            content: (0..<Int.random(in: 1...4, using: &generator)).map { ordinal in
                let text = chance(0.1) ? "Der Wein und die Presse." : self.text(language, words: 3...30)
                return Fixture.chunk(ordinal, text, vector: chance(0.05) ? .empty : vector())
            }
        )
        item.attributes.caseID = optional(Self.cases)
        item.attributes.source = optional(Self.sources)
        item.attributes.docClass = optional(Self.docClasses)
        return item
    }

    /// A question, now and then without vector or words, misspelt, or with a phrase or an exclusion.
    mutating func question() -> (vector: [Float]?, text: String) {
        let language = pick(["de", "en", "fr", nil])
        var text = self.text(language, words: 1...6)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: text = ""
        case 1: text = pick(["Traubenvolernter", "maintenence", "Kafeemaschine entkallt", "pressoire"])
        case 2:
            text = pick([
                "\"Wein und\"", "wine -press", "Kelter or hospital", "die der das", "Urlaub's ?!", "Frist - Wein",
            ])
        default: break
        }
        return (chance(0.15) ? nil : vector().values, text)
    }

    mutating func request(_ question: (vector: [Float]?, text: String), documents: [RowID]) -> SearchRequest {
        var filters = SearchFilters()
        if chance(0.4) { filters.collections = Self.collections.filter { _ in chance(0.5) } }
        if chance(0.3) { filters.caseID = pick(Self.cases) }
        if chance(0.2) { filters.source = pick(Self.sources + ["nirgends"]) }
        if chance(0.2) { filters.docClass = pick(Self.docClasses) }
        if chance(0.1) { filters.externalID = "d\(Int.random(in: 0..<60, using: &generator))" }
        if chance(0.05) { filters.documentID = pick(documents) }
        if chance(0.05) {
            filters.hash = Fixture.hash("dev-tenant \(Int.random(in: 0..<Self.documents, using: &generator))")
        }
        return SearchRequest(
            vector: question.vector,
            text: question.text,
            filters: filters,
            visibility: pick([.active, .active, .all, .deleted]),
            alpha: pick([0, 0.3, 0.7, 0.7, 1]),
            minSimilarity: pick([0, 0.15, 0.15, 0.5, 0.9]),
            topK: Int.random(in: 1...10, using: &generator),
            vectorLimit: pick([0, 3, 10, 50, 50]),
            lexicalLimit: pick([0, 3, 10, 50, 50]),
            maximumCandidates: pick([nil, nil, 5, 12, 60]),
            trigramLimit: pick([0.1, 0.1, 0, 0.3, 0.6, 1])
        )
    }

    /// A unit vector; one in three is from a handful, so that distances are equal now and then.
    private mutating func vector() -> UnitVector {
        if chance(0.3) { return Fixture.axis(Int.random(in: 0..<4, using: &generator)) }
        let values = (0..<8).map { _ in Float.random(in: -1...1, using: &generator) }
        return (try? UnitVector(normalising: values, dimension: 8)) ?? .empty
    }

    private mutating func text(_ language: String?, words: ClosedRange<Int>) -> String {
        let vocabulary = Self.words[language] ?? []
        return (0..<Int.random(in: words, using: &generator)).map { _ in pick(vocabulary) }.joined(separator: " ")
    }

    private mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &generator) < probability
    }

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: values.indices, using: &generator)]
    }

    private mutating func optional(_ values: [String]) -> String? {
        chance(0.3) ? nil : pick(values)
    }
}

/// SplitMix64 by Sebastiano Vigna: the same documents and questions in every run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
