-- The ledger of backups, and what tells whether a backup still covers a table.

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
