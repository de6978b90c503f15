extension StoreSchema {
    /// Brings tables of the older system to the present columns, keeping every row; does nothing to tables of kelter's.
    ///
    /// The older tables are recognised by the lack of `documents.generation`, `chunks.lexical` or a mandatory tenant of
    /// the embeddings. What a row lacks is taken from its document: tenant and collection, and the columns that were
    /// members of `metadata`. `chunks.ord` becomes `chunks.ordinal`. Columns that kelter does not fill lose `NOT NULL`.
    static func adoption(_ schema: SQLIdentifier) -> String {
        """
        DO $$
        DECLARE
            fact record;
        BEGIN
            IF (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped AND attnotnull
                    AND (attrelid, attname) IN (('\(schema).documents'::regclass, 'generation'),
                        ('\(schema).chunks'::regclass, 'lexical'), ('\(schema).embeddings'::regclass, 'tenant_id'))) = 3 THEN
                RETURN;
            END IF;

            ALTER TABLE \(schema).collections
                ADD COLUMN IF NOT EXISTS label text,
                ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();
            ALTER TABLE \(schema).documents
                ADD COLUMN IF NOT EXISTS collection_id uuid,
                ADD COLUMN IF NOT EXISTS external_id text,
                ADD COLUMN IF NOT EXISTS source text,
                ADD COLUMN IF NOT EXISTS origin_uri text,
                ADD COLUMN IF NOT EXISTS workflow_id text,
                ADD COLUMN IF NOT EXISTS process text,
                ADD COLUMN IF NOT EXISTS media_type text,
                ADD COLUMN IF NOT EXISTS title text,
                ADD COLUMN IF NOT EXISTS language text,
                ADD COLUMN IF NOT EXISTS case_id text,
                ADD COLUMN IF NOT EXISTS doc_class text,
                ADD COLUMN IF NOT EXISTS embedding_profile text,
                ADD COLUMN IF NOT EXISTS embedding_model text,
                ADD COLUMN IF NOT EXISTS vector_space_id text,
                ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
                ADD COLUMN IF NOT EXISTS metadata_hash text NOT NULL DEFAULT '',
                ADD COLUMN IF NOT EXISTS bytes bigint,
                ADD COLUMN IF NOT EXISTS generation int NOT NULL DEFAULT 1,
                ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
                ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now(),
                ADD COLUMN IF NOT EXISTS deleted_at timestamptz;
            UPDATE \(schema).documents SET
                -- Only its own identifier is certain to be unique in every scope.
                external_id = coalesce(nullif(external_id, ''), id::text),
                title = coalesce(title, metadata ->> 'title'),
                language = coalesce(language, metadata ->> 'language'),
                case_id = coalesce(case_id, metadata ->> 'case_id', metadata ->> 'case'),
                doc_class = coalesce(doc_class, lower(btrim(metadata ->> 'doc_class'))),
                process = coalesce(process, lower(btrim(metadata ->> 'process')));
            ALTER TABLE \(schema).documents ALTER COLUMN external_id SET NOT NULL;
            INSERT INTO \(schema).collections (tenant_id, id)
                SELECT DISTINCT tenant_id, collection_id FROM \(schema).documents WHERE collection_id IS NOT NULL
                ON CONFLICT DO NOTHING;

            IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = '\(schema).chunks'::regclass
                    AND attname = 'ordinal' AND NOT attisdropped) THEN
                ALTER TABLE \(schema).chunks RENAME COLUMN ord TO ordinal;
            END IF;
            ALTER TABLE \(schema).chunks
                ADD COLUMN IF NOT EXISTS tenant_id uuid,
                ADD COLUMN IF NOT EXISTS collection_id uuid,
                ADD COLUMN IF NOT EXISTS tokens int,
                ADD COLUMN IF NOT EXISTS input_hash bytea,
                ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
                ADD COLUMN IF NOT EXISTS lexical regconfig NOT NULL DEFAULT 'pg_catalog.simple',
                ADD COLUMN IF NOT EXISTS text_norm text
                    GENERATED ALWAYS AS (lower(btrim(regexp_replace(text, '\\s+', ' ', 'g')))) STORED;
            ALTER TABLE \(schema).chunks
                ADD COLUMN IF NOT EXISTS tsv tsvector GENERATED ALWAYS AS (to_tsvector(lexical, text)) STORED;
            UPDATE \(schema).chunks c SET tenant_id = d.tenant_id, collection_id = d.collection_id
                FROM \(schema).documents d WHERE d.id = c.document_id
                    AND (c.tenant_id, c.collection_id) IS DISTINCT FROM (d.tenant_id, d.collection_id);
            UPDATE \(schema).chunks c SET ordinal = n.position
                FROM (
                    SELECT id, row_number() OVER (PARTITION BY document_id ORDER BY ordinal, id) - 1 AS position
                    FROM \(schema).chunks
                ) n WHERE n.id = c.id AND c.ordinal <> n.position;
            ALTER TABLE \(schema).chunks ALTER COLUMN tenant_id SET NOT NULL;

            ALTER TABLE \(schema).embeddings
                ADD COLUMN IF NOT EXISTS tenant_id uuid,
                ADD COLUMN IF NOT EXISTS collection_id uuid;
            UPDATE \(schema).embeddings e SET tenant_id = c.tenant_id, collection_id = c.collection_id
                FROM \(schema).chunks c WHERE c.id = e.chunk_id
                    AND (e.tenant_id, e.collection_id) IS DISTINCT FROM (c.tenant_id, c.collection_id);
            ALTER TABLE \(schema).embeddings ALTER COLUMN tenant_id SET NOT NULL;
            IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'chunk_id'
                    WHERE i.indrelid = '\(schema).embeddings'::regclass AND i.indisunique AND i.indpred IS NULL
                        AND i.indkey::int2[] = ARRAY[a.attnum]) THEN
                CREATE UNIQUE INDEX embeddings_chunk_key ON \(schema).embeddings (chunk_id);
            END IF;

            INSERT INTO \(schema).sources (tenant_id, collection_id, external_id, document_id)
                SELECT tenant_id, collection_id, external_id, id FROM \(schema).documents d
                WHERE deleted_at IS NULL AND NOT EXISTS (SELECT FROM \(schema).sources s WHERE s.document_id = d.id)
                ON CONFLICT DO NOTHING;

            FOR fact IN
                SELECT a.attrelid::regclass AS relation, a.attname AS name, EXISTS (
                        SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary
                            AND a.attnum = ANY (i.indkey)
                    ) AS is_key
                FROM pg_attribute a
                WHERE a.attrelid IN ('\(schema).collections'::regclass, '\(schema).documents'::regclass,
                        '\(schema).chunks'::regclass, '\(schema).embeddings'::regclass)
                    AND a.attnum > 0 AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND NOT a.attisdropped
                    AND a.attname NOT IN ('tenant_id', 'external_id', 'hash', 'document_id', 'ordinal', 'text',
                        'chunk_id', 'embedding')
                    AND (a.attrelid = '\(schema).embeddings'::regclass OR a.attname <> 'id')
            LOOP
                EXECUTE format(
                    CASE WHEN fact.is_key THEN 'ALTER TABLE %s ALTER COLUMN %I SET DEFAULT gen_random_uuid()'
                        ELSE 'ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL' END,
                    fact.relation, fact.name
                );
            END LOOP;

            -- The older guards knew no collections and would refuse the same file in two of them.
            DROP INDEX IF EXISTS \(schema).documents_tenant_external_id_uk,
                \(schema).documents_tenant_workflow_external_id_uk, \(schema).documents_tenant_source_hash_idx,
                \(schema).documents_tenant_workflow_source_hash_idx;
        END
        $$;

        """
    }

    /// The constraints that older tables lack, and the refusal of rows that the duplicate guards would not let in.
    static func constraints(_ schema: SQLIdentifier) -> String {
        """
        DO $$
        DECLARE
            name text;
            groups bigint;
        BEGIN
            FOREACH name IN ARRAY ARRAY['documents', 'chunks', 'embeddings'] LOOP
                IF NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f'
                        AND conrelid = format('%I.%I', '\(schema.name)', name)::regclass
                        AND confrelid = '\(schema).collections'::regclass) THEN
                    -- The rows of all tenants are validated; the end of this script forces the policies again.
                    EXECUTE format('ALTER TABLE \(schema).%I NO FORCE ROW LEVEL SECURITY', name);
                    ALTER TABLE \(schema).collections NO FORCE ROW LEVEL SECURITY;
                    EXECUTE format(
                        'ALTER TABLE \(schema).%I ADD CONSTRAINT %I FOREIGN KEY (tenant_id, collection_id)'
                        ' REFERENCES \(schema).collections (tenant_id, id) DEFERRABLE', name, name || '_collection_fk'
                    );
                END IF;
            END LOOP;
            IF to_regclass('\(schema).documents_tenant_collection_hash_idx') IS NULL
                OR to_regclass('\(schema).documents_tenant_hash_null_collection_idx') IS NULL
                OR to_regclass('\(schema).documents_tenant_collection_external_id_uk') IS NULL
                OR to_regclass('\(schema).documents_tenant_external_id_null_collection_uk') IS NULL THEN
                FOREACH name IN ARRAY ARRAY['hash', 'external_id'] LOOP
                    EXECUTE format(
                        'SELECT count(*) FROM (SELECT FROM \(schema).documents'
                        ' GROUP BY tenant_id, collection_id, %I HAVING count(*) > 1) g', name
                    ) INTO groups;
                    IF groups > 0 THEN
                        RAISE EXCEPTION '% values of documents.% occur more than once in the same tenant and collection',
                            groups, name USING ERRCODE = '\(duplicateState)';
                    END IF;
                END LOOP;
            END IF;
        END
        $$;

        """
    }
}
