package import KelterModel

/// What a vector space says about its model.
package struct SpaceStamp: Sendable, Equatable {
    package let model: String
    /// 32 hexadecimal digits; `nil` in a space that an older version has stamped and nobody has written to since.
    package let fingerprint: String?
    /// Since when the space is of this model, as RFC 3339 in UTC.
    package let since: String
}

/// How near a model is to the one that a vector space is of.
package struct FingerprintComparison: Sendable, Equatable {
    package let model: String
    package let fingerprint: String
    /// Since when the space is of this model, as RFC 3339 in UTC.
    package let since: String
    /// The smallest cosine similarity of a probe text's vector with the stored one, -1 to 1.
    package let similarity: Double

    /// Whether it counts as the same model.
    ///
    /// - Parameter tolerance: How far the similarity may be below 1; see ``Store/adoptFingerprint(model:reference:target:tolerance:)``.
    /// - Returns: Whether it is not further below.
    package func isSame(tolerance: Double = 0.001) -> Bool { similarity >= 1 - tolerance }
}

extension Store {
    /// Compares a model with that of a vector space, and stamps it on a space that does not know its model yet.
    ///
    /// One transaction; of several processes that come first at once, one stamps and the others compare. The space's own
    /// fingerprint is the result, not one of the vectors at hand: another build or machine computes slightly other numbers.
    ///
    /// - Parameters:
    ///   - model: The model's name.
    ///   - reference: Its unit vectors of the probe texts, in a fixed order.
    ///   - target: The space; one that stands by has its model's name already.
    ///   - tolerance: How far the cosine similarity with a stored vector may be below 1. Default 0.001.
    /// - Returns: The space's fingerprint: the first 32 hexadecimal digits of the SHA-256 of the first reference's numbers
    ///   as float32 in network order.
    /// - Throws: ``KelterError`` with ``ErrorCode/embeddingModelDrift`` for another model under the same name,
    ///   ``ErrorCode/modelMismatch`` for one of another name, ``ErrorCode/vectorSpaceMissing``,
    ///   ``ErrorCode/vectorDimensionMismatch`` and others.
    package func adoptFingerprint(
        model: String,
        reference: [[Float]],
        target: EmbeddingTarget = .current,
        tolerance: Double = 0.001
    ) async throws(KelterError) -> String {
        let fingerprint = try await fingerprint(reference, target: target)
        let missing = try Self.standbyMissing(standbySchema)
        return try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                let schema = fingerprint.space.schema
                var stamp = try ModelFingerprint.read(schema, on: connection)
                if stamp == nil {
                    guard target == .current else { throw .finding(missing) }
                    if let new = try fingerprint.insert(model, on: connection) { return new }
                    stamp = try ModelFingerprint.read(schema, on: connection)
                }
                if let stamp, stamp.model != model { throw .finding(fingerprint.space.mismatch(stamp.model, model)) }
                if stamp?.fingerprint == nil {
                    if let new = try fingerprint.complete(model, on: connection) { return new }
                    stamp = try ModelFingerprint.read(schema, on: connection)
                }
                guard let stamp, let present = stamp.fingerprint else {
                    throw .finding(Self.fingerprintNotSet(schema))
                }
                let similarity = fingerprint.similarity(to: stamp.reference)
                guard similarity >= 1 - tolerance else {
                    throw .finding(Self.drift(model, similarity, in: schema))
                }
                return present
            }
        }
    }

    /// Compares a model with that of a vector space, and changes nothing.
    ///
    /// - Parameters:
    ///   - reference: The model's unit vectors of the probe texts, in a fixed order.
    ///   - target: The space.
    /// - Returns: The comparison; `nil` when the space has no fingerprint yet.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorDimensionMismatch`` and others.
    package func compareFingerprint(
        reference: [[Float]],
        target: EmbeddingTarget = .current
    ) async throws(KelterError) -> FingerprintComparison? {
        let fingerprint = try await fingerprint(reference, target: target)
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                guard let stamp = try ModelFingerprint.read(fingerprint.space.schema, on: connection),
                    let present = stamp.fingerprint
                else { return nil }
                return FingerprintComparison(
                    model: stamp.model,
                    fingerprint: present,
                    since: stamp.since,
                    similarity: fingerprint.similarity(to: stamp.reference)
                )
            }
        }
    }

    /// Makes another model under the same name the model of a vector space, whose vectors are then embedded anew.
    ///
    /// Needs the owner's role, since it concerns all tenants.
    ///
    /// - Parameters:
    ///   - model: The model's name, which is the space's; a space without a row gets it.
    ///   - reference: The model's unit vectors of the probe texts, in a fixed order.
    ///   - target: The space.
    /// - Returns: The new fingerprint.
    /// - Throws: ``KelterError`` with ``ErrorCode/modelMismatch``, ``ErrorCode/vectorSpaceMissing`` and others.
    @discardableResult
    package func replaceFingerprint(
        model: String,
        reference: [[Float]],
        target: EmbeddingTarget = .current
    ) async throws(KelterError) -> String {
        let fingerprint = try await fingerprint(reference, target: target)
        let missing = try Self.standbyMissing(standbySchema)
        return try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                let schema = fingerprint.space.schema
                if try fingerprint.space.read(on: connection) == nil {
                    guard target == .current else { throw .finding(missing) }
                    if let new = try fingerprint.insert(model, on: connection) { return new }
                }
                if let new = try fingerprint.replace(model, on: connection) { return new }
                if let present = try fingerprint.space.read(on: connection), present != model {
                    throw .finding(fingerprint.space.mismatch(present, model))
                }
                throw .finding(Self.fingerprintNotSet(schema))
            }
        }
    }

    /// What a vector space says about its model; `nil` when it has none yet, or is not there.
    ///
    /// - Parameter target: The space. Default: the one that is searched.
    /// - Returns: Name, fingerprint and time.
    /// - Throws: ``KelterError`` of the database.
    package func spaceStamp(_ target: EmbeddingTarget = .current) async throws(KelterError) -> SpaceStamp? {
        let (schema, _) = try place(of: target)
        return try await reporting { () async throws(DatabaseFailure) in
            try await session { connection throws(DatabaseFailure) in
                guard try connection.hasTable("\(schema).vector_space"),
                    let stamp = try ModelFingerprint.read(schema, on: connection)
                else { return nil }
                return SpaceStamp(model: stamp.model, fingerprint: stamp.fingerprint, since: stamp.since)
            }
        }
    }

    private func fingerprint(
        _ reference: [[Float]],
        target: EmbeddingTarget
    ) async throws(KelterError) -> ModelFingerprint {
        let (schema, dimension) = try place(of: target)
        if target != .current, try await standbySpace() == nil { throw Self.standbyMissing(schema) }
        return try ModelFingerprint(schema: schema, reference: reference, dimension: dimension)
    }

    private static func drift(_ model: String, _ similarity: Double, in schema: SQLIdentifier) -> KelterError {
        // Rounded down, so that it never looks as if it had been near enough.
        let shown = (similarity * 10_000).rounded(.down) / 10_000
        return KelterError(
            .embeddingModelDrift,
            "Behind the name \(shortened(model)) is another model than the one of schema \(schema.name): "
                + "the vectors of the same text have a cosine similarity of \(shown).",
            subject: "EMBEDDINGS_MODEL_PRIMARY",
            fix: "Point the alias at the model it had, or fill a space for the new one with 'kelter reembed "
                + "--accept-drift' and switch with 'kelter vector-space switch'."
        )
    }

    private static func fingerprintNotSet(_ schema: SQLIdentifier) -> KelterError {
        KelterError(
            .databaseError,
            "The role of this connection may not set the fingerprint of schema \(schema.name).",
            subject: "RAG_OWNER_DATABASE_URL",
            fix: "Use the owner's role for it, or run 'kelter roles apply' as an administrator."
        )
    }
}
