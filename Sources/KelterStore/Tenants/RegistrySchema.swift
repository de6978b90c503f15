/// The SQL of the registry of tenants in the schema `public`.
///
/// Its tables tell which tenants there are and under which domains; they have no `tenant_id`, so that a request's tenant
/// can be looked up before it is known. The keys of the API belong to one tenant each and are protected like documents.
enum RegistrySchema {
    /// The script that creates what is missing, in one transaction.
    static let sql = """
        BEGIN;
        SET LOCAL client_min_messages TO warning;
        SELECT pg_advisory_xact_lock(\(advisoryKey));

        CREATE TABLE IF NOT EXISTS public.tenants (
            id uuid PRIMARY KEY,
            key text NOT NULL UNIQUE,
            schema_name text NOT NULL UNIQUE,
            name text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE IF NOT EXISTS public.domains (
            domain text PRIMARY KEY,
            schema_name text NOT NULL REFERENCES public.tenants (schema_name) ON DELETE CASCADE,
            created_at timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE IF NOT EXISTS public.api_keys (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            label text NOT NULL,
            digest bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            revoked_at timestamptz
        );
        CREATE INDEX IF NOT EXISTS api_keys_tenant_idx ON public.api_keys (tenant_id);

        \(StoreSchema.rowLevelSecurity(schemaName: "public", tables: ["api_keys"]))
        COMMIT;
        """

    /// The tables of a tenant's own schema.
    ///
    /// Passwords are in Django's form, so that both systems accept them.
    static func tenantTables(_ schema: SQLIdentifier) -> String {
        """
        CREATE SCHEMA IF NOT EXISTS \(schema);
        CREATE TABLE IF NOT EXISTS \(schema).users (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            username text NOT NULL UNIQUE,
            email text NOT NULL,
            password text NOT NULL,
            is_superuser boolean NOT NULL DEFAULT false,
            is_active boolean NOT NULL DEFAULT true,
            date_joined timestamptz NOT NULL DEFAULT now()
        );
        """
    }

    /// "KELTREG1" as a number: the key of the lock that changes of the registry take.
    static let advisoryKey = 0x4B45_4C54_5245_4731
}
