package import KelterModel

extension Store {
    /// Brings the registry's tables in the schema `public` up to date.
    ///
    /// - Throws: ``KelterError`` as ``migrate(_:schema:progress:)`` does.
    package func applyRegistry() async throws(KelterError) {
        try await migrate(.embedded(.shared), schema: TenantRecord.publicSchema)
        try await grantAccess(to: TenantRecord.publicSchema)
    }

    /// Makes sure that there is a registry without migrating one: creates it where there is none, and refuses one that
    /// lacks migrations of this program, which are to run by themselves and behind their gate.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/migrationsPending``, and as ``applyRegistry()``.
    package func prepareRegistry() async throws(KelterError) {
        let isThere = try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                try connection.hasTable("public.tenants")
            }
        }
        guard isThere else { return try await applyRegistry() }
        try await requireMigrations(.shared, schema: TenantRecord.publicSchema)
    }

    /// Makes sure that there is the public tenant and that a domain leads to it; the runbook's
    /// `bootstrap_public_tenant`.
    ///
    /// - Parameter domain: The domain, such as `localhost`.
    /// - Returns: Whether anything had to be created.
    /// - Throws: ``KelterError`` with ``ErrorCode/tenantConflict`` when the domain leads elsewhere.
    package func bootstrapPublicTenant(domain: String) async throws(KelterError) -> Bool {
        let schema = TenantRecord.publicSchema
        return try await createTenant(
            TenantRecord(tenant: try Tenant(schema), schema: schema, name: "Public", domains: [domain])
        )
    }

    /// Makes sure that there is a tenant with its schema, its tables and its domains; the runbook's `create_tenant`.
    ///
    /// When the schema's migrations fail, the tenant is registered already; a repetition goes on with them.
    ///
    /// - Parameter record: The tenant. Its domains are folded to lower case.
    /// - Returns: Whether anything had to be created; a repetition with the same values changes nothing.
    /// - Throws: ``KelterError`` with ``ErrorCode/tenantConflict`` when key, schema or a domain belong to another tenant,
    ///   ``ErrorCode/settingInvalid`` for a name no schema or domain can have, and as ``migrate(_:schema:progress:)``.
    package func createTenant(_ record: TenantRecord) async throws(KelterError) -> Bool {
        _ = try SQLIdentifier(schema: record.schema, subject: "--schema")
        // A vector space may live in its tenant's schema, but the common one is nobody's.
        guard record.schema != Self.commonSpace, !record.schema.hasSuffix("_standby") else {
            throw KelterError(
                .tenantConflict,
                "The schema \(record.schema) is kept for vector spaces.",
                subject: "--schema",
                fix: "Choose another name for the tenant's schema."
            )
        }
        let domains = try record.domains.map { (domain) throws(KelterError) in try Self.checkedDomain(domain) }
        let isChanged = try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                _ = try connection.query("SELECT pg_advisory_xact_lock($1)", [.int(RegistrySchema.advisoryKey)])
                var isChanged = try connection.insertTenant(record)
                for domain in domains where try connection.insertDomain(domain, of: record.schema) {
                    isChanged = true
                }
                return isChanged
            }
        }
        guard record.schema != TenantRecord.publicSchema else { return isChanged }
        let applied = try await migrate(.embedded(.tenant), schema: record.schema)
        try await grantAccess(to: record.schema)
        return isChanged || !applied.isEmpty
    }

    /// The schema of the vector space unless the settings name another.
    private static let commonSpace = "rag"

    /// The tenant of a schema; `nil` when there is none.
    package func tenant(schema name: String) async throws(KelterError) -> TenantRecord? {
        try await tenants("WHERE t.schema_name = $1", [.text(name)]).first
    }

    /// The tenant that a domain leads to; `nil` when there is none.
    ///
    /// - Parameter domain: A host name without port, in any case.
    /// - Returns: The tenant.
    /// - Throws: ``KelterError`` of the database.
    package func tenant(domain: String) async throws(KelterError) -> TenantRecord? {
        try await tenants(
            "WHERE t.schema_name = (SELECT schema_name FROM public.domains WHERE domain = $1)",
            [.text(lowercasedASCII(domain))]
        ).first
    }

    /// All tenants by schema, the public one among them.
    package func tenants() async throws(KelterError) -> [TenantRecord] {
        try await tenants("", [])
    }

    private func tenants(_ condition: String, _ parameters: [Parameter]) async throws(KelterError) -> [TenantRecord] {
        try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                guard try connection.hasTable("public.domains") else {
                    throw .finding(
                        KelterError(
                            .schemaMissing,
                            "The database has no registry of tenants.",
                            subject: "public.tenants",
                            fix:
                                "Run 'kelter migrate-schemas --shared' and 'kelter bootstrap-public-tenant --domain localhost'."
                        )
                    )
                }
                let rows = try connection.query(
                    """
                    SELECT t.key, t.schema_name, t.name, coalesce(string_agg(d.domain, ' ' ORDER BY d.domain), '')
                    FROM public.tenants t LEFT JOIN public.domains d USING (schema_name)
                    \(condition) GROUP BY t.id ORDER BY t.schema_name
                    """,
                    parameters
                )
                return (0..<rows.count).compactMap { row in
                    guard let tenant = rows.text(row, 0).flatMap({ try? Tenant($0) }), let schema = rows.text(row, 1)
                    else { return nil }
                    return TenantRecord(
                        tenant: tenant,
                        schema: schema,
                        name: rows.text(row, 2) ?? "",
                        domains: (rows.text(row, 3) ?? "").split(separator: " ").map(String.init)
                    )
                }
            }
        }
    }

    /// A host name in lower case: letters, digits, `-` and `.`, or an address in brackets.
    private static func checkedDomain(_ text: String) throws(KelterError) -> String {
        let domain = lowercasedASCII(trimmed(text))
        let allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]"
        guard (1...253).contains(domain.utf8.count), domain.utf8.allSatisfy({ allowed.utf8.contains($0) }) else {
            throw KelterError(
                .settingInvalid,
                "\"\(shortened(domain))\" is not a domain.",
                subject: "--domain",
                fix: "Give a host name without scheme and port, such as dev.localhost."
            )
        }
        return domain
    }
}

extension Connection {
    /// Enters a tenant unless it is there already with the same key and schema.
    fileprivate func insertTenant(_ record: TenantRecord) throws(DatabaseFailure) -> Bool {
        let rows = try query(
            "SELECT key, schema_name, id FROM public.tenants WHERE id = $1 OR key = $2 OR schema_name = $3",
            [.uuid(record.tenant.rowID), .text(record.tenant.key), .text(record.schema)]
        )
        if rows.count > 0 {
            guard rows.count == 1, rows.uuid(0, 2) == record.tenant.rowID, rows.text(0, 1) == record.schema else {
                throw .finding(
                    KelterError(
                        .tenantConflict,
                        "The tenant \(rows.text(0, 0) ?? "") exists already in the schema \(rows.text(0, 1) ?? "").",
                        subject: "--schema, --tenant-id",
                        fix: "Choose another schema and tenant identifier."
                    )
                )
            }
            return false
        }
        return try execute(
            "INSERT INTO public.tenants (id, key, schema_name, name) VALUES ($1, $2, $3, $4)",
            [.uuid(record.tenant.rowID), .text(record.tenant.key), .text(record.schema), .text(record.name)]
        ) > 0
    }

    /// Enters a domain unless it leads to the schema already.
    fileprivate func insertDomain(_ domain: String, of schema: String) throws(DatabaseFailure) -> Bool {
        let inserted = try execute(
            "INSERT INTO public.domains (domain, schema_name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            [.text(domain), .text(schema)]
        )
        if inserted > 0 { return true }
        let owner = try query("SELECT schema_name FROM public.domains WHERE domain = $1", [.text(domain)]).text(0, 0)
        guard owner == schema else {
            throw .finding(
                KelterError(
                    .tenantConflict,
                    "The domain \(domain) leads to the schema \(owner ?? "of another tenant").",
                    subject: "--domain",
                    fix: "Choose another domain."
                )
            )
        }
        return false
    }
}
