-- The full present state of a tenant's schema; edit it, then run `kelter make-migrations`.

-- Passwords are in Django's form, so that both systems accept them.
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL UNIQUE,
    email text NOT NULL,
    password text NOT NULL,
    is_superuser boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT true,
    date_joined timestamptz NOT NULL DEFAULT now()
);

-- The users of a tenant are seen by its own transactions only.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON users
    USING (EXISTS (
        SELECT FROM public.tenants t
        JOIN pg_namespace n ON n.nspname = t.schema_name
        JOIN pg_class c ON c.relnamespace = n.oid
        WHERE c.oid = users.tableoid AND t.id = nullif(current_setting('kelter.tenant_id', true), '')::uuid
    ))
    WITH CHECK (EXISTS (
        SELECT FROM public.tenants t
        JOIN pg_namespace n ON n.nspname = t.schema_name
        JOIN pg_class c ON c.relnamespace = n.oid
        WHERE c.oid = users.tableoid AND t.id = nullif(current_setting('kelter.tenant_id', true), '')::uuid
    ));
