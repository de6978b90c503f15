import KelterModel
import KelterStore
import KelterTestSupport
import Testing

@Suite("The fingerprint of a model")
struct FingerprintTests {
    /// The vectors of two probe texts, turned away from two axes by an angle.
    private static func reference(_ angle: Float = 0) -> [[Float]] {
        [0, 1].map { place in
            var vector = [Float](repeating: 0, count: 8)
            vector[place] = 1
            vector[7] = angle
            guard case .unit(let values)? = try? UnitVector(normalising: vector, dimension: 8) else { return [] }
            return values
        }
    }

    /// SHA-256 of 1, 0 … and 0, 1, 0 … as float32 in network order, computed elsewhere.
    private static let digits = "92ac767f513ad2b6085b26615ad1ace0"

    private static let stamps = "SELECT * FROM rag.vector_space"

    /// A database with the three roles, and stores as two of them.
    private func withRoles(_ body: (TemporaryDatabase, _ app: Store, _ owner: Store) async throws -> Void) async throws
    {
        try await TemporaryDatabase.with { database in
            try await database.store.applyRoles()
            let (app, owner) = (try database.roleStore(.application), try database.roleStore(.owner))
            try await body(database, app, owner)
            await app.close()
            await owner.close()
        }
    }

    @Test("the first process stamps it, and the same model with other noise is recognised")
    func adoption() async throws {
        try await withRoles { database, app, _ in
            #expect(try await app.spaceStamp() == nil)
            #expect(try await app.compareFingerprint(reference: Self.reference()) == nil)
            #expect(try await app.adoptFingerprint(model: "m", reference: Self.reference()) == Self.digits)
            let stored = try await database.store.rows(Self.stamps)
            // Cosine 0.9995 and 1 - 2e-8.
            for angle in [Float(0.0316), 0.0002, 0] {
                #expect(try await app.adoptFingerprint(model: "m", reference: Self.reference(angle)) == Self.digits)
            }
            #expect(try await database.store.rows(Self.stamps) == stored)
            let stamp = try #require(try await app.spaceStamp())
            #expect(stamp.model == "m" && stamp.fingerprint == Self.digits && stamp.since.hasSuffix("Z"))
        }
    }

    @Test("another model under the same name is refused with the measured similarity")
    func drift() async throws {
        try await withRoles { database, app, _ in
            _ = try await app.adoptFingerprint(model: "m", reference: Self.reference())
            let stored = try await database.store.rows(Self.stamps)
            // Only the second text shows it: cosine 1 / √1.01.
            let other = [Self.reference()[0], Self.reference(0.1)[1]]
            let error = await #expect(throws: KelterError.self) {
                try await app.adoptFingerprint(model: "m", reference: other)
            }
            #expect(error?.code == .embeddingModelDrift && error?.subject == "EMBEDDINGS_MODEL_PRIMARY")
            #expect(error?.message.contains("0.995") == true)
            #expect(error?.fix?.contains("kelter reembed --accept-drift") == true)
            let comparison = try #require(try await app.compareFingerprint(reference: other))
            #expect(abs(comparison.similarity - 0.995_037) < 1e-6)
            #expect(comparison.fingerprint == Self.digits && comparison.model == "m" && !comparison.isSame())
            #expect(comparison.isSame(tolerance: 0.01))
            let tolerated = try await app.adoptFingerprint(model: "m", reference: other, tolerance: 0.01)
            #expect(tolerated == Self.digits)
            // Fewer texts than were stored are no proof.
            let fewer = await app.refusal {
                _ = try await app.adoptFingerprint(model: "m", reference: [Self.reference()[0]])
            }
            #expect(fewer == ErrorCode.embeddingModelDrift.rawValue)
            let name = await app.refusal {
                _ = try await app.adoptFingerprint(model: "n", reference: Self.reference())
            }
            #expect(name == ErrorCode.modelMismatch.rawValue)
            #expect(try await database.store.rows(Self.stamps) == stored)
        }
    }

    @Test("vectors of another width, without direction or without a number are refused before anything is stamped")
    func invalid() async throws {
        try await TemporaryDatabase.with { database in
            let zero = [Float](repeating: 0, count: 8)
            let cases: [([[Float]], ErrorCode)] = [
                ([], .embeddingInvalid), ([zero, zero], .embeddingInvalid),
                ([[.nan] + zero.dropFirst()], .embeddingInvalid),
                ([Self.reference()[0], [1, 0]], .vectorDimensionMismatch),
            ]
            for (reference, code) in cases {
                let refusal = await database.store.refusal {
                    _ = try await database.store.adoptFingerprint(model: "m", reference: reference)
                }
                #expect(refusal == code.rawValue)
            }
            let stamp = try await database.store.spaceStamp()
            #expect(stamp == nil)
        }
    }

    @Test("of several processes that come first at once, one stamps and all get the same", arguments: [false, true])
    func race(isStamped: Bool) async throws {
        try await withRoles { database, app, _ in
            if isStamped { try await database.store.runScript("INSERT INTO rag.vector_space (model) VALUES ('m')") }
            let stores = try (0..<8).map { _ in try database.roleStore(.application) }
            let results = try await withThrowingTaskGroup(of: String.self) { group in
                for (number, store) in stores.enumerated() {
                    group.addTask {
                        let noise = Float(number) * 0.001
                        return try await store.adoptFingerprint(model: "m", reference: Self.reference(noise))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(results.count == 8 && Set(results).count == 1)
            #expect(try await app.spaceStamp()?.fingerprint == results[0])
            for store in stores { await store.close() }
        }
    }

    @Test("a space that an older version made and stamped, and one that stands by, get columns and fingerprint")
    func upgrade() async throws {
        try await withRoles { database, app, owner in
            var configuration = app.configuration
            configuration.model = "m"
            let writer = try Store(configuration: configuration)
            _ = try await writer.write([Fixture.item("a", "1")], run: nil, tenant: Fixture.tenant)
            try await owner.createStandby(StandbySpace(model: "n", dimension: 8))
            let listing = """
                SELECT c.oid::regclass, c.relrowsecurity, c.relacl, a.attacl, a.attname, (
                    SELECT string_agg(p.polname, ' ' ORDER BY 1) FROM pg_policy p WHERE p.polrelid = c.oid
                ) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.relname = 'vector_space' ORDER BY c.oid, a.attname
                """
            let present = try await database.store.rows(listing)
            for schema in ["rag", "rag_standby"] {
                try await database.store.runScript(
                    """
                    DROP POLICY space_read ON \(schema).vector_space; DROP POLICY space_stamp ON \(schema).vector_space;
                    DROP POLICY fingerprint_once ON \(schema).vector_space;
                    ALTER TABLE \(schema).vector_space DISABLE ROW LEVEL SECURITY, DROP COLUMN fingerprint,
                        DROP COLUMN reference;
                    """
                )
            }
            let older = await app.refusal {
                _ = try await app.adoptFingerprint(model: "m", reference: Self.reference())
            }
            #expect(older == "42703")
            try await database.store.applyRoles()
            for _ in 0..<2 {
                try await owner.applySchema()
                #expect(try await database.store.rows(listing) == present)
            }
            #expect(try await app.spaceStamp()?.fingerprint == nil)
            #expect(try await app.spaceStamp()?.model == "m")
            #expect(try await app.adoptFingerprint(model: "m", reference: Self.reference()) == Self.digits)
            let standby = EmbeddingTarget.standby(dimension: 8)
            #expect(
                try await app.adoptFingerprint(model: "n", reference: Self.reference(), target: standby) == Self.digits
            )
            await writer.close()
        }
    }

    @Test("the application may set it once and change nothing else; the owner replaces it")
    func rights() async throws {
        try await withRoles { database, app, owner in
            let reader = try database.roleStore(.reader)
            _ = try await app.adoptFingerprint(model: "m", reference: Self.reference())
            let stored = try await database.store.rows(Self.stamps)
            for statement in [
                "UPDATE rag.vector_space SET model = 'x'", "UPDATE rag.vector_space SET since = now()",
                "DELETE FROM rag.vector_space", "TRUNCATE rag.vector_space",
                "ALTER TABLE rag.vector_space DISABLE ROW LEVEL SECURITY",
                "DROP POLICY fingerprint_once ON rag.vector_space",
            ] {
                #expect(await app.refusal(statement, tenant: nil) == "42501", "\(statement)")
            }
            for statement in ["SET fingerprint = 'x'", "SET reference = NULL", "SET fingerprint = NULL"] {
                let changed = try await app.rows("UPDATE rag.vector_space \(statement) RETURNING 1")
                #expect(changed.isEmpty)
                #expect(await reader.refusal("UPDATE rag.vector_space \(statement)", tenant: nil) == "42501")
            }
            let refusal = await app.refusal {
                try await app.replaceFingerprint(model: "m", reference: Self.reference(1))
            }
            #expect(refusal == "42501")
            #expect(try await database.store.rows(Self.stamps) == stored)
            #expect(try await reader.spaceStamp()?.fingerprint == Self.digits)

            let name = await owner.refusal {
                try await owner.replaceFingerprint(model: "n", reference: Self.reference(1))
            }
            #expect(name == ErrorCode.modelMismatch.rawValue)
            let new = try await owner.replaceFingerprint(model: "m", reference: Self.reference(1))
            #expect(new != Self.digits)
            #expect(try await app.adoptFingerprint(model: "m", reference: Self.reference(1)) == new)
            let old = await app.refusal {
                _ = try await app.adoptFingerprint(model: "m", reference: Self.reference())
            }
            #expect(old == ErrorCode.embeddingModelDrift.rawValue)
            await reader.close()
        }
    }

    @Test("a space that stands by has its own, which goes with it when the spaces are exchanged")
    func standby() async throws {
        try await withRoles { _, app, owner in
            let standby = EmbeddingTarget.standby(dimension: 4)
            let narrow: [[Float]] = [[0, 1, 0, 0], [0, 0, 1, 0]]
            let call = {
                _ = try await app.adoptFingerprint(model: "n", reference: narrow, target: standby)
            }
            #expect(await app.refusal(of: call) == ErrorCode.vectorSpaceMissing.rawValue)
            #expect(try await app.spaceStamp(standby) == nil)
            let current = try await app.adoptFingerprint(model: "m", reference: Self.reference())
            try await owner.createStandby(StandbySpace(model: "n", dimension: 4))
            #expect(try await app.compareFingerprint(reference: narrow, target: standby) == nil)
            let name = await app.refusal {
                _ = try await app.adoptFingerprint(model: "m", reference: narrow, target: standby)
            }
            #expect(name == ErrorCode.modelMismatch.rawValue)
            let next = try await app.adoptFingerprint(model: "n", reference: narrow, target: standby)
            #expect(next != current)
            let bound = try await app.rows("UPDATE rag_standby.vector_space SET fingerprint = 'x' RETURNING 1")
            #expect(bound.isEmpty)
            #expect(try await app.spaceStamp()?.fingerprint == current)

            _ = try await owner.switchSpaces(allowsMissing: true)
            #expect(try await app.spaceStamp()?.fingerprint == next)
            #expect(try await app.spaceStamp(.standby(dimension: 8))?.fingerprint == current)
            #expect(try await app.spaceStamp(.standby(dimension: 8))?.model == "m")
            let taken = try await app.rows("UPDATE rag.vector_space SET fingerprint = 'x' RETURNING 1")
            #expect(taken.isEmpty)
            _ = try await owner.switchSpaces(allowsMissing: true)
            #expect(try await app.adoptFingerprint(model: "m", reference: Self.reference()) == current)
        }
    }

    @Test("a space that stood by before there were roles is handed over with the other")
    func handedOver() async throws {
        try await TemporaryDatabase.with { database in
            try await database.store.createStandby(StandbySpace(model: "n", dimension: 8))
            try await database.store.applyRoles()
            let (app, owner) = (try database.roleStore(.application), try database.roleStore(.owner))
            try await owner.applySchema()
            let target = EmbeddingTarget.standby(dimension: 8)
            #expect(
                try await app.adoptFingerprint(model: "n", reference: Self.reference(), target: target) == Self.digits
            )
            #expect(try await owner.switchSpaces(allowsMissing: true).space.model == "n")
            await app.close()
            await owner.close()
        }
    }
}
