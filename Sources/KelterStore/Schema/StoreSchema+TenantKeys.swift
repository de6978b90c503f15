extension StoreSchema {
    /// The keys that keep a row and what it belongs to in one tenant.
    ///
    /// A foreign key is checked with the rights of the table's owner, whom row level security does not bind then: with
    /// the identifier alone a tenant could hang its rows on another's document, which tells that it is there, and whose
    /// place in a unique key they take. So the tenant is part of every foreign key, and of every unique key with a
    /// column that can be guessed. Tables of before get the keys in place of the narrower ones.
    static func tenantKeys(_ schema: SQLIdentifier) -> String {
        """
        DO $$
        DECLARE
            link record;
            narrow record;
        BEGIN
            FOR link IN
                SELECT *, format('%I.%I', '\(schema.name)', l.child)::regclass AS relation,
                    format('%I.%I', '\(schema.name)', l.parent)::regclass AS target
                FROM (VALUES
                    ('sources', 'document_id', 'documents', 'sources_document_fk'),
                    ('near_bands', 'document_id', 'documents', 'near_bands_document_fk'),
                    ('chunks', 'document_id', 'documents', 'chunks_document_fk'),
                    ('embeddings', 'chunk_id', 'chunks', 'embeddings_chunk_fk'),
                    ('run_items', 'run_id', 'runs', 'run_items_run_fk'),
                    ('run_parts', 'run_id', 'runs', 'run_parts_run_fk')
                ) l (child, reference, parent, name)
            LOOP
                EXECUTE format(
                    'CREATE UNIQUE INDEX IF NOT EXISTS %I ON %s (tenant_id, id)', link.parent || '_tenant_id_uk', link.target
                );
                IF NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = link.relation
                        AND confrelid = link.target AND cardinality(conkey) = 2) THEN
                    -- The rows of all tenants are validated, also for an owner whom the policies bind; the end of this
                    -- script forces them again.
                    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', link.relation);
                    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', link.target);
                    EXECUTE format(
                        'ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (tenant_id, %I) REFERENCES %s (tenant_id, id)'
                        ' ON DELETE CASCADE', link.relation, link.name, link.reference, link.target
                    );
                END IF;
                FOR narrow IN
                    SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = link.relation
                        AND confrelid = link.target AND cardinality(conkey) = 1
                LOOP
                    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', link.relation, narrow.conname);
                END LOOP;
            END LOOP;

            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '\(schema).chunks'::regclass
                    AND conname = 'chunks_document_ordinal_key' AND cardinality(conkey) = 3) THEN
                ALTER TABLE \(schema).chunks DROP CONSTRAINT IF EXISTS chunks_document_ordinal_key,
                    ADD CONSTRAINT chunks_document_ordinal_key UNIQUE (document_id, ordinal, tenant_id) DEFERRABLE;
            END IF;
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '\(schema).run_items'::regclass
                    AND conname = 'run_items_key' AND cardinality(conkey) = 5) THEN
                ALTER TABLE \(schema).run_items DROP CONSTRAINT IF EXISTS run_items_key,
                    ADD CONSTRAINT run_items_key
                        UNIQUE NULLS NOT DISTINCT (run_id, external_id, collection_id, path, tenant_id);
            END IF;
        END
        $$;

        """
    }
}
