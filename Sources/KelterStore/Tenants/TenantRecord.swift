package import KelterModel

/// A tenant as the registry knows it.
package struct TenantRecord: Sendable, Equatable {
    /// The key, which `X-Tenant-ID` must name.
    package let tenant: Tenant
    /// The schema, which `X-Tenant-Schema` names.
    package let schema: String
    /// The name for people.
    package let name: String
    /// The domains that lead to it, in lower case and without port.
    package let domains: [String]

    package init(tenant: Tenant, schema: String, name: String, domains: [String]) {
        self.tenant = tenant
        self.schema = schema
        self.name = name
        self.domains = domains
    }

    /// The schema of the public tenant, which holds what all share and no documents.
    package static let publicSchema = "public"
}

/// A key of the HTTP API, without its secret.
package struct APIKeyRecord: Sendable, Equatable {
    package let id: RowID
    /// What the key is for, in words.
    package let label: String
    /// RFC 3339, in UTC.
    package let createdAt: String
    /// RFC 3339, in UTC; `nil` for a key that does not expire.
    package let expiresAt: String?
    /// RFC 3339, in UTC; `nil` for a key that has not been revoked.
    package let revokedAt: String?
}

/// A user of one tenant, as the password check needs it.
package struct TenantUser: Sendable, Equatable {
    /// The password in Django's form.
    package let password: String
    package let isSuperuser: Bool
}
