import KelterModel

/// The model that a vector space is of, as its table `vector_space` says.
struct VectorSpaceModel: Sendable {
    let schema: SQLIdentifier

    /// Refuses another model than that of the space: the vectors of two models have nothing to do with each other, also
    /// when they are equally wide.
    ///
    /// Reading the row inside the transaction holds off a switch of models until the transaction has ended.
    ///
    /// - Parameters:
    ///   - model: The model of the vectors at hand; `nil` is not checked.
    ///   - fingerprint: Its fingerprint; `nil` is not checked.
    ///   - stamps: Whether a space without a model becomes one of this model.
    ///   - connection: Inside a transaction.
    /// - Throws: ``ErrorCode/modelMismatch`` or ``ErrorCode/embeddingModelDrift`` as a finding.
    func check(
        _ model: String?,
        fingerprint: String? = nil,
        stamps: Bool,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        if let fingerprint { try check(fingerprint: fingerprint, on: connection) }
        guard let model else { return }
        var present = try read(on: connection)
        if present == nil, stamps {
            try connection.execute(
                "INSERT INTO \(schema).vector_space (model) VALUES ($1) ON CONFLICT DO NOTHING",
                [.text(model)]
            )
            present = try read(on: connection)
        }
        guard let present, present != model else { return }
        throw .finding(mismatch(present, model))
    }

    private func check(fingerprint: String, on connection: isolated Connection) throws(DatabaseFailure) {
        let rows = try connection.query("SELECT fingerprint FROM \(schema).vector_space")
        guard rows.count > 0, let present = rows.text(0, 0), present != fingerprint else { return }
        throw .finding(
            KelterError(
                .embeddingModelDrift,
                "Schema \(schema.name) was moved to another model while this process was running.",
                subject: "EMBEDDINGS_MODEL_PRIMARY",
                fix: "Start the process again."
            )
        )
    }

    /// The refusal of a model that is not that of the space.
    func mismatch(_ present: String, _ model: String) -> KelterError {
        KelterError(
            .modelMismatch,
            "Schema \(schema.name) holds vectors of the model \(shortened(present)), not of \(shortened(model)).",
            subject: "EMBEDDINGS_MODEL_PRIMARY",
            fix: "Set EMBEDDINGS_MODEL_PRIMARY to that model, or move the space to the new one with "
                + "'kelter reembed --model'."
        )
    }

    /// The model; `nil` before the first write.
    func read(on connection: isolated Connection) throws(DatabaseFailure) -> String? {
        let rows = try connection.query("SELECT model FROM \(schema).vector_space")
        return rows.count == 0 ? nil : rows.text(0, 0)
    }
}
