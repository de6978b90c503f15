package import KelterModel

extension Store {
    /// Enters a key of the HTTP API.
    ///
    /// - Parameters:
    ///   - id: The key's public part.
    ///   - digest: SHA-256 of its secret part; the secret itself is never stored.
    ///   - label: What it is for.
    ///   - lifetimeDays: After how many days it expires; `nil` for never.
    ///   - tenant: Whose key it is.
    /// - Throws: ``KelterError`` of the database.
    package func insertAPIKey(
        _ id: RowID,
        digest: ContentHash,
        label: String,
        lifetimeDays: Int?,
        tenant: Tenant
    ) async throws(KelterError) {
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            _ = try connection.execute(
                """
                INSERT INTO public.api_keys (id, tenant_id, label, digest, expires_at)
                VALUES ($1, $2, $3, decode($4, 'hex'), now() + make_interval(days => $5::text::int))
                """,
                [
                    .uuid(id), .uuid(tenant.rowID), .text(label), .text(digest.hex),
                    .text(lifetimeDays.map(String.init)),
                ]
            )
        }
    }

    /// The digest of a valid key: one of this tenant that is neither revoked nor expired.
    package func apiKeyDigest(_ id: RowID, tenant: Tenant) async throws(KelterError) -> ContentHash? {
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT digest FROM public.api_keys
                WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL AND coalesce(expires_at > now(), true)
                """,
                [.uuid(id), .uuid(tenant.rowID)]
            )
            return rows.count == 0 ? nil : rows.hash(0, 0)
        }
    }

    /// A tenant's keys, the oldest first.
    package func apiKeys(of tenant: Tenant) async throws(KelterError) -> [APIKeyRecord] {
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT id, label, \(Self.timestamp("created_at")), \(Self.timestamp("expires_at")),
                    \(Self.timestamp("revoked_at"))
                FROM public.api_keys WHERE tenant_id = $1 ORDER BY api_keys.created_at, id
                """,
                [.uuid(tenant.rowID)]
            )
            return (0..<rows.count).compactMap { row in
                guard let id = rows.uuid(row, 0) else { return nil }
                return APIKeyRecord(
                    id: id,
                    label: rows.text(row, 1) ?? "",
                    createdAt: rows.text(row, 2) ?? "",
                    expiresAt: rows.text(row, 3),
                    revokedAt: rows.text(row, 4)
                )
            }
        }
    }

    /// Revokes a key for good.
    ///
    /// - Returns: Whether the tenant has such a key; one that is revoked already stays so.
    package func revokeAPIKey(_ id: RowID, tenant: Tenant) async throws(KelterError) -> Bool {
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                "UPDATE public.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND tenant_id = $2",
                [.uuid(id), .uuid(tenant.rowID)]
            ) > 0
        }
    }

    /// Whether any tenant has a valid key: what a server that others can reach must have.
    package func hasAnyAPIKey() async throws(KelterError) -> Bool {
        for record in try await tenants() {
            let isFound = try await tenantCall(record.tenant) { connection throws(DatabaseFailure) in
                try connection.query(
                    """
                    SELECT FROM public.api_keys
                    WHERE tenant_id = $1 AND revoked_at IS NULL AND coalesce(expires_at > now(), true) LIMIT 1
                    """,
                    [.uuid(record.tenant.rowID)]
                ).count > 0
            }
            if isFound { return true }
        }
        return false
    }

    /// Creates a superuser of a tenant, or gives an existing one a new password and address.
    ///
    /// - Parameters:
    ///   - username: The name, unique in the tenant.
    ///   - email: The address.
    ///   - password: The password in Django's form.
    ///   - record: The tenant.
    /// - Returns: Whether the user is new.
    /// - Throws: ``KelterError`` of the database.
    package func saveSuperuser(
        _ username: String,
        email: String,
        password: String,
        of record: TenantRecord
    ) async throws(KelterError) -> Bool {
        let identifier = try SQLIdentifier(schema: record.schema, subject: "--schema")
        return try await tenantCall(record.tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                INSERT INTO \(identifier).users (username, email, password, is_superuser)
                VALUES ($1, $2, $3, true)
                ON CONFLICT (username) DO UPDATE SET email = excluded.email, password = excluded.password,
                    is_superuser = true, is_active = true
                RETURNING xmax = 0
                """,
                [.text(username), .text(email), .text(password)]
            )
            return rows.bool(0, 0) ?? false
        }
    }

    /// An active user of a tenant by name; `nil` when there is none.
    package func user(_ username: String, of record: TenantRecord) async throws(KelterError) -> TenantUser? {
        let identifier = try SQLIdentifier(schema: record.schema, subject: "X-Tenant-Schema")
        guard !containsNUL(username) else { return nil }
        return try await tenantCall(record.tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                "SELECT password, is_superuser FROM \(identifier).users WHERE username = $1 AND is_active",
                [.text(username)]
            )
            guard rows.count == 1, let password = rows.text(0, 0) else { return nil }
            return TenantUser(password: password, isSuperuser: rows.bool(0, 1) ?? false)
        }
    }
}
