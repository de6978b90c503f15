package import KelterModel

/// One request under an idempotency key.
package struct IdempotencyClaim: Sendable, Equatable {
    /// The route, such as `POST /ai/rag/query/`.
    package let route: String
    package let key: String
    /// A digest of everything that makes the request what it is.
    package let requestHash: ContentHash
    /// Tells this request from a repetition of it.
    package let owner: RowID

    package init(route: String, key: String, requestHash: ContentHash, owner: RowID) {
        self.route = route
        self.key = key
        self.requestHash = requestHash
        self.owner = owner
    }
}

/// The answer to a request under an idempotency key, as repetitions get it.
package struct IdempotentReply: Sendable, Equatable {
    package let claim: IdempotencyClaim
    package let status: Int
    package let body: [UInt8]

    package init(claim: IdempotencyClaim, status: Int, body: [UInt8]) {
        self.claim = claim
        self.status = status
        self.body = body
    }
}

/// What is known about an idempotency key.
package enum IdempotencyState: Sendable, Equatable {
    /// The key is this request's, which is to be carried out.
    case claimed
    /// The request has been answered.
    case finished(status: Int, body: [UInt8])
    /// The same request is being carried out.
    case inProgress
    /// The key belongs to another request.
    case reused
}

/// The statements on idempotency keys.
enum Idempotency {
    /// How long an answer is kept.
    static let retention = "24 hours"

    static func finish(
        _ reply: IdempotentReply,
        tenant: Tenant,
        schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        let changed = try connection.execute(
            """
            UPDATE \(schema).idempotency_keys SET status = $5::bigint::int, body = $6
            WHERE tenant_id = $1 AND route = $2 AND key = $3 AND owner = $4 AND status IS NULL
            """,
            [
                .uuid(tenant.rowID), .text(reply.claim.route), .text(reply.claim.key), .uuid(reply.claim.owner),
                .int(reply.status), .bytes(reply.body),
            ]
        )
        guard changed == 1 else {
            throw .finding(
                KelterError(
                    .idempotencyInProgress,
                    "Another request with this idempotency key was faster.",
                    subject: "Idempotency-Key",
                    fix: "Repeat the request to get its answer."
                )
            )
        }
    }
}

extension Store {
    /// Takes an idempotency key for a request, or says what stands against it.
    ///
    /// A key is free again 24 hours after it was first used, and when the request that took it has not been finished in
    /// time: its process is gone.
    ///
    /// - Parameters:
    ///   - claim: The request.
    ///   - time: How long the request may take.
    ///   - tenant: Whose key it is.
    /// - Returns: What is known about the key.
    /// - Throws: ``KelterError`` of the database.
    package func claimIdempotencyKey(
        _ claim: IdempotencyClaim,
        for time: Duration,
        tenant: Tenant
    ) async throws(KelterError) -> IdempotencyState {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let claimed = try connection.execute(
                """
                INSERT INTO \(schema).idempotency_keys AS k (tenant_id, route, key, request_hash, owner, locked_until)
                VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
                ON CONFLICT (tenant_id, route, key) DO UPDATE SET request_hash = excluded.request_hash,
                    owner = excluded.owner, locked_until = excluded.locked_until, status = NULL, body = NULL,
                    created_at = now()
                WHERE k.status IS NULL AND k.locked_until < now()
                    OR k.created_at < now() - interval '\(Idempotency.retention)'
                """,
                [
                    .uuid(tenant.rowID), .text(claim.route), .text(claim.key), .bytes(claim.requestHash.bytes),
                    .uuid(claim.owner), .double(Double(time.components.seconds)),
                ]
            )
            if claimed == 1 { return .claimed }
            let rows = try connection.query(
                """
                SELECT request_hash, status, body FROM \(schema).idempotency_keys
                WHERE tenant_id = $1 AND route = $2 AND key = $3
                """,
                [.uuid(tenant.rowID), .text(claim.route), .text(claim.key)]
            )
            guard rows.count == 1 else { return .inProgress }
            guard rows.hash(0, 0) == claim.requestHash else { return .reused }
            guard let status = rows.int(0, 1), let body = rows.data(0, 2) else { return .inProgress }
            return .finished(status: status, body: body)
        }
    }

    /// Stores the answer that repetitions of a request get.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/idempotencyInProgress`` when the key is another request's by now.
    package func finishIdempotencyKey(_ reply: IdempotentReply, tenant: Tenant) async throws(KelterError) {
        let schema = schema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try Idempotency.finish(reply, tenant: tenant, schema: schema, on: connection)
        }
    }

    /// Gives back the key of a request that failed, so that it can be repeated.
    package func releaseIdempotencyKey(_ claim: IdempotencyClaim, tenant: Tenant) async throws(KelterError) {
        let schema = schema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            _ = try connection.execute(
                """
                DELETE FROM \(schema).idempotency_keys
                WHERE tenant_id = $1 AND route = $2 AND key = $3 AND owner = $4 AND status IS NULL
                """,
                [.uuid(tenant.rowID), .text(claim.route), .text(claim.key), .uuid(claim.owner)]
            )
        }
    }

    /// Removes a tenant's keys that have expired.
    package func removeExpiredIdempotencyKeys(of tenant: Tenant) async throws(KelterError) {
        let schema = schema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            _ = try connection.execute(
                """
                DELETE FROM \(schema).idempotency_keys
                WHERE tenant_id = $1 AND created_at < now() - interval '\(Idempotency.retention)'
                """,
                [.uuid(tenant.rowID)]
            )
        }
    }
}
