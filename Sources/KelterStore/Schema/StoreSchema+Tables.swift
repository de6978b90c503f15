extension StoreSchema {
    /// Collections, documents, their sources, chunks and embeddings; ``tenantKeys(_:)`` ties them together.
    static func tables(_ schema: SQLIdentifier, _ indexing: VectorIndexing) -> String {
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
            document_id uuid NOT NULL,
            root text,
            last_run uuid,
            seen_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT sources_key UNIQUE NULLS NOT DISTINCT (tenant_id, collection_id, external_id)
        );
        -- The hash of a source whose bytes are nearly those of its document, and not the same.
        ALTER TABLE \(schema).sources ADD COLUMN IF NOT EXISTS content_hash text;

        -- By what documents are found that are nearly the same; see NearDuplicateSignature.
        CREATE TABLE IF NOT EXISTS \(schema).near_bands (
            tenant_id uuid NOT NULL,
            band bigint NOT NULL,
            document_id uuid NOT NULL,
            signature bytea NOT NULL,
            PRIMARY KEY (tenant_id, band, document_id)
        );

        CREATE TABLE IF NOT EXISTS \(schema).chunks (
            id uuid PRIMARY KEY,
            document_id uuid NOT NULL,
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
            CONSTRAINT chunks_document_ordinal_key UNIQUE (document_id, ordinal, tenant_id) DEFERRABLE,
            CONSTRAINT chunks_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE
        );

        DO $$
        DECLARE
            present int;
        BEGIN
            SELECT atttypmod INTO present FROM pg_attribute
                WHERE attrelid = to_regclass('\(schema).embeddings') AND attname = 'embedding' AND NOT attisdropped;
            IF present <> \(indexing.dimension) THEN
                RAISE EXCEPTION 'EMB_DIM_MISMATCH: % holds vectors of % dimensions, not \(indexing.dimension)',
                    '\(schema.name).embeddings', present USING ERRCODE = '\(dimensionState)';
            END IF;
        END
        $$;

        CREATE TABLE IF NOT EXISTS \(schema).embeddings (
            chunk_id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            embedding public.vector(\(indexing.dimension)) NOT NULL,
            CONSTRAINT embeddings_collection_fk FOREIGN KEY (tenant_id, collection_id)
                REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE
        );

        DO $$
        BEGIN
            -- Vectors are incompressible and needed whole: in the row they load faster, and only vectors that are not
            -- stored out of line get a parallel index build. Wider ones than 2000 dimensions do not fit into a page.
            IF (SELECT attstorage FROM pg_attribute
                WHERE attrelid = '\(schema).embeddings'::regclass AND attname = 'embedding')
                <> '\(indexing.storage.catalogLetter)' THEN
                ALTER TABLE \(schema).embeddings ALTER COLUMN embedding SET STORAGE \(indexing.storage.name);
            END IF;
        END
        $$;

        """
    }

    /// Runs, the parts of batches that processes work on, and the last outcome of each item.
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
            started_at timestamptz DEFAULT now(),
            finished_at timestamptz,
            error text
        );
        -- What a run needs to wait in the queue and to be worked by one process at a time.
        ALTER TABLE \(schema).runs
            ALTER COLUMN started_at DROP NOT NULL,
            ADD COLUMN IF NOT EXISTS queued_at timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN IF NOT EXISTS priority int NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS not_before timestamptz,
            ADD COLUMN IF NOT EXISTS attempts int NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS lease_token bigint NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS lease_owner text,
            ADD COLUMN IF NOT EXISTS lease_until timestamptz,
            ADD COLUMN IF NOT EXISTS trace_id text,
            ADD COLUMN IF NOT EXISTS found_at timestamptz;

        -- The inputs of a batch in the order in which they were found, some hundred to a part. A part is one process's
        -- while its lease lasts; what it says under an older token is refused.
        CREATE TABLE IF NOT EXISTS \(schema).run_parts (
            run_id uuid NOT NULL,
            tenant_id uuid NOT NULL,
            part int NOT NULL,
            entries jsonb NOT NULL,
            attempts int NOT NULL DEFAULT 0,
            lease_token bigint NOT NULL DEFAULT 0,
            lease_owner text,
            lease_until timestamptz,
            items int,
            finished_at timestamptz,
            PRIMARY KEY (run_id, part, tenant_id)
        );

        -- One row for each input and scope. `path` is where the input lies in the batch: empty for items that are no files.
        CREATE TABLE IF NOT EXISTS \(schema).run_items (
            run_id uuid NOT NULL,
            tenant_id uuid NOT NULL,
            collection_id uuid,
            external_id text NOT NULL,
            outcome text NOT NULL,
            code text,
            detail text,
            document_id uuid,
            bytes bigint,
            finished_at timestamptz NOT NULL DEFAULT now(),
            path text NOT NULL DEFAULT '',
            CONSTRAINT run_items_key
                UNIQUE NULLS NOT DISTINCT (run_id, external_id, collection_id, path, tenant_id)
        );
        ALTER TABLE \(schema).run_items
            ADD COLUMN IF NOT EXISTS path text NOT NULL DEFAULT '',
            ADD COLUMN IF NOT EXISTS part int,
            ADD COLUMN IF NOT EXISTS attempts int NOT NULL DEFAULT 1,
            ADD COLUMN IF NOT EXISTS space text,
            ADD COLUMN IF NOT EXISTS chunks int,
            ADD COLUMN IF NOT EXISTS embeddings int,
            ADD COLUMN IF NOT EXISTS dropped_at timestamptz;

        -- What the file system said about a file of a batch when it was last read, and what was read: an unchanged file
        -- need not be opened. `path` is relative to the batch root.
        CREATE TABLE IF NOT EXISTS \(schema).file_stamps (
            tenant_id uuid NOT NULL,
            root text NOT NULL,
            path text NOT NULL,
            stamp text NOT NULL,
            hash bytea NOT NULL,
            bytes bigint NOT NULL,
            -- As it was written: jsonb would order the members anew, and the metadata would seem to have changed.
            sidecar text,
            PRIMARY KEY (tenant_id, root, path)
        );

        """
    }

    /// What the HTTP service keeps: uploaded objects, answered requests and the audit trail.
    static func service(_ schema: SQLIdentifier) -> String {
        """
        -- Where the raw bytes of an uploaded document lie. Its row may come before the document's.
        CREATE TABLE IF NOT EXISTS \(schema).uploads (
            tenant_id uuid NOT NULL,
            document_id uuid NOT NULL,
            case_id text NOT NULL,
            external_id text NOT NULL,
            file_name text NOT NULL,
            content_path text NOT NULL,
            metadata_path text NOT NULL,
            bytes bigint NOT NULL,
            hash text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, document_id)
        );

        CREATE TABLE IF NOT EXISTS \(schema).idempotency_keys (
            tenant_id uuid NOT NULL,
            route text NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            owner uuid NOT NULL,
            locked_until timestamptz NOT NULL,
            status int,
            body bytea,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, route, key)
        );

        CREATE TABLE IF NOT EXISTS \(schema).audit_log (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            action text NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            ticket_ref text NOT NULL,
            operator_label text,
            details jsonb NOT NULL,
            trace_id text,
            created_at timestamptz NOT NULL DEFAULT now()
        );

        """
    }

    /// The function by which a worker takes the next queued run of any of these tenants.
    ///
    /// A function, because row level security shows one tenant's rows at a time: it looks at one tenant after the other
    /// in one round trip. An expired lease is taken over; its token makes the writer that lost it fail.
    static func queue(_ schema: SQLIdentifier) -> String {
        """
        CREATE OR REPLACE FUNCTION \(schema).claim_run(tenants uuid[], worker text, lease interval)
        RETURNS TABLE (run_id uuid, run_tenant uuid, run_token bigint) LANGUAGE plpgsql
        SET search_path TO pg_catalog, pg_temp AS $$
        DECLARE
            tenant uuid;
        BEGIN
            FOREACH tenant IN ARRAY tenants LOOP
                PERFORM set_config('kelter.tenant_id', tenant::text, true);
                RETURN QUERY
                    UPDATE \(schema).runs r SET status = 'running', attempts = r.attempts + 1,
                        started_at = coalesce(r.started_at, clock_timestamp()), lease_token = r.lease_token + 1,
                        lease_owner = worker, lease_until = clock_timestamp() + lease
                    WHERE r.id = (
                        SELECT q.id FROM \(schema).runs q
                        WHERE q.tenant_id = tenant AND q.status IN ('queued', 'running')
                            -- The parts of a batch are taken one by one, by whoever sees its files.
                            AND q.kind <> 'ingest'
                            AND (q.status = 'queued' AND coalesce(q.not_before <= clock_timestamp(), true)
                                OR q.status = 'running' AND q.lease_until < clock_timestamp())
                        ORDER BY q.priority DESC, q.queued_at, q.id LIMIT 1 FOR UPDATE SKIP LOCKED
                    )
                    RETURNING r.id, r.tenant_id, r.lease_token;
                IF FOUND THEN RETURN; END IF;
            END LOOP;
        END
        $$;

        """
    }

    /// The function by which a worker finds a batch of any of these tenants that has parts nobody works on.
    ///
    /// As ``queue(_:)`` it leaves the transaction in the batch's tenant. Batches without a living coordinator are not
    /// found: nobody would close them.
    static func openBatch(_ schema: SQLIdentifier) -> String {
        """
        CREATE OR REPLACE FUNCTION \(schema).open_batch(tenants uuid[], except_runs uuid[])
        RETURNS TABLE (run_id uuid, run_tenant uuid) LANGUAGE plpgsql
        SET search_path TO pg_catalog, pg_temp AS $$
        DECLARE
            tenant uuid;
        BEGIN
            FOREACH tenant IN ARRAY tenants LOOP
                PERFORM set_config('kelter.tenant_id', tenant::text, true);
                RETURN QUERY
                    SELECT q.id, q.tenant_id FROM \(schema).runs q
                    WHERE q.tenant_id = tenant AND q.status = 'running' AND q.kind = 'ingest'
                        AND q.lease_until >= clock_timestamp() AND q.id <> ALL (except_runs)
                        AND EXISTS (
                            SELECT FROM \(schema).run_parts p
                            WHERE p.run_id = q.id AND p.tenant_id = tenant AND p.finished_at IS NULL
                                AND coalesce(p.lease_until < clock_timestamp(), true)
                        )
                    ORDER BY q.priority DESC, q.queued_at, q.id LIMIT 1;
                IF FOUND THEN RETURN; END IF;
            END LOOP;
        END
        $$;

        """
    }

    /// The duplicate guards, the lexical indexes and the vector index.
    static func indexes(_ schema: SQLIdentifier, _ indexing: VectorIndexing, hnsw: HNSW) -> String {
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
        CREATE INDEX IF NOT EXISTS near_bands_document_idx ON \(schema).near_bands (tenant_id, document_id);
        DROP INDEX IF EXISTS \(schema).runs_tenant_started_idx;
        CREATE INDEX IF NOT EXISTS runs_tenant_queued_idx ON \(schema).runs (tenant_id, queued_at DESC);
        CREATE INDEX IF NOT EXISTS runs_queue_idx ON \(schema).runs (tenant_id, priority DESC, queued_at, id)
            WHERE status IN ('queued', 'running');
        CREATE INDEX IF NOT EXISTS chunks_tsv_idx ON \(schema).chunks USING gin (tsv);
        CREATE INDEX IF NOT EXISTS chunks_text_norm_trgm_idx ON \(schema).chunks USING gin (text_norm gin_trgm_ops);
        DO $$
        BEGIN
            -- One vector index is enough: an existing one of another kind is replaced by rebuild-rag-index, not doubled.
            IF NOT EXISTS (
                SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
                WHERE i.indrelid = '\(schema).embeddings'::regclass AND a.amname IN ('hnsw', 'ivfflat')
            ) THEN
                CREATE INDEX embeddings_embedding_hnsw ON \(schema).embeddings
                    USING hnsw (\(indexing.declaredKey))
                    WITH (m = \(hnsw.m), ef_construction = \(hnsw.efConstruction));
            END IF;\(parallelBuild(schema, indexing))
        END
        $$;

        """
    }

    /// Lets several workers build the next index of vectors that lie beside their table.
    ///
    /// It comes after the first index, because a build with workers may need more shared memory than a container has.
    private static func parallelBuild(_ schema: SQLIdentifier, _ indexing: VectorIndexing) -> String {
        guard let workers = indexing.parallelWorkers else { return "" }
        return """

                -- Of vectors out of line an index is built by one process unless the table names a number of workers.
                IF NOT EXISTS (
                    SELECT FROM pg_class, unnest(reloptions) o
                    WHERE oid = '\(schema).embeddings'::regclass AND o LIKE 'parallel_workers=%'
                ) THEN
                    ALTER TABLE \(schema).embeddings SET (parallel_workers = \(workers));
                END IF;
            """
    }
}
