import HTTPTypes
import KelterModel
import KelterStore

/// Checks the headers of a request for a tenant, in the order of SPEC section 8.
struct Admission: Sendable {
    let directory: TenantDirectory
    let authenticator: Authenticator
    let limiter: RateLimiter
    let requiresKeys: Bool

    /// Admits a request or says what is wrong with it.
    ///
    /// - Parameters:
    ///   - head: The request's head.
    ///   - trace: Its trace.
    ///   - acceptsInternalKey: Whether `X-Internal-Key` opens the route.
    /// - Returns: Who asks, for whom, in which context.
    /// - Throws: ``Refusal`` with the code of the first check that failed.
    func admit(_ head: HTTPRequest, trace: Trace, acceptsInternalKey: Bool) async throws(Refusal) -> Admitted {
        let fields = head.headerFields
        let claim = Authenticator.claim(fields[.authorization])
        let hasInternalKey = acceptsInternalKey && authenticator.isInternalKey(fields[.internalKey])
        if requiresKeys, !hasInternalKey, case .none = claim { throw Refusal(Authenticator.missing) }

        let record = try await tenant(of: head)
        try checkTenantID(fields[.tenantID], against: record)
        // After the tenant is known and before anything counts against it.
        let verified = try await authenticator.verify(claim, for: record)
        let caseID = try Self.caseID(fields[.caseID])
        if let wait = limiter.take(record.tenant) { throw .tooManyRequests(after: wait) }
        return Admitted(
            record: record,
            caseID: caseID,
            keyAlias: try Self.keyAlias(fields[.keyAlias]),
            credential: verified ?? (hasInternalKey ? .internalKey : nil),
            hasInternalKey: hasInternalKey,
            idempotencyKey: try Self.idempotencyKey(fields[.idempotencyKey]),
            headers: fields.map { ($0.name.rawName, $0.value) },
            trace: trace
        )
    }

    private func tenant(of head: HTTPRequest) async throws(Refusal) -> TenantRecord {
        do throws(KelterError) {
            let byDomain = try await directory.tenant(domain: Self.hostName(head.authority ?? ""))
            // A domain of the public tenant decides nothing.
            let owner = byDomain?.schema == TenantRecord.publicSchema ? nil : byDomain
            guard let header = head.headerFields[.tenantSchema] else {
                guard let owner else {
                    throw KelterError(
                        .tenantNotFound,
                        "The host leads to no tenant.",
                        subject: "X-Tenant-Schema",
                        fix: "Name the tenant's schema in X-Tenant-Schema."
                    )
                }
                return owner
            }
            let schema = trimmed(header)
            guard !schema.isEmpty else {
                throw KelterError(
                    .invalidTenantSchema,
                    "The header is blank.",
                    subject: "X-Tenant-Schema",
                    fix: "Name the tenant's schema, or leave the header out."
                )
            }
            guard schema != TenantRecord.publicSchema, let record = try await directory.tenant(schema: schema) else {
                throw KelterError(
                    .tenantNotFound,
                    "There is no tenant \"\(shortened(schema))\".",
                    subject: "X-Tenant-Schema",
                    fix: "Name the schema of a tenant; `kelter list-tenants` prints them."
                )
            }
            guard owner == nil || owner?.schema == record.schema else {
                throw KelterError(
                    .tenantSchemaMismatch,
                    "The host belongs to another tenant than the schema.",
                    subject: "X-Tenant-Schema",
                    fix: "Use the tenant's own host, or leave the header out."
                )
            }
            return record
        } catch {
            throw Refusal(error)
        }
    }

    private func checkTenantID(_ header: String?, against record: TenantRecord) throws(Refusal) {
        // The usual case without the digest that a tenant's row identifier costs.
        if let header, trimmed(header) == record.tenant.key { return }
        let tenant: Tenant
        do throws(KelterError) {
            tenant = try Tenant(header ?? "")
        } catch {
            throw Refusal(error.about("X-Tenant-ID"))
        }
        guard tenant.rowID == record.tenant.rowID else {
            throw Refusal(
                KelterError(
                    .tenantMismatch,
                    "The tenant does not belong to the schema.",
                    subject: "X-Tenant-ID",
                    fix: "Name the tenant of the schema in X-Tenant-Schema."
                )
            )
        }
    }

    private static func caseID(_ header: String?) throws(Refusal) -> CaseID {
        do throws(KelterError) {
            return try CaseID(header ?? "")
        } catch {
            throw Refusal(error.about("X-Case-ID"))
        }
    }

    private static func keyAlias(_ header: String?) throws(Refusal) -> String? {
        guard let alias = header.map(trimmed) else { return nil }
        guard isName(alias, maximum: 128, marks: "._:-") else {
            throw Refusal(
                KelterError(
                    .invalidKeyAlias,
                    "\"\(shortened(alias))\" is not a key alias.",
                    subject: "X-Key-Alias",
                    fix: "Use 1 to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit."
                )
            )
        }
        return alias
    }

    private static func idempotencyKey(_ header: String?) throws(Refusal) -> String? {
        guard let key = header.map(trimmed) else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Refusal(
                KelterError(
                    .invalidIdempotencyKey,
                    "The idempotency key is not 1 to 255 printable ASCII characters.",
                    subject: "Idempotency-Key",
                    fix: "Use a UUID."
                )
            )
        }
        return key
    }

    /// The host name of an authority (RFC 3986 section 3.2), without port, in lower case.
    static func hostName(_ authority: String) -> String {
        let text = lowercasedASCII(trimmed(authority))
        if text.hasPrefix("[") { return String(text.prefix { $0 != "]" }) + "]" }
        return String(text.prefix { $0 != ":" })
    }
}
