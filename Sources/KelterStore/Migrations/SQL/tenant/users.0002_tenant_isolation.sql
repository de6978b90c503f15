-- Keeps the users, with their password hashes, from every transaction that is not of the schema's own tenant: the
-- application's role may read all tenants' schemas.

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
