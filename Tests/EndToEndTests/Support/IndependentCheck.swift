import Foundation
import KelterHashing
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// Reads the database with plain SQL and the files with Foundation, and holds one against the other: norms, ordinals,
/// byte ranges, foreign keys, hashes.
struct IndependentCheck {
    private let store: Store
    private let documents: String

    init(_ world: World) {
        self.init(world.database.store, documents: world.documents)
    }

    init(_ store: Store, documents: String) {
        self.store = store
        self.documents = documents
    }

    func run() async throws {
        try await expectNone(
            "SELECT chunk_id FROM rag.embeddings WHERE abs(vector_norm(embedding) - 1) > 1e-6",
            "vectors that are not of unit length"
        )
        try await expectNone(
            """
            SELECT document_id FROM rag.chunks GROUP BY document_id
            HAVING min(ordinal) <> 0 OR max(ordinal) <> count(*) - 1 OR count(DISTINCT ordinal) <> count(*)
            """,
            "documents whose ordinals have gaps"
        )
        try await expectNone(
            """
            SELECT id FROM rag.chunks WHERE octet_length(text) <> (metadata->>'byte_end')::int - (metadata->>'byte_start')::int
                OR (metadata->>'byte_start')::int < 0
            """,
            "chunks whose byte range has another length than their text"
        )
        try await expectNone(
            "SELECT c.id FROM rag.chunks c LEFT JOIN rag.embeddings e ON e.chunk_id = c.id WHERE e.chunk_id IS NULL",
            "chunks without vector"
        )
        try await expectNone(
            """
            SELECT d.id FROM rag.documents d JOIN rag.chunks c ON c.document_id = d.id
            LEFT JOIN rag.embeddings e ON e.chunk_id = c.id
            WHERE d.tenant_id <> c.tenant_id OR c.tenant_id <> e.tenant_id
                OR d.collection_id IS DISTINCT FROM c.collection_id OR c.collection_id IS DISTINCT FROM e.collection_id
            """,
            "rows whose tenant or collection differs between the levels"
        )
        try await expectNone(
            "SELECT d.id FROM rag.documents d WHERE NOT EXISTS (SELECT FROM rag.chunks c WHERE c.document_id = d.id)",
            "documents without chunks"
        )
        try await expectNone(
            """
            SELECT d.id FROM rag.documents d
            WHERE d.deleted_at IS NULL AND NOT EXISTS (SELECT FROM rag.sources s WHERE s.document_id = d.id)
            """,
            "documents without source"
        )
        let references = try await store.rows(
            """
            SELECT conrelid::regclass::text FROM pg_constraint
            WHERE confrelid = 'rag.collections'::regclass AND contype = 'f' ORDER BY 1
            """
        )
        #expect(references == [["rag.chunks"], ["rag.documents"], ["rag.embeddings"]])
        for row in try await store.rows(
            """
            SELECT s.external_id, coalesce(s.content_hash, d.hash) FROM rag.sources s JOIN rag.documents d ON d.id = s.document_id
            WHERE s.root IS NOT NULL
            """
        ) {
            let path = documents + "/" + (row[0] ?? "")
            guard FileManager.default.fileExists(atPath: path) else { continue }
            let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
            #expect(row[1] == (try SHA256.hash(bytes)).hex, "\(path)")
        }
    }

    private func expectNone(_ sql: String, _ what: Comment) async throws {
        #expect(try await store.rows(sql).count == 0, what)
    }
}
