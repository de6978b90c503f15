package import KelterModel

/// The SQL of the vector store, for `kelter schema print` and `kelter schema apply`.
package enum StoreSchema {
    /// The parameters of the HNSW index on the embeddings.
    package struct HNSW: Sendable, Equatable {
        /// Links per node.
        ///
        /// Default 32.
        package var m: Int
        /// Candidates looked at while a node is inserted.
        ///
        /// Default 200.
        package var efConstruction: Int

        package init(m: Int = 32, efConstruction: Int = 200) {
            self.m = m
            self.efConstruction = efConstruction
        }
    }

    /// SQLSTATE raised by the script when the stored vectors have another dimension.
    static let dimensionState = "KLT01"
    /// SQLSTATE raised by the script when PostgreSQL or pgvector is too old.
    static let versionState = "KLT02"
    /// SQLSTATE raised by the script when rows of the older system break a duplicate guard.
    static let duplicateState = "KLT04"
    /// The widest vectors that pgvector can index: as a `vector` up to 2000 dimensions, above in half precision.
    package static let maximumDimension = VectorIndexing.widest

    /// The script that creates everything that is missing, in one transaction, and changes nothing that is there.
    ///
    /// It runs as is under `psql -v ON_ERROR_STOP=1 -f -`, any number of times, also by several sessions at once.
    ///
    /// - Parameters:
    ///   - schema: The schema to create; see ``SQLIdentifier``.
    ///   - dimension: The width of the vectors, 1 to 4000.
    ///   - hnsw: m from 2 to 100 and ef_construction from 4 to 1000, at least twice m, as pgvector demands.
    /// - Returns: The text of the script.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    package static func sql(schema: String, dimension: Int, hnsw: HNSW = HNSW()) throws(KelterError) -> String {
        let schema = try SQLIdentifier(schema: schema)
        try check(dimension: dimension)
        guard (2...100).contains(hnsw.m), (4...1000).contains(hnsw.efConstruction), hnsw.efConstruction >= 2 * hnsw.m
        else {
            throw KelterError(
                .settingInvalid,
                "m = \(hnsw.m) and ef_construction = \(hnsw.efConstruction) are not valid for an HNSW index.",
                subject: "RAG_HNSW_M, RAG_HNSW_EF_CONSTRUCTION",
                fix: "Use m from 2 to 100 and ef_construction from twice m to 1000."
            )
        }
        let indexing = VectorIndexing(dimension: dimension)
        return [
            prologue(schema, indexing), tables(schema, indexing), adoption(schema), ledger(schema),
            vectorSpace(schema), service(schema), embeddingCache(schema), queue(schema),
            openBatch(schema), constraints(schema),
            tenantKeys(schema), indexes(schema, indexing, hnsw: hnsw),
            rowLevelSecurity(schema), access(schema), "COMMIT;\n",
        ].joined(separator: "\n")
    }

    /// Refuses a width that no index can hold.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    static func check(dimension: Int) throws(KelterError) {
        guard (1...maximumDimension).contains(dimension) else {
            throw KelterError(
                .settingInvalid,
                dimension < 1
                    ? "A vector needs at least one dimension, not \(dimension)."
                    : "pgvector cannot index \(dimension) dimensions: HNSW on 'halfvec' ends at \(maximumDimension).",
                subject: "EMBEDDINGS_DIM",
                fix: "Use a model with 1 to \(maximumDimension) dimensions."
            )
        }
    }

    private static func prologue(_ schema: SQLIdentifier, _ indexing: VectorIndexing) -> String {
        """
        -- The vector store of kelter in schema \(schema). Safe to run again.
        BEGIN;
        SET LOCAL client_min_messages TO warning;
        SET LOCAL search_path TO public, pg_temp;

        DO $$
        DECLARE
            version int[];
        BEGIN
            IF current_setting('server_version_num')::int < 150000 THEN
                RAISE EXCEPTION 'PostgreSQL 15 or newer is needed, this is %', current_setting('server_version')
                    USING ERRCODE = '\(versionState)';
            END IF;
            -- Two sessions that create the same objects at once would fail; the second waits and finds them.
            PERFORM pg_advisory_xact_lock(\(advisoryKey));
            CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
            CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
            SELECT string_to_array(substring(extversion FROM '^[0-9]+(?:\\.[0-9]+)*'), '.')::int[] INTO version
                FROM pg_extension WHERE extname = 'vector';
            IF version < ARRAY[\(indexing.oldestVersion.map(String.init).joined(separator: ", "))] THEN
                RAISE EXCEPTION 'PGVECTOR_TOO_OLD: \(indexing.versionDemand), this is %',
                    array_to_string(version, '.') USING ERRCODE = '\(versionState)';
            ELSIF version < ARRAY[0, 8, 4] THEN
                RAISE WARNING 'pgvector % is older than 0.8.4, which fixed corruption of HNSW indexes: '
                    'upgrade and rebuild the index', array_to_string(version, '.');
            END IF;
        END
        $$;

        CREATE SCHEMA IF NOT EXISTS \(schema);

        """
    }

    /// The tables of a vector space: each has a `tenant_id`.
    static let tableNames = [
        "collections", "documents", "sources", "chunks", "embeddings", "runs", "run_parts", "run_items",
        "near_bands", "file_stamps", "uploads", "idempotency_keys", "audit_log", "embedding_cache",
    ]

    /// "KELTER01" as a number: the key of the lock that schema scripts take.
    static let advisoryKey = 0x4B45_4C54_4552_3031

    /// All tables of a vector space: those with a `tenant_id`, and what is known about the space as a whole.
    static let allTableNames = tableNames + ["vector_space"]

    private static func rowLevelSecurity(_ schema: SQLIdentifier) -> String {
        rowLevelSecurity(schemaName: schema.name, tables: tableNames)
    }

    /// Protects tables with a `tenant_id`: a transaction sees and writes the rows of its own tenant only.
    static func rowLevelSecurity(schemaName: String, tables: [String]) -> String {
        """
        DO $$
        DECLARE
            name text;
            relation regclass;
        BEGIN
            FOREACH name IN ARRAY ARRAY[\(tables.map { "'\($0)'" }.joined(separator: ", "))] LOOP
                relation := format('%I.%I', '\(schemaName)', name)::regclass;
                IF NOT (SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = relation) THEN
                    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
                    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
                END IF;
                IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = 'tenant_isolation') THEN
                    EXECUTE format(
                        'CREATE POLICY tenant_isolation ON %s'
                        ' USING (tenant_id = nullif(current_setting(''kelter.tenant_id'', true), '''')::uuid)'
                        ' WITH CHECK (tenant_id = nullif(current_setting(''kelter.tenant_id'', true), '''')::uuid)',
                        relation
                    );
                END IF;
            END LOOP;
        END
        $$;

        """
    }
}
