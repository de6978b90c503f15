extension CheckDamage {
    private static let dropVectorIndex = "DROP INDEX rag.embeddings_embedding_hnsw;"
    private static let rebuild = "Run 'kelter rebuild-rag-index'."

    static let vectorIndexes = [
        CheckDamage(
            "no vector index",
            dropVectorIndex,
            failed: ["vector-index"],
            detail: "no valid vector index",
            fix: rebuild
        ),
        CheckDamage(
            "a vector index by Euclidean distance",
            dropVectorIndex
                + "CREATE INDEX embeddings_embedding_hnsw ON rag.embeddings USING hnsw (embedding vector_l2_ops)"
                + "WITH (m = 32, ef_construction = 200)",
            failed: ["vector-index"],
            detail: "vector_l2_ops) WITH (m=32, ef_construction=200) does not compare by cosine",
            fix: rebuild
        ),
        CheckDamage(
            "two vector indexes",
            "CREATE INDEX second ON rag.embeddings USING hnsw (embedding vector_cosine_ops)",
            failed: ["vector-index"],
            detail: "2 vector indexes where one is enough: embeddings_embedding_hnsw, second",
            fix: rebuild
        ),
        CheckDamage(
            "another m",
            dropVectorIndex
                + "CREATE INDEX embeddings_embedding_hnsw ON rag.embeddings USING hnsw (embedding vector_cosine_ops)"
                + "WITH (ef_construction = 200)",
            failed: ["vector-index"],
            detail: "has m=16 ef_construction=200 instead of m=32 ef_construction=200",
            fix: rebuild
        ),
        CheckDamage(
            "a vector index of one collection",
            dropVectorIndex
                + "CREATE INDEX embeddings_embedding_hnsw ON rag.embeddings USING hnsw (embedding vector_cosine_ops)"
                + "WITH (m = 32, ef_construction = 200) WHERE collection_id IS NOT NULL",
            failed: ["vector-index"],
            detail: "leaves rows out",
            fix: rebuild
        ),
        CheckDamage(
            "a vector index under another name",
            "ALTER INDEX rag.embeddings_embedding_hnsw RENAME TO embeddings_new",
            failed: ["vector-index"],
            detail: "embeddings_new is not named embeddings_embedding_hnsw",
            fix: rebuild
        ),
        CheckDamage(
            "the temporary fallback",
            dropVectorIndex
                + "CREATE INDEX embeddings_embedding_ivfflat ON rag.embeddings"
                + " USING ivfflat (embedding vector_cosine_ops) WITH (lists = 1)",
            warned: ["vector-index"],
            detail: "temporary fallback",
            fix: "RAG_INDEX_KIND=HNSW kelter rebuild-rag-index"
        ),
        CheckDamage(
            "the vector index is not valid",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rag.embeddings_embedding_hnsw'::regclass",
            failed: ["vector-index", "invalid-indexes"],
            detail: "no valid vector index",
            fix: rebuild
        ),
        CheckDamage(
            "a left-over beside the vector index",
            "CREATE INDEX rest ON rag.embeddings USING hnsw (embedding vector_cosine_ops)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rag.rest'::regclass",
            failed: ["invalid-indexes"],
            detail: "not valid: rest",
            fix: "'kelter rebuild-rag-index'"
        ),
        CheckDamage(
            "an index whose concurrent build failed",
            "CREATE UNIQUE INDEX CONCURRENTLY once ON rag.documents (tenant_id)",
            failed: ["invalid-indexes"],
            detail: "not valid: once",
            fix: #"'REINDEX INDEX CONCURRENTLY "rag".once;'"#,
            lastFails: true,
            isRepaired: false
        ),
        CheckDamage(
            "an index left by a rebuild that failed",
            "CREATE UNIQUE INDEX CONCURRENTLY chunks_tsv_idx_ccnew ON rag.documents (tenant_id)",
            failed: ["invalid-indexes"],
            detail: "chunks_tsv_idx_ccnew",
            fix: #"'DROP INDEX CONCURRENTLY "rag".chunks_tsv_idx_ccnew;'"#,
            lastFails: true
        ),
    ]

    static let rows = [
        CheckDamage(
            "a vector of length 3",
            """
            UPDATE rag.embeddings
            SET embedding = (SELECT array_agg(3 * x)::vector FROM unnest(embedding::real[]) x)
            WHERE chunk_id = (SELECT min(chunk_id::text)::uuid FROM rag.embeddings)
            """,
            failed: ["unit-vectors"],
            detail: "1 of 12 vectors are not of length 1 (8.34 %)",
            fix: "kelter reembed --only-unnormalised"
        ),
        CheckDamage(
            "vectors a little too long",
            """
            UPDATE rag.embeddings
            SET embedding = (SELECT array_agg(1.00001 * x)::vector FROM unnest(embedding::real[]) x)
            """,
            failed: ["unit-vectors"],
            detail: "12 of 12 vectors are not of length 1 (100.00 %)",
            fix: "kelter reembed --only-unnormalised"
        ),
        CheckDamage(
            "a chunk of another tenant than its document",
            """
            -- Without foreign keys, which do not let it happen.
            SET session_replication_role TO replica;
            UPDATE rag.chunks SET tenant_id = (
                SELECT tenant_id FROM rag.documents WHERE tenant_id <> chunks.tenant_id LIMIT 1
            ) WHERE id = (SELECT min(id::text)::uuid FROM rag.chunks WHERE collection_id IS NULL);
            RESET session_replication_role
            """,
            failed: ["scope-consistency"],
            detail: "1 chunks differ from their document and 1 embeddings from their chunk",
            fix: #"UPDATE "rag".chunks"#
        ),
        CheckDamage(
            "embeddings outside their chunk's collection",
            "UPDATE rag.embeddings SET collection_id = NULL",
            failed: ["scope-consistency"],
            detail: "0 chunks differ from their document and 4 embeddings from their chunk",
            fix: #"UPDATE "rag".embeddings"#
        ),
        CheckDamage(
            "rows without a tenant",
            """
            ALTER TABLE rag.runs ALTER COLUMN tenant_id DROP NOT NULL;
            INSERT INTO rag.runs (id, kind, status) VALUES (gen_random_uuid(), 'ingest', 'succeeded')
            """,
            failed: ["rows-without-scope"],
            detail: "runs may have rows without a tenant",
            fix: "ALTER COLUMN tenant_id SET NOT NULL"
        ),
        CheckDamage(
            "a chunk without a vector and a document without chunks",
            """
            DELETE FROM rag.chunks WHERE document_id = (SELECT min(id::text)::uuid FROM rag.documents);
            DELETE FROM rag.embeddings WHERE chunk_id = (SELECT min(chunk_id::text)::uuid FROM rag.embeddings)
            """,
            warned: ["chunks-embedded"],
            detail: "1 of 10 chunks have no vector and 1 of 6 documents no chunk",
            fix: "kelter reembed"
        ),
    ]
}
