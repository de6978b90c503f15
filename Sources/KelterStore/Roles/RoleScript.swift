package import KelterModel

/// The SQL of the three roles, for `kelter roles print` and `kelter roles apply`.
package enum RoleScript {
    /// The script that creates what is missing of the roles and makes `kelter_owner` the owner of kelter's objects.
    ///
    /// It runs as is under `psql -v ON_ERROR_STOP=1 -f -`, any number of times, as a superuser or as a role that may
    /// create roles and owns the database. Passwords are not its business: `\password kelter_app` in psql sets one.
    ///
    /// - Parameter schema: The schema of the vector space; it need not exist yet.
    /// - Returns: The text of the script.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` for a name that no schema can have.
    package static func sql(schema: String) throws(KelterError) -> String {
        let schema = try SQLIdentifier(schema: schema)
        let names = DatabaseRole.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let spaceTables = StoreSchema.allTableNames.map { "'\($0)'" }.joined(separator: ", ")
        let (owner, application) = (DatabaseRole.owner.rawValue, DatabaseRole.application.rawValue)
        return """
            -- The roles of kelter: \(owner) owns, \(application) reads and writes, \(DatabaseRole.reader.rawValue) reads.
            BEGIN;
            SET LOCAL client_min_messages TO warning;
            CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
            CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;

            DO $$
            DECLARE
                name text;
                item record;
            BEGIN
                PERFORM pg_advisory_xact_lock(\(StoreSchema.advisoryKey));
                FOREACH name IN ARRAY ARRAY[\(names)] LOOP
                    BEGIN
                        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                            EXECUTE format('CREATE ROLE %I LOGIN', name);
                        END IF;
                    EXCEPTION WHEN duplicate_object OR unique_violation THEN
                        -- Roles belong to the whole server: a session of another database was first.
                        NULL;
                    END;
                    IF EXISTS (SELECT FROM pg_roles WHERE rolname = name AND (rolsuper OR rolbypassrls OR rolcreaterole)) THEN
                        EXECUTE format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE', name);
                    END IF;
                    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), name);
                    -- Everybody has it unless it was taken away; only then must it be one's own to give.
                    IF NOT has_schema_privilege(name, 'public', 'USAGE') THEN
                        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', name);
                    END IF;
                END LOOP;
                EXECUTE format('GRANT CREATE ON DATABASE %I TO \(owner)', current_database());
                IF NOT has_schema_privilege('\(owner)', 'public', 'CREATE') THEN
                    GRANT CREATE ON SCHEMA public TO \(owner);
                END IF;
                -- To hand objects over one must be able to become the new owner; since version 16 that is a right of its own.
                IF NOT pg_has_role(current_user, '\(owner)',
                        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
                    EXECUTE format('GRANT \(owner) TO %I', current_user);
                END IF;

                CREATE SCHEMA IF NOT EXISTS \(schema);
                -- Only kelter's own tables are handed over: what else lies beside them stays with its owner.
                FOR item IN
                    SELECT c.oid::regclass AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND c.relowner <> '\(owner)'::regrole AND CASE
                        WHEN n.nspname::text IN ('\(schema.name)', '\(schema.name)_standby')
                            AND c.relname IN (\(spaceTables)) THEN true
                        WHEN n.nspname = 'public' THEN c.relname IN ('tenants', 'domains', 'api_keys', 'backups',
                            'legacy_backups', 'kelter_migrations')
                            AND EXISTS (SELECT FROM pg_class k WHERE k.relnamespace = n.oid AND k.relname = 'kelter_migrations')
                        ELSE c.relname IN ('users', 'kelter_migrations')
                            AND EXISTS (SELECT FROM pg_class k WHERE k.relnamespace = n.oid AND k.relname = 'kelter_migrations')
                            OR c.relname LIKE 'workflows\\_workflow%'
                    END
                LOOP
                    EXECUTE format('ALTER TABLE %s OWNER TO \(owner)', item.relation);
                END LOOP;
                FOR item IN
                    SELECT n.nspname AS name, NOT EXISTS (
                            SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm')
                                AND c.relowner <> '\(owner)'::regrole
                        ) AS is_own
                    FROM pg_namespace n
                    WHERE n.nspowner <> '\(owner)'::regrole AND n.nspname <> 'public'
                        AND (n.nspname::text IN ('\(schema.name)', '\(schema.name)_standby') OR EXISTS (
                            SELECT FROM pg_class k WHERE k.relnamespace = n.oid AND k.relkind = 'r'
                                AND (k.relname IN ('kelter_migrations', 'django_migrations')
                                    OR k.relname LIKE 'workflows\\_workflow%')
                        ))
                LOOP
                    IF item.is_own THEN
                        EXECUTE format('ALTER SCHEMA %I OWNER TO \(owner)', item.name);
                    ELSE
                        -- With the option, so that the owner can let the application in.
                        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO \(owner) WITH GRANT OPTION', item.name);
                    END IF;
                END LOOP;
                FOR item IN
                    SELECT p.oid::regprocedure AS routine FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    WHERE p.proowner <> '\(owner)'::regrole
                        AND (n.nspname = '\(schema.name)' AND p.proname IN ('claim_run', 'open_batch')
                            OR n.nspname = 'public' AND p.proname LIKE 'kelter\\_%')
                LOOP
                    EXECUTE format('ALTER FUNCTION %s OWNER TO \(owner)', item.routine);
                END LOOP;
            END
            $$;

            -- Row level security keeps an index from every condition that might reveal a hidden row. Matching a tsvector
            -- reveals nothing but its result, which only a superuser may declare; without that, a search by words reads
            -- all of its tenant's chunks.
            DO $$
            BEGIN
                IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
                    AND NOT (SELECT proleakproof FROM pg_proc WHERE oid = 'pg_catalog.ts_match_vq'::regproc) THEN
                    ALTER FUNCTION pg_catalog.ts_match_vq(tsvector, tsquery) LEAKPROOF;
                END IF;
            END
            $$;

            DO $$
            DECLARE
                item record;
            BEGIN
                FOR item IN
                    SELECT n.nspname AS name FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace
                    JOIN pg_class u ON u.relnamespace = n.oid AND u.relname = 'users'
                    WHERE n.nspname <> 'public' AND k.relname = 'kelter_migrations' AND k.relkind = 'r'
                LOOP
                    EXECUTE format('GRANT USAGE ON SCHEMA %I TO \(application)', item.name);
                    EXECUTE format('GRANT SELECT ON %I.users, %I.kelter_migrations TO \(application)', item.name, item.name);
                END LOOP;
            END
            $$;

            \(StoreSchema.registryAccess)
            \(StoreSchema.access(schema))
            COMMIT;

            """
    }
}

extension Store {
    /// Creates the roles and hands kelter's objects to their owner.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/databaseError`` when the session may not do that.
    package func applyRoles() async throws(KelterError) {
        try await runTransactionScript(try RoleScript.sql(schema: schema.name))
    }
}
