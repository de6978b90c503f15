extension StoreSchema {
    /// The vectors of texts that were embedded before, by the hash of the text; see ``CacheSpace``.
    ///
    /// The tenant comes first in the key, so that an entry of one tenant is neither found nor refused by what another has.
    /// An `embedding` that is NULL is a text without direction. The vectors are of no fixed width here, and not compressed:
    /// their bits are as good as random.
    static func embeddingCache(_ schema: SQLIdentifier) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(schema).embedding_cache (
            tenant_id uuid NOT NULL,
            input_hash bytea NOT NULL,
            fingerprint text NOT NULL,
            template text NOT NULL,
            dimension int NOT NULL,
            embedding public.vector,
            created_at timestamptz NOT NULL DEFAULT now(),
            used_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, input_hash, fingerprint, template, dimension)
        );
        CREATE INDEX IF NOT EXISTS embedding_cache_used_idx ON \(schema).embedding_cache (tenant_id, used_at);

        DO $$
        DECLARE
            name text;
        BEGIN
            IF (SELECT attstorage FROM pg_attribute
                WHERE attrelid = '\(schema).embedding_cache'::regclass AND attname = 'embedding') <> 'e' THEN
                ALTER TABLE \(schema).embedding_cache ALTER COLUMN embedding SET STORAGE EXTERNAL;
            END IF;
            -- The planner's statistics are of all tenants together: by an estimate, a text that several others have could
            -- be told from one that nobody has.
            FOREACH name IN ARRAY ARRAY['input_hash', 'fingerprint', 'template', 'embedding'] LOOP
                IF (SELECT attstattarget FROM pg_attribute
                    WHERE attrelid = '\(schema).embedding_cache'::regclass AND attname = name) IS DISTINCT FROM 0 THEN
                    EXECUTE format('ALTER TABLE \(schema).embedding_cache ALTER COLUMN %I SET STATISTICS 0', name);
                END IF;
            END LOOP;
        END
        $$;

        """
    }
}
