package import KelterModel

/// A vector space as the older system left it: its columns, its index in L2, vectors that are not unit vectors.
package enum LegacySchema {
    /// Two tenants with `count` documents each, two chunks a document; every third document is in a collection.
    package static func script(dimension: Int, tenants: [Tenant], count: Int) -> String {
        let identifiers = tenants.map { "'\($0.rowID)'" }.joined(separator: ", ")
        return """
            CREATE EXTENSION IF NOT EXISTS vector; CREATE EXTENSION IF NOT EXISTS pg_trgm;
            CREATE SCHEMA rag; SET search_path TO rag, public;
            CREATE TABLE collections (tenant_id uuid NOT NULL, id uuid NOT NULL, slug text, version_label text,
                created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, id));
            CREATE TABLE documents (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, collection_id uuid, workflow_id text,
                source text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), hash text NOT NULL,
                metadata jsonb NOT NULL DEFAULT '{}', lifecycle text NOT NULL DEFAULT 'active', deleted_at timestamptz,
                external_id text);
            CREATE UNIQUE INDEX documents_tenant_external_id_uk ON documents (tenant_id, external_id)
                WHERE workflow_id IS NULL;
            CREATE TABLE chunks (id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
                ord int NOT NULL, text text NOT NULL, tokens int NOT NULL, metadata jsonb NOT NULL DEFAULT '{}');
            ALTER TABLE chunks ADD COLUMN text_norm text
                GENERATED ALWAYS AS (lower(regexp_replace(text, '\\s+', ' ', 'g'))) STORED;
            CREATE TABLE embeddings (id uuid PRIMARY KEY, chunk_id uuid NOT NULL REFERENCES chunks ON DELETE CASCADE,
                embedding vector(\(dimension)) NOT NULL);
            CREATE UNIQUE INDEX embeddings_chunk_idx ON embeddings (chunk_id);
            CREATE INDEX embeddings_embedding_hnsw ON embeddings USING hnsw (embedding vector_l2_ops);

            INSERT INTO collections SELECT t, 'c0110000-0000-4000-8000-000000000001', 'alt'
                FROM unnest(ARRAY[\(identifiers)]::uuid[]) t;
            INSERT INTO documents (id, tenant_id, collection_id, source, hash, metadata, external_id)
                SELECT md5(t::text || i)::uuid, t,
                    CASE WHEN i % 3 = 0 THEN 'c0110000-0000-4000-8000-000000000001'::uuid END, 'upload',
                    encode(sha256(i::text::bytea), 'hex'), jsonb_build_object('title', 'Titel ' || i, 'case', 'alt'),
                    CASE WHEN i % 5 > 0 THEN 'alt-' || i END
                FROM unnest(ARRAY[\(identifiers)]::uuid[]) t, generate_series(1, \(count)) i;
            INSERT INTO chunks (id, document_id, ord, text, tokens)
                SELECT md5(d.id::text || n)::uuid, d.id, n, 'Absatz ' || n || ' von ' || (d.metadata ->> 'title'), 9
                FROM documents d, generate_series(1, 2) n;
            INSERT INTO embeddings (id, chunk_id, embedding)
                SELECT gen_random_uuid(), c.id, ARRAY(
                    SELECT (3 * random() - 1)::real FROM generate_series(1, \(dimension)) WHERE c.id IS NOT NULL
                )::vector FROM chunks c;
            RESET search_path;
            """
    }

    /// The former workflow tables of a tenant's schema, with rows, and Django's own table beside them.
    package static func workflows(schema: String) -> String {
        """
        CREATE SCHEMA \(schema);
        CREATE TABLE public.customers_domain (id bigint PRIMARY KEY, domain text, tenant_id bigint);
        CREATE TABLE \(schema).django_migrations (id bigint PRIMARY KEY, app text, name text);
        CREATE TABLE \(schema).workflows_workflowtemplate (id bigint PRIMARY KEY, name text, created_at timestamptz);
        CREATE TABLE \(schema).workflows_workflowstep (id bigint PRIMARY KEY,
            template_id bigint REFERENCES \(schema).workflows_workflowtemplate, position int);
        CREATE TABLE \(schema).workflows_workflowinstance (id bigint PRIMARY KEY,
            template_id bigint REFERENCES \(schema).workflows_workflowtemplate, state jsonb, created_at timestamptz);
        INSERT INTO \(schema).workflows_workflowtemplate VALUES (1, 'Prüfung "groß"', now()), (2, NULL, now());
        INSERT INTO \(schema).workflows_workflowinstance
            SELECT i, 1 + i % 2, jsonb_build_object('schritt', i), now() + i * interval '1 s'
            FROM generate_series(1, 25) i;
        """
    }
}
