import KelterModel

/// What earlier versions left on a server.
enum RegistryFixture {
    /// The registry and the tables of the tenant `old` as they were created before there were migrations, with rows.
    static let unnumbered = """
        CREATE TABLE public.tenants (
            id uuid PRIMARY KEY,
            key text NOT NULL UNIQUE,
            schema_name text NOT NULL UNIQUE,
            name text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE public.domains (
            domain text PRIMARY KEY,
            schema_name text NOT NULL REFERENCES public.tenants (schema_name) ON DELETE CASCADE,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE public.api_keys (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            label text NOT NULL,
            digest bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            revoked_at timestamptz
        );
        CREATE INDEX api_keys_tenant_idx ON public.api_keys (tenant_id);
        ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;
        ALTER TABLE public.api_keys FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant_isolation ON public.api_keys
            USING (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid)
            WITH CHECK (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid);
        CREATE SCHEMA old;
        CREATE TABLE old.users (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            username text NOT NULL UNIQUE,
            email text NOT NULL,
            password text NOT NULL,
            is_superuser boolean NOT NULL DEFAULT false,
            is_active boolean NOT NULL DEFAULT true,
            date_joined timestamptz NOT NULL DEFAULT now()
        );
        INSERT INTO public.tenants (id, key, schema_name, name)
            VALUES ('\(Fixture.tenant("old-tenant").rowID)', 'old-tenant', 'old', 'Old');
        INSERT INTO public.domains (domain, schema_name) VALUES ('old.localhost', 'old');
        INSERT INTO old.users (username, email, password, is_superuser) VALUES ('anna', 'a@example.com', 'x', true);
        """
}
