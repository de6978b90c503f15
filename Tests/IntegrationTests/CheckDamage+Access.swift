extension CheckDamage {
    private static let applyRoles = "Run 'kelter roles apply'."

    static let protection = [
        CheckDamage(
            "row level security is off",
            "ALTER TABLE rag.documents DISABLE ROW LEVEL SECURITY",
            failed: ["row-level-security"],
            detail: "rag.documents: row level security is off",
            fix: "Run 'kelter schema apply'."
        ),
        CheckDamage(
            "row level security does not bind the owner",
            "ALTER TABLE rag.chunks NO FORCE ROW LEVEL SECURITY",
            failed: ["row-level-security"],
            detail: "rag.chunks: it is not forced on the owner",
            fix: "Run 'kelter schema apply'."
        ),
        CheckDamage(
            "no policy",
            "DROP POLICY tenant_isolation ON rag.runs",
            failed: ["row-level-security"],
            detail: "rag.runs: no policy tenant_isolation",
            fix: "Run 'kelter schema apply'."
        ),
        CheckDamage(
            "a policy that lets everyone in",
            "ALTER POLICY tenant_isolation ON rag.sources USING (true) WITH CHECK (true)",
            failed: ["row-level-security"],
            detail: "rag.sources: no policy tenant_isolation",
            fix: "DROP POLICY tenant_isolation ON rag.sources"
        ),
        CheckDamage(
            "a policy that lets everyone write",
            "ALTER POLICY tenant_isolation ON rag.sources WITH CHECK (true)",
            failed: ["row-level-security"],
            detail: "rag.sources: no policy tenant_isolation",
            fix: "DROP POLICY tenant_isolation ON rag.sources"
        ),
        CheckDamage(
            "a policy that is bound to the tenant or not",
            """
            ALTER POLICY tenant_isolation ON rag.sources
                USING (true OR tenant_id = current_setting('kelter.tenant_id')::uuid OR tenant_id IS NOT NULL)
            """,
            failed: ["row-level-security"],
            detail: "rag.sources: no policy tenant_isolation",
            fix: "DROP POLICY tenant_isolation ON rag.sources"
        ),
        CheckDamage(
            "a second policy that lets everyone in",
            #"CREATE POLICY "for all" ON rag.runs USING (true)"#,
            failed: ["row-level-security"],
            detail: #"rag.runs: policy "for all" does not keep tenants apart"#,
            fix: #"DROP POLICY "for all" ON rag.runs"#
        ),
        CheckDamage(
            "a table of somebody's without protection",
            "CREATE TABLE rag.notes (tenant_id uuid NOT NULL)",
            failed: ["row-level-security"],
            detail: "rag.notes: row level security is off",
            fix: "kelter schema apply",
            isRepaired: false
        ),
        CheckDamage(
            "the keys of the API are not protected",
            "ALTER TABLE public.api_keys DISABLE ROW LEVEL SECURITY",
            failed: ["row-level-security"],
            detail: "public.api_keys: row level security is off",
            fix: "Run 'kelter migrate-schemas --shared'."
        ),
    ]

    static let roles = [
        CheckDamage(
            "the reader bypasses row level security",
            "ALTER ROLE {reader} BYPASSRLS",
            failed: ["roles"],
            detail: "{reader} has BYPASSRLS",
            fix: applyRoles
        ),
        CheckDamage(
            "the application bypasses row level security",
            "ALTER ROLE {app} BYPASSRLS",
            failed: ["roles", "connection-role"],
            detail: "{app} has BYPASSRLS",
            fix: applyRoles
        ),
        CheckDamage(
            "the application is a superuser",
            "ALTER ROLE {app} SUPERUSER",
            failed: ["roles", "connection-role"],
            detail: "{app} is a superuser",
            fix: applyRoles
        ),
        CheckDamage(
            "the owner may make roles",
            "ALTER ROLE {owner} CREATEROLE",
            failed: ["roles"],
            detail: "{owner} has CREATEROLE",
            fix: applyRoles
        ),
        CheckDamage(
            "there is no owner",
            "DROP ROLE {owner}",
            failed: ["roles"],
            detail: "{owner} does not exist",
            fix: applyRoles
        ),
        CheckDamage(
            "there is no reader",
            "DROP OWNED BY {reader}; DROP ROLE {reader}",
            failed: ["roles"],
            detail: "{reader} does not exist",
            fix: applyRoles
        ),
        CheckDamage(
            "the application owns a table",
            "ALTER TABLE rag.audit_log OWNER TO {app}",
            failed: ["roles", "connection-role"],
            detail: "{app} owns 1 objects",
            fix: applyRoles
        ),
        CheckDamage(
            "the application owns the registry",
            "ALTER TABLE public.tenants OWNER TO {app}",
            failed: ["roles", "connection-role"],
            detail: "{app} owns 1 objects",
            fix: applyRoles
        ),
        CheckDamage(
            "the application is a member of the owner",
            "GRANT {owner} TO {app}",
            failed: ["roles"],
            detail: "{app} is a member of {owner}",
            fix: applyRoles
        ),
        CheckDamage(
            "the application may not delete",
            "REVOKE DELETE ON rag.chunks FROM {app}",
            failed: ["roles"],
            detail: "{app} may not read and write chunks",
            fix: applyRoles
        ),
        CheckDamage(
            "the application may not set the fingerprint of the model",
            "REVOKE UPDATE ON rag.vector_space FROM {app}",
            failed: ["roles"],
            detail: "{app} may not read and write vector_space",
            fix: applyRoles
        ),
        CheckDamage(
            "the reader may not read",
            "REVOKE SELECT ON rag.chunks FROM {reader}; REVOKE USAGE ON SCHEMA rag FROM {reader}",
            failed: ["roles"],
            detail: "{reader} may not use the schema rag; {reader} may not read chunks",
            fix: applyRoles
        ),
        CheckDamage(
            "the reader may write",
            "GRANT UPDATE ON rag.chunks TO {reader}",
            failed: ["roles"],
            detail: "{reader} may write chunks",
            fix: applyRoles
        ),
    ]
}
