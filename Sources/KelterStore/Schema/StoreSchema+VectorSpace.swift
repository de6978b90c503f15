extension StoreSchema {
    /// What the vectors of a space are of: one row with the model's name and its fingerprint.
    static func vectorSpace(_ schema: SQLIdentifier) -> String {
        """
        -- One row, entered by the first write: vectors of two models cannot be compared.
        CREATE TABLE IF NOT EXISTS \(schema).vector_space (
            is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
            model text NOT NULL,
            since timestamptz NOT NULL DEFAULT now()
        );

        \(fingerprint(of: schema))
        """
    }

    /// The columns by which a model is known again although its name stays, and who may set them.
    ///
    /// `reference` holds the model's vectors of the probe texts, one after the other; `fingerprint` is made from them.
    /// The application's role sets both where there are none, which is all that the policies let it change: what the
    /// space is of concerns all tenants. Policies do not bind the owner, who replaces them. A space that stands by beside
    /// this one is brought up to date with it.
    static func fingerprint(of schema: SQLIdentifier) -> String {
        """
        DO $$
        DECLARE
            relation regclass;
        BEGIN
            FOR relation IN
                SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname::text IN ('\(schema.name)', '\(schema.name)_standby') AND c.relname = 'vector_space'
                    AND c.relkind = 'r'
            LOOP
                IF (SELECT count(*) FROM pg_attribute WHERE attrelid = relation AND NOT attisdropped
                        AND attname IN ('fingerprint', 'reference')) < 2 THEN
                    EXECUTE format(
                        'ALTER TABLE %s ADD COLUMN IF NOT EXISTS fingerprint text, ADD COLUMN IF NOT EXISTS reference real[]',
                        relation
                    );
                END IF;
                IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = 'fingerprint_once') THEN
                    EXECUTE format('CREATE POLICY space_read ON %s FOR SELECT USING (true)', relation);
                    EXECUTE format('CREATE POLICY space_stamp ON %s FOR INSERT WITH CHECK (true)', relation);
                    EXECUTE format(
                        'CREATE POLICY fingerprint_once ON %s FOR UPDATE USING (fingerprint IS NULL) WITH CHECK (true)',
                        relation
                    );
                END IF;
                IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = relation) THEN
                    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
                END IF;
            END LOOP;
        END
        $$;

        """
    }
}
