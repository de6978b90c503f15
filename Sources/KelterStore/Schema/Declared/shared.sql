-- The full present state of the schema `public`; edit it, then run `kelter make-migrations`.

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    schema_name text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE domains (
    domain text PRIMARY KEY,
    schema_name text NOT NULL REFERENCES tenants (schema_name) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    label text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_tenant_idx ON api_keys (tenant_id);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON api_keys
    USING (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('kelter.tenant_id', true), '')::uuid);

CREATE TABLE backups (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    location text NOT NULL,
    bytes bigint,
    server_version text,
    taken_by text NOT NULL DEFAULT current_user,
    taken_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE legacy_backups (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    row_count bigint NOT NULL,
    digest text NOT NULL,
    location text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);

-- SHA-256 over the sorted SHA-256 of each row's text: the same for the same rows in whatever order they lie. The
-- settings are fixed, because the text of a row depends on them.
CREATE FUNCTION kelter_table_digest(relation regclass) RETURNS text LANGUAGE plpgsql STABLE
SET search_path TO pg_catalog, pg_temp
SET row_security TO off
SET timezone TO 'UTC'
SET datestyle TO 'ISO, YMD'
SET intervalstyle TO 'postgres'
SET bytea_output TO 'hex'
SET extra_float_digits TO 1
AS $$
DECLARE
    digest text;
BEGIN
    EXECUTE format(
        'SELECT encode(sha256(coalesce(string_agg(hash, '''' ORDER BY hash), '''')), ''hex'')'
        ' FROM (SELECT sha256(convert_to((r.*)::text, ''UTF8'')) AS hash FROM %s r) AS hashes',
        relation
    ) INTO digest;
    RETURN digest;
END
$$;
