package import KelterModel

extension StoreSchema {
    /// What the roles may do in the schema of a vector space; nothing where there are no such roles.
    static func access(_ schema: SQLIdentifier) -> String {
        """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.application.rawValue)') THEN
                GRANT USAGE ON SCHEMA \(schema), public TO \(DatabaseRole.application.rawValue);
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(schema)
                    TO \(DatabaseRole.application.rawValue);
                -- It has no tenant: changing it would stop everybody's writers.
                IF to_regclass('\(schema).vector_space') IS NOT NULL THEN
                    REVOKE UPDATE, DELETE ON \(schema).vector_space FROM \(DatabaseRole.application.rawValue);
                END IF;
                GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA \(schema) TO \(DatabaseRole.application.rawValue);
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.reader.rawValue)') THEN
                GRANT USAGE ON SCHEMA \(schema), public TO \(DatabaseRole.reader.rawValue);
                GRANT SELECT ON ALL TABLES IN SCHEMA \(schema) TO \(DatabaseRole.reader.rawValue);
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
                GRANT USAGE ON SCHEMA public TO \(DatabaseRole.application.rawValue);
                GRANT SELECT ON public.tenants, public.domains, public.kelter_migrations
                    TO \(DatabaseRole.application.rawValue);
                GRANT SELECT, INSERT, UPDATE, DELETE ON public.api_keys TO \(DatabaseRole.application.rawValue);
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = '\(DatabaseRole.reader.rawValue)') THEN
                GRANT USAGE ON SCHEMA public TO \(DatabaseRole.reader.rawValue);
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
