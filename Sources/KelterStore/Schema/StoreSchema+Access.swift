package import KelterModel

extension StoreSchema {
    /// What the roles may do with the tables of a vector space and of the one that stands by beside it; nothing where
    /// there are no such roles.
    ///
    /// Only these tables: the schema may be a tenant's own, with its users in it.
    static func access(_ schema: SQLIdentifier) -> String {
        let tables = allTableNames.map { "'\($0)'" }.joined(separator: ", ")
        return """
            DO $$
            DECLARE
                relation regclass;
                space regnamespace;
                application constant text := '\(DatabaseRole.application.rawValue)';
                reader constant text := '\(DatabaseRole.reader.rawValue)';
                has_application constant boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = application);
                has_reader constant boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = reader);
            BEGIN
                FOR relation IN
                    SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname::text IN ('\(schema.name)', '\(schema.name)_standby') AND c.relkind IN ('r', 'p')
                        AND c.relname IN (\(tables))
                LOOP
                    IF has_application THEN
                        IF (SELECT relname FROM pg_class WHERE oid = relation) = 'vector_space' THEN
                            -- What the space is of has no tenant: changing it would stop everybody's writers. A policy
                            -- says when the fingerprint may be set. Before 'schema apply' there are no such columns.
                            EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', relation, application);
                            IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = 'fingerprint') THEN
                                EXECUTE format(
                                    'GRANT UPDATE (fingerprint, reference) ON %s TO %I', relation, application
                                );
                            END IF;
                        ELSE
                            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', relation, application);
                        END IF;
                    END IF;
                    IF has_reader THEN EXECUTE format('GRANT SELECT ON %s TO %I', relation, reader); END IF;
                END LOOP;
                FOR space IN
                    SELECT n.oid::regnamespace FROM pg_namespace n
                    WHERE n.nspname::text IN ('\(schema.name)', '\(schema.name)_standby')
                LOOP
                    IF has_application THEN EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', space, application); END IF;
                    IF has_reader THEN EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', space, reader); END IF;
                END LOOP;
                IF has_application THEN
                    IF to_regprocedure('\(schema).claim_run(uuid[], text, interval)') IS NOT NULL THEN
                        EXECUTE format(
                            'GRANT EXECUTE ON FUNCTION \(schema).claim_run(uuid[], text, interval) TO %I', application
                        );
                    END IF;
                    IF to_regprocedure('\(schema).open_batch(uuid[], uuid[])') IS NOT NULL THEN
                        EXECUTE format(
                            'GRANT EXECUTE ON FUNCTION \(schema).open_batch(uuid[], uuid[]) TO %I', application
                        );
                    END IF;
                END IF;
            END
            $$;

            """
    }

    /// What the roles may do with the registry in `public`, where there is one: the application looks tenants up and
    /// keeps their keys.
    static let registryAccess = """
        DO $$
        BEGIN
            IF to_regclass('public.kelter_migrations') IS NULL OR to_regclass('public.api_keys') IS NULL THEN
                RETURN;
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.application.rawValue)') THEN
                GRANT SELECT ON public.tenants, public.domains, public.kelter_migrations
                    TO \(DatabaseRole.application.rawValue);
                GRANT SELECT, INSERT, UPDATE, DELETE ON public.api_keys TO \(DatabaseRole.application.rawValue);
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.reader.rawValue)') THEN
                GRANT SELECT ON public.tenants, public.domains, public.kelter_migrations
                    TO \(DatabaseRole.reader.rawValue);
            END IF;
        END
        $$;

        """

    /// What the roles may do in a tenant's own schema: the application checks passwords.
    static func tenantAccess(_ schema: SQLIdentifier) -> String {
        """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.application.rawValue)') THEN
                GRANT USAGE ON SCHEMA \(schema) TO \(DatabaseRole.application.rawValue);
                GRANT SELECT ON \(schema).users, \(schema).kelter_migrations TO \(DatabaseRole.application.rawValue);
            END IF;
        END
        $$;

        """
    }
}

extension Store {
    /// Gives the roles what they may do in a schema that has been migrated, and protects the keys of the API where that
    /// was undone; without roles only the latter.
    ///
    /// - Parameter name: `public` or a tenant's schema.
    /// - Throws: ``KelterError`` of the database.
    package func grantAccess(to name: String) async throws(KelterError) {
        // Sessions that change the rights of the same table at once would fail.
        let lock = "SELECT pg_advisory_xact_lock(\(RegistrySchema.advisoryKey));\n"
        let script =
            name == TenantRecord.publicSchema
            ? StoreSchema.rowLevelSecurity(schemaName: name, tables: ["api_keys"]) + StoreSchema.registryAccess
            : StoreSchema.tenantAccess(try SQLIdentifier(schema: name))
        try await runScript(lock + script)
    }
}
