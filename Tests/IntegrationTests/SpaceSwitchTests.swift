import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// What becomes of a transaction whose COMMIT is carried out but never answered.
@Suite("A connection that breaks during COMMIT")
struct SpaceSwitchTests {
    private func store(_ database: TemporaryDatabase, through proxy: CommitBreakingProxy) throws -> Store {
        var configuration = database.store.configuration
        configuration.url = proxy.url
        return try Store(configuration: configuration)
    }

    @Test("a switch of vector spaces has happened once, and is not taken back by its repetition")
    func switchOnce() async throws {
        try await TemporaryDatabase.with { database in
            var configuration = database.store.configuration
            configuration.model = "first"
            let writer = try Store(configuration: configuration)
            _ = try await writer.write([Fixture.item("a", "1")], run: nil, tenant: Fixture.tenant)
            try await database.store.createStandby(StandbySpace(model: "second", dimension: 8))
            let proxy = try CommitBreakingProxy(url: database.url)
            let store = try store(database, through: proxy)
            let result = try await store.switchSpaces(allowsMissing: true)
            #expect(proxy.remaining == 0)
            #expect(result.space.model == "second" && result.missing > 0)
            #expect(try await database.store.currentModel() == "second")
            #expect(try await database.store.standbySpace() == StandbySpace(model: "first", dimension: 8))
            #expect(try await database.store.switchSpaces(allowsMissing: false).space.model == "first")
            await store.close()
            await writer.close()
        }
    }

    @Test("of two switches at once, one is done")
    func race() async throws {
        try await TemporaryDatabase.with { database in
            var configuration = database.store.configuration
            configuration.model = "first"
            let writer = try Store(configuration: configuration)
            _ = try await writer.write([Fixture.item("a", "1")], run: nil, tenant: Fixture.tenant)
            try await database.store.createStandby(StandbySpace(model: "second", dimension: 8))
            let results = await withTaskGroup(of: String?.self) { group in
                for _ in 0..<2 {
                    group.addTask { try? await database.store.switchSpaces(allowsMissing: true).space.model }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            // The second either came too late for the first one's space or takes its turn after it.
            let current = try await database.store.currentModel()
            #expect(
                results.compactMap { $0 } == ["second"] && current == "second"
                    || Set(results.compactMap { $0 }) == ["first", "second"] && current == "first"
            )
            await writer.close()
        }
    }

    @Test("a document that was stored is reported as inserted, and is there once")
    func write() async throws {
        try await TemporaryDatabase.with { database in
            let proxy = try CommitBreakingProxy(url: database.url)
            let store = try store(database, through: proxy)
            let results = try await store.write([Fixture.item("a", "1")], run: nil, tenant: Fixture.tenant)
            #expect(proxy.remaining == 0)
            #expect(results.map(\.outcome) == [.inserted])
            #expect(try await database.store.count("SELECT count(*) FROM rag.documents") == 1)
            await store.close()
        }
    }
}
