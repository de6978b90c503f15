import Testing

/// Something done to a healthy database, and which checks must notice.
struct CheckDamage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Run as the superuser, each for itself; the last may fail when ``lastFails``.
    let statements: [String]
    let failed: [String]
    var warned: [String] = []
    /// What the first result that is not ok says, in its detail and in its fix.
    let detail: String
    let fix: String
    var lastFails = false
    /// Whether the fixes can be carried out by the store, and leave no failed check.
    var isRepaired = true

    init(
        _ testDescription: String,
        _ statements: String...,
        failed: [String] = [],
        warned: [String] = [],
        detail: String,
        fix: String,
        lastFails: Bool = false,
        isRepaired: Bool = true
    ) {
        self.testDescription = testDescription
        self.statements = statements
        self.failed = failed
        self.warned = warned
        self.detail = detail
        self.fix = fix
        self.lastFails = lastFails
        self.isRepaired = isRepaired
    }
}

extension CheckDamage {
    static let all = tables + guards + extensions + vectorIndexes + protection + roles + rows

    private static let tables = [
        CheckDamage(
            "a table is missing",
            "DROP TABLE rag.audit_log",
            failed: ["schema-tables"],
            detail: "audit_log",
            fix: "kelter schema apply"
        ),
        CheckDamage(
            "the table of vectors is missing",
            "DROP TABLE rag.embeddings",
            failed: [
                "schema-tables", "scope-columns", "scope-foreign-keys", "vector-index", "scope-consistency",
                "chunks-embedded", "unit-vectors",
            ],
            detail: "rag lacks embeddings",
            fix: "kelter schema apply"
        ),
        CheckDamage(
            "the collections' label is missing",
            "ALTER TABLE rag.collections DROP COLUMN label",
            failed: ["collections-key"],
            detail: "no column label",
            fix: "ADD COLUMN label text"
        ),
        CheckDamage(
            "the collections' key lacks the tenant",
            "ALTER TABLE rag.collections DROP CONSTRAINT collections_pkey CASCADE, ADD PRIMARY KEY (id)",
            failed: ["collections-key", "scope-foreign-keys"],
            detail: "primary key (id) instead of (tenant_id, id)",
            fix: "ADD PRIMARY KEY (tenant_id, id)"
        ),
        CheckDamage(
            "the collections have no key",
            "ALTER TABLE rag.collections DROP CONSTRAINT collections_pkey CASCADE",
            failed: ["collections-key", "scope-foreign-keys"],
            detail: "primary key (none)",
            fix: "ADD PRIMARY KEY (tenant_id, id)"
        ),
        CheckDamage(
            "chunks have no collection",
            "ALTER TABLE rag.chunks DROP COLUMN collection_id",
            failed: ["scope-columns", "scope-foreign-keys", "scope-consistency"],
            detail: "no column collection_id in chunks",
            fix: "ADD COLUMN collection_id uuid"
        ),
        CheckDamage(
            "a foreign key is missing",
            "ALTER TABLE rag.embeddings DROP CONSTRAINT embeddings_collection_fk",
            failed: ["scope-foreign-keys"],
            detail: "2 rows: embeddings does not reference collections",
            fix: "ADD CONSTRAINT embeddings_collection_fk"
        ),
        CheckDamage(
            "a fourth foreign key",
            """
            ALTER TABLE rag.sources ADD CONSTRAINT "the fourth" FOREIGN KEY (tenant_id, collection_id)
                REFERENCES rag.collections (tenant_id, id)
            """,
            failed: ["scope-foreign-keys"],
            detail: "4 rows",
            fix: #"rag.sources DROP CONSTRAINT "the fourth""#
        ),
        CheckDamage(
            "three foreign keys of the wrong tables",
            """
            ALTER TABLE rag.embeddings DROP CONSTRAINT embeddings_collection_fk;
            ALTER TABLE rag.documents ADD CONSTRAINT again FOREIGN KEY (tenant_id, collection_id)
                REFERENCES rag.collections (tenant_id, id)
            """,
            failed: ["scope-foreign-keys"],
            detail: "3 rows",
            fix: "ADD CONSTRAINT embeddings_collection_fk"
        ),
        CheckDamage(
            "a foreign key that was never validated",
            """
            ALTER TABLE rag.chunks DROP CONSTRAINT chunks_collection_fk,
                ADD CONSTRAINT chunks_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES rag.collections (tenant_id, id) DEFERRABLE NOT VALID
            """,
            failed: ["scope-foreign-keys"],
            detail: "chunks_collection_fk of rag.chunks is not validated",
            fix: "VALIDATE CONSTRAINT chunks_collection_fk"
        ),
    ]

    private static let guards = [
        CheckDamage(
            "the guard outside collections is missing",
            "DROP INDEX rag.documents_tenant_hash_null_collection_idx",
            failed: ["guard-indexes", "guard-null-scope"],
            detail: "documents_tenant_hash_null_collection_idx is missing",
            fix: "kelter schema apply"
        ),
        CheckDamage(
            "the guard inside collections is missing",
            "DROP INDEX rag.documents_tenant_collection_hash_idx",
            failed: ["guard-indexes", "guard-collection-scope"],
            detail: "documents_tenant_collection_hash_idx is missing",
            fix: "kelter schema apply"
        ),
        CheckDamage(
            "a guard of names is missing",
            "DROP INDEX rag.documents_tenant_external_id_null_collection_uk",
            failed: ["guard-indexes"],
            detail: "documents_tenant_external_id_null_collection_uk is missing",
            fix: "kelter schema apply"
        ),
        CheckDamage(
            "a guard that lets duplicates in",
            """
            DROP INDEX rag.documents_tenant_collection_hash_idx;
            CREATE INDEX documents_tenant_collection_hash_idx ON rag.documents (tenant_id, collection_id, hash)
                WHERE collection_id IS NOT NULL
            """,
            failed: ["guard-indexes"],
            detail: "documents_tenant_collection_hash_idx is not unique",
            fix: #"DROP INDEX "rag".documents_tenant_collection_hash_idx;' as"#
        ),
        CheckDamage(
            "a guard of live documents only, which the lookup cannot use",
            """
            DROP INDEX rag.documents_tenant_hash_null_collection_idx;
            CREATE UNIQUE INDEX documents_tenant_hash_null_collection_idx ON rag.documents (tenant_id, hash)
                WHERE collection_id IS NULL AND deleted_at IS NULL
            """,
            failed: ["guard-indexes", "guard-null-scope"],
            detail: "deleted_at IS NULL",
            fix: "then 'kelter schema apply'"
        ),
        CheckDamage(
            "a guard without the tenant",
            """
            DROP INDEX rag.documents_tenant_collection_external_id_uk;
            CREATE UNIQUE INDEX documents_tenant_collection_external_id_uk ON rag.documents (collection_id, external_id)
                WHERE collection_id IS NOT NULL
            """,
            failed: ["guard-indexes"],
            detail: "is on (collection_id, external_id) instead of (tenant_id, collection_id, external_id)",
            fix: "then 'kelter schema apply'"
        ),
        CheckDamage(
            "a guard that is not valid",
            """
            UPDATE pg_index SET indisvalid = false
            WHERE indexrelid = 'rag.documents_tenant_hash_null_collection_idx'::regclass
            """,
            failed: ["guard-indexes", "guard-null-scope", "invalid-indexes"],
            detail: "documents_tenant_hash_null_collection_idx is not valid",
            fix: "then 'kelter schema apply'"
        ),
    ]

    private static let extensions = [
        CheckDamage(
            "a pgvector without HNSW",
            "UPDATE pg_extension SET extversion = '0.4.4' WHERE extname = 'vector'",
            failed: ["pgvector-version"],
            detail: "0.4.4 is older than 0.5.0",
            fix: "ALTER EXTENSION vector UPDATE",
            isRepaired: false
        ),
        CheckDamage(
            "a pgvector that may corrupt indexes",
            "UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector'",
            warned: ["pgvector-version"],
            detail: "corruption of HNSW indexes",
            fix: "kelter rebuild-rag-index",
            isRepaired: false
        ),
        CheckDamage(
            "no pgvector",
            "DROP EXTENSION vector CASCADE",
            failed: [
                "pgvector-version", "pgvector-schema", "pgvector-operator-class", "schema-tables", "vector-index",
                "unit-vectors",
            ],
            detail: "pgvector is not installed",
            fix: "CREATE EXTENSION vector SCHEMA public",
            isRepaired: false
        ),
        CheckDamage(
            "pgvector in a schema of its own",
            "CREATE SCHEMA elsewhere; ALTER EXTENSION vector SET SCHEMA elsewhere",
            failed: ["pgvector-schema", "unit-vectors"],
            detail: "vector is in elsewhere, not public",
            fix: "ALTER EXTENSION vector SET SCHEMA public"
        ),
        CheckDamage(
            "pg_trgm in a schema of its own",
            "CREATE SCHEMA elsewhere; ALTER EXTENSION pg_trgm SET SCHEMA elsewhere",
            failed: ["pgvector-schema"],
            detail: "pg_trgm is in elsewhere",
            fix: "ALTER EXTENSION pg_trgm SET SCHEMA public"
        ),
        CheckDamage(
            "no operator class for cosine",
            """
            ALTER EXTENSION vector DROP OPERATOR CLASS public.vector_cosine_ops USING hnsw;
            DROP OPERATOR CLASS public.vector_cosine_ops USING hnsw CASCADE
            """,
            failed: ["pgvector-operator-class", "vector-index"],
            detail: "no operator class vector_cosine_ops",
            fix: "ALTER EXTENSION vector UPDATE",
            isRepaired: false
        ),
    ]
}
