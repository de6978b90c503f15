extension StoreSchema {
    /// Collections, documents, their sources, chunks and embeddings.
    static func tables(_ schema: SQLIdentifier, dimension: Int) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(schema).collections (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            label text,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, id)
        );

        CREATE TABLE IF NOT EXISTS \(schema).documents (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            external_id text NOT NULL,
            hash text NOT NULL,
            title text,
            language text,
            source text,
            origin_uri text,
            case_id text,
            workflow_id text,
            process text,
            doc_class text,
            media_type text,
            embedding_profile text,
            embedding_model text,
            vector_space_id text,
            metadata jsonb NOT NULL DEFAULT '{}',
            metadata_hash text NOT NULL DEFAULT '',
            bytes bigint,
            generation int NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            deleted_at timestamptz,
            CONSTRAINT documents_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE
        );

        -- One row for each external item; several items with the same bytes share a document.
        CREATE TABLE IF NOT EXISTS \(schema).sources (
            tenant_id uuid NOT NULL,
            collection_id uuid,
            external_id text NOT NULL,
            document_id uuid NOT NULL REFERENCES \(schema).documents (id) ON DELETE CASCADE,
            root text,
            last_run uuid,
            seen_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT sources_key UNIQUE NULLS NOT DISTINCT (tenant_id, collection_id, external_id)
        );

        CREATE TABLE IF NOT EXISTS \(schema).chunks (
            id uuid PRIMARY KEY,
            document_id uuid NOT NULL REFERENCES \(schema).documents (id) ON DELETE CASCADE,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            ordinal int NOT NULL,
            text text NOT NULL,
            lexical regconfig NOT NULL DEFAULT 'pg_catalog.simple',
            text_norm text GENERATED ALWAYS AS (lower(btrim(regexp_replace(text, '\\s+', ' ', 'g')))) STORED,
            tsv tsvector GENERATED ALWAYS AS (to_tsvector(lexical, text)) STORED,
            tokens int,
            input_hash bytea,
            metadata jsonb NOT NULL DEFAULT '{}',
            -- Deferrable, so that one statement can renumber the chunks that a new generation keeps.
            CONSTRAINT chunks_document_ordinal_key UNIQUE (document_id, ordinal) DEFERRABLE,
            CONSTRAINT chunks_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE
        );

        DO $$
        DECLARE
            present int;
        BEGIN
            SELECT atttypmod INTO present FROM pg_attribute
                WHERE attrelid = to_regclass('\(schema).embeddings') AND attname = 'embedding' AND NOT attisdropped;
            IF present <> \(dimension) THEN
                RAISE EXCEPTION 'EMB_DIM_MISMATCH: % holds vectors of % dimensions, not \(dimension)',
                    '\(schema.name).embeddings', present USING ERRCODE = '\(dimensionState)';
            END IF;
        END
        $$;

        CREATE TABLE IF NOT EXISTS \(schema).embeddings (
            chunk_id uuid PRIMARY KEY REFERENCES \(schema).chunks (id) ON DELETE CASCADE,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            embedding public.vector(\(dimension)) NOT NULL,
            CONSTRAINT embeddings_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE
        );

        DO $$
        BEGIN
            -- Vectors are incompressible and needed whole: in the row they load faster, and only vectors that are not
            -- stored out of line get a parallel index build.
            IF (SELECT attstorage FROM pg_attribute
                WHERE attrelid = '\(schema).embeddings'::regclass AND attname = 'embedding') <> 'p' THEN
                ALTER TABLE \(schema).embeddings ALTER COLUMN embedding SET STORAGE PLAIN;
            END IF;
        END
        $$;

        """
    }

    /// Runs and the last outcome of each of their items.
    static func ledger(_ schema: SQLIdentifier) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(schema).runs (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            case_id text,
            kind text NOT NULL,
            status text NOT NULL,
            arguments jsonb NOT NULL DEFAULT '{}',
            totals jsonb,
            started_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            error text
        );

        CREATE TABLE IF NOT EXISTS \(schema).run_items (
            run_id uuid NOT NULL REFERENCES \(schema).runs (id) ON DELETE CASCADE,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            external_id text NOT NULL,
            outcome text NOT NULL,
            code text,
            detail text,
            document_id uuid,
            bytes bigint,
            finished_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT run_items_key UNIQUE NULLS NOT DISTINCT (run_id, external_id, collection_id)
        );

        """
    }

    /// The duplicate guards, the lexical indexes and the vector index.
    static func indexes(_ schema: SQLIdentifier, hnsw: HNSW) -> String {
        """
        CREATE UNIQUE INDEX IF NOT EXISTS documents_tenant_hash_null_collection_idx
            ON \(schema).documents (tenant_id, hash) WHERE collection_id IS NULL;
        CREATE UNIQUE INDEX IF NOT EXISTS documents_tenant_collection_hash_idx
            ON \(schema).documents (tenant_id, collection_id, hash) WHERE collection_id IS NOT NULL;
        CREATE UNIQUE INDEX IF NOT EXISTS documents_tenant_external_id_null_collection_uk
            ON \(schema).documents (tenant_id, external_id) WHERE collection_id IS NULL;
        CREATE UNIQUE INDEX IF NOT EXISTS documents_tenant_collection_external_id_uk
            ON \(schema).documents (tenant_id, collection_id, external_id) WHERE collection_id IS NOT NULL;
        CREATE INDEX IF NOT EXISTS documents_tenant_deleted_idx
            ON \(schema).documents (tenant_id) WHERE deleted_at IS NOT NULL;
        CREATE INDEX IF NOT EXISTS documents_tenant_case_idx
            ON \(schema).documents (tenant_id, case_id) WHERE case_id IS NOT NULL;
        CREATE INDEX IF NOT EXISTS sources_document_idx ON \(schema).sources (document_id);
        CREATE INDEX IF NOT EXISTS runs_tenant_started_idx ON \(schema).runs (tenant_id, started_at DESC);
        CREATE INDEX IF NOT EXISTS chunks_tsv_idx ON \(schema).chunks USING gin (tsv);
        CREATE INDEX IF NOT EXISTS chunks_text_norm_trgm_idx ON \(schema).chunks USING gin (text_norm gin_trgm_ops);
        CREATE INDEX IF NOT EXISTS embeddings_embedding_hnsw ON \(schema).embeddings
            USING hnsw (embedding vector_cosine_ops) WITH (m = \(hnsw.m), ef_construction = \(hnsw.efConstruction));

        """
    }
}
