import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("Searching, compared with a reference")
struct SearchReferenceTests {
    @Test("candidates, fusion, threshold and order are those of the rules", arguments: [1, 2, 3] as [UInt64])
    func reference(_ seed: UInt64) async throws {
        try await TemporaryDatabase.with { database in
            let store = database.store
            var corpus = SearchCorpus(seed: seed)
            try await corpus.write(to: store)
            try await store.runScript("ANALYZE rag.documents; ANALYZE rag.chunks; ANALYZE rag.embeddings")
            // Row level security changes the plans and must not change the answers.
            let isBound = seed == 3
            let searched = isBound ? try await database.applicationStore() : store
            var found = 0
            for number in 0..<30 {
                let tenant = SearchCorpus.tenants[number % 2]
                let question = corpus.question()
                let reference = try await SearchReference(
                    store,
                    tenant: tenant,
                    vector: question.vector,
                    text: question.text
                )
                #expect(reference.rows.count > 200)
                for _ in 0..<5 {
                    let request = corpus.request(question, documents: reference.rows.map(\.document))
                    let expected = reference.result(request)
                    let result = try await searched.search(request, tenant: tenant)
                    let summary = SearchReference.Result(
                        chunks: result.matches.map(\.chunkID),
                        scores: result.matches.map(\.score),
                        vectorCandidates: result.vectorCandidates,
                        lexicalCandidates: result.lexicalCandidates,
                        deletedMatchesBlocked: result.deletedMatchesBlocked
                    )
                    #expect(summary == expected, "\(request)")
                    found += expected.chunks.count
                }
            }
            // A comparison of nothing with nothing would say nothing.
            #expect(found > 400)
            if isBound {
                await searched.close()
                try await database.dropApplicationRole()
            }
        }
    }
}
