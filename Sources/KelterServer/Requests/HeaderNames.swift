import HTTPTypes

extension HTTPField.Name {
    // The initialiser is nil for names with characters no name may have; these have none.
    private static func known(_ name: String) -> HTTPField.Name {
        HTTPField.Name(name) ?? .accept
    }

    static let tenantSchema = known("X-Tenant-Schema")
    static let tenantID = known("X-Tenant-ID")
    static let caseID = known("X-Case-ID")
    static let collectionID = known("X-Collection-ID")
    static let keyAlias = known("X-Key-Alias")
    static let internalKey = known("X-Internal-Key")
    static let traceID = known("X-Trace-ID")
    static let traceparent = known("traceparent")
    static let idempotencyKey = known("Idempotency-Key")
}
