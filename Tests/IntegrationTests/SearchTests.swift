import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Searching")
struct SearchTests {
    private let tenant = Fixture.tenant

    private func store(_ texts: [(String, String, CollectionID?)], language: String? = nil, in store: Store)
        async throws
    {
        let group = texts.enumerated().map { index, entry in
            Fixture.item(
                entry.0,
                entry.1,
                in: entry.2,
                title: "T" + entry.0,
                language: language,
                content: [Fixture.chunk(0, entry.1, vector: Fixture.axis(index))]
            )
        }
        let results = try await store.write(group, run: nil, tenant: tenant)
        #expect(results.allSatisfy { $0.outcome == .inserted })
    }

    @Test("a vector finds its chunk first")
    func byVector() async throws {
        try await TemporaryDatabase.with { database in
            try await store([("a", "Kelter", nil), ("b", "Presse", nil), ("c", "Trauben", nil)], in: database.store)
            let request = SearchRequest(vector: Fixture.axis(1).values, text: "")
            let result = try await database.store.search(request, tenant: tenant)
            #expect(result.matches.map(\.externalID) == ["b"])
            #expect(result.vectorCandidates == 3 && result.lexicalCandidates == 0)
            let match = try #require(result.matches.first)
            #expect(abs(match.vectorScore - 1) < 1e-6 && abs(match.score - 0.7) < 1e-6)
            #expect(match.title == "Tb" && match.hash == Fixture.hash("Presse").hex)
            #expect(match.metadata["section_path"]?[0]?.string == "A")
        }
    }

    @Test("words find a chunk in its language, inflected and among other words")
    func byWords() async throws {
        try await TemporaryDatabase.with { database in
            let languages = [
                ("de", "Der Einspruch ist an eine Frist gebunden.", "Wie lang sind die Fristen für den Einspruch?"),
                ("en", "A grape is pressed in the autumn.", "How were the grapes pressed?"),
                ("fr", "Le vin de vendange.", "la vendange tardive"),
            ]
            for (language, text, _) in languages {
                try await store(
                    [(language, text, nil), ("other " + language, "\(language) 123", nil)],
                    language: language,
                    in: database.store
                )
            }
            for (language, _, question) in languages {
                let result = try await database.store.search(SearchRequest(vector: nil, text: question), tenant: tenant)
                let first = try #require(result.matches.first)
                #expect(first.externalID == language)
                #expect(first.score == first.lexicalScore)
            }
        }
    }

    @Test("a misspelt word is found by its letters")
    func byTrigrams() async throws {
        try await TemporaryDatabase.with { database in
            try await store(
                [("a", "Der Traubenvollernter fährt.", nil), ("b", "Nichts davon.", nil)],
                in: database.store
            )
            let result = try await database.store.search(
                SearchRequest(vector: nil, text: "Traubenvolernter"),
                tenant: tenant
            )
            #expect(result.matches.first?.externalID == "a")
        }
    }

    @Test("what a user types is never a syntax error")
    func anyText() async throws {
        try await TemporaryDatabase.with { database in
            try await store([("a", "Kelter's \\ Presse & Trauben", nil)], language: "de", in: database.store)
            let texts = [
                "", "   ", "'", "\\", "a & | ! ( :*", "die der das", "\"unclosed", "-nicht", "a\0b", "50% OR -", "<->",
                "E'x'",
            ]
            for text in texts {
                _ = try await database.store.search(SearchRequest(vector: nil, text: text), tenant: tenant)
            }
        }
    }

    @Test("a small collection among many near neighbours still fills top_k")
    func filtered() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            let (large, small) = (Fixture.collection(1), Fixture.collection(2))
            // 1,200 documents close to the question outside, 12 far from it inside: the index meets the near ones
            // first.
            let near = (0..<1_200).map { index in
                Fixture.item(
                    "n\(index)",
                    "near \(index)",
                    in: large,
                    content: [
                        Fixture.chunk(0, "near \(index)", vector: Self.tilted(0, by: index))
                    ]
                )
            }
            let far = (0..<12).map { index in
                Fixture.item(
                    "f\(index)",
                    "far \(index)",
                    in: small,
                    content: [
                        Fixture.chunk(0, "far \(index)", vector: Self.tilted(4, by: index))
                    ]
                )
            }
            _ = try await store.write(near + far, run: nil, tenant: tenant)
            try await store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            var request = SearchRequest(vector: Fixture.axis(0).values, text: "", minSimilarity: 0, topK: 10)
            request.filters.collections = [small]
            let result = try await store.search(request, tenant: tenant)
            #expect(result.matches.count == 10)
            #expect(result.matches.allSatisfy { $0.collection == small })

            request.filters.collections = [large, small]
            let both = try await store.search(request, tenant: tenant)
            #expect(both.matches.count == 10 && both.matches.allSatisfy { $0.collection == large })
        }
    }

    /// A vector near an axis.
    private static func tilted(_ place: Int, by amount: Int) -> UnitVector {
        var values = [Float](repeating: 0, count: 8)
        values[place] = 1
        values[(place + 1) % 8] = Float(amount % 97) / 400
        values[(place + 2) % 8] = Float(amount % 31) / 200
        return (try? UnitVector(normalising: values, dimension: 8)) ?? .empty
    }

    @Test("a case and collections together are a union, and every other filter narrows it")
    func filters() async throws {
        try await TemporaryDatabase.with { database in
            var items = [
                Fixture.item("a", "Wein 1", in: Fixture.collection(1)), Fixture.item("b", "Wein 2"),
                Fixture.item("c", "Wein 3"),
            ]
            items[1].attributes.caseID = "K-1"
            items[1].attributes.docClass = "notiz"
            let written = try await database.store.write(items, run: nil, tenant: tenant)
            func found(_ filters: SearchFilters) async throws -> [String] {
                let request = SearchRequest(vector: nil, text: "Wein", filters: filters, topK: 10)
                let result = try await database.store.search(request, tenant: tenant)
                return Set(result.matches.map(\.externalID)).sorted()
            }
            #expect(try await found(SearchFilters()) == ["a", "b", "c"])
            #expect(try await found(SearchFilters(caseID: "K-1")) == ["b"])
            #expect(try await found(SearchFilters(collections: [Fixture.collection(1)], caseID: "K-1")) == ["a", "b"])
            #expect(
                try await found(SearchFilters(collections: [Fixture.collection(1)], caseID: "K-1", docClass: "notiz"))
                    == ["b"]
            )
            #expect(try await found(SearchFilters(externalID: "c")) == ["c"])
            #expect(try await found(SearchFilters(documentID: written[0].document)) == ["a"])
            #expect(try await found(SearchFilters(hash: Fixture.hash("Wein 2"))) == ["b"])
            #expect(try await found(SearchFilters(source: "nirgends")) == [])
        }
    }

    @Test("deleted documents are kept back and counted, and come back with their bytes")
    func deleted() async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            try await self.store([("a", "Kelter", nil), ("b", "Presse", nil)], in: store)
            let removal = try await store.deleteSources(["a", "x"], in: nil, tenant: tenant, run: nil)
            #expect(removal.deleted == 1 && removal.missing == 1)
            var request = SearchRequest(vector: nil, text: "Kelter")
            let active = try await store.search(request, tenant: tenant)
            #expect(active.matches.isEmpty && active.deletedMatchesBlocked == 1)
            request.visibility = .deleted
            #expect(try await store.search(request, tenant: tenant).matches.map(\.externalID) == ["a"])
            _ = try await store.write([Fixture.item("a", "Kelter", hasContent: false)], run: nil, tenant: tenant)
            request.visibility = .active
            #expect(try await store.search(request, tenant: tenant).matches.map(\.externalID) == ["a"])
            #expect(try await store.violations() == [])
        }
    }

    @Test("a vector of another width is refused")
    func width() async throws {
        try await TemporaryDatabase.with { database in
            let error = await #expect(throws: KelterError.self) {
                try await database.store.search(SearchRequest(vector: [1, 0], text: ""), tenant: tenant)
            }
            #expect(error?.code == .vectorDimensionMismatch)
        }
    }
}
