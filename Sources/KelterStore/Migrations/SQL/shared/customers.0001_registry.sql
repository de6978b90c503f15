-- The registry: tenants, their domains and the keys of the HTTP API.
-- Adopts the tables that earlier versions created without a ledger.

CREATE TABLE IF NOT EXISTS tenants (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    schema_name text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS domains (
    domain text PRIMARY KEY,
    schema_name text NOT NULL REFERENCES tenants (schema_name) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS api_keys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    label text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX IF NOT EXISTS api_keys_tenant_idx ON api_keys (tenant_id);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS tenant_isolation ON api_keys;
CREATE POLICY tenant_isolation ON api_keys
    USING (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid);
