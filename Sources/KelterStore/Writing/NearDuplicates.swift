package import KelterModel

/// A stored document that is nearly the same as another.
package struct NearDuplicate: Equatable, Sendable {
    package let document: RowID
    package let externalID: String
    /// The estimated similarity.
    package let similarity: Double

    package init(document: RowID, externalID: String, similarity: Double) {
        self.document = document
        self.externalID = externalID
        self.similarity = similarity
    }

    /// The finding in words.
    package var text: String {
        "Nearly the same as \(externalID): similarity \((similarity * 1000).rounded() / 1000)."
    }
}

/// What is to be done about near duplicates of a document that is written.
package struct NearDuplicateWrite: Sendable {
    package let signature: NearDuplicateSignature
    /// From which similarity on one is told; `nil` when none is.
    package let reportsFrom: Double?

    package init(signature: NearDuplicateSignature, reportsFrom: Double?) {
        self.signature = signature
        self.reportsFrom = reportsFrom
    }
}

/// The bands of signatures in a vector space.
struct NearDuplicates {
    /// Documents that share a band and are looked at: of boilerplate there may be any number.
    private static let candidatesPerBand = 16

    let schema: SQLIdentifier
    let tenant: Tenant

    /// One document to look for.
    struct Question {
        let signature: NearDuplicateSignature
        let scope: CollectionID?
        /// The name that the document itself bears, which is not meant.
        let except: String
        let threshold: Double
    }

    /// The most similar live document of its scope for each question.
    func find(_ questions: [Question], on connection: isolated Connection) throws(DatabaseFailure) -> [NearDuplicate?] {
        var answers = [NearDuplicate?](repeating: nil, count: questions.count)
        guard !questions.isEmpty else { return answers }
        let bands = questions.enumerated().flatMap { place, question in
            question.signature.bands.map { (place: place, band: $0, scope: question.scope) }
        }
        let rows = try connection.query(
            """
            -- The bands first, whatever the planner thinks of tables without statistics: nearly all have no candidate.
            WITH candidates AS MATERIALIZED (
                SELECT DISTINCT k.place, k.collection_id, b.document_id, b.signature
                FROM unnest($2::bigint[], $3::bigint[], $4::uuid[]) AS k (place, band, collection_id)
                CROSS JOIN LATERAL (
                    SELECT n.document_id, n.signature FROM \(schema).near_bands n
                    WHERE n.tenant_id = $1 AND n.band = k.band ORDER BY n.document_id LIMIT \(Self.candidatesPerBand)
                ) b
            )
            SELECT c.place, c.document_id, d.external_id, c.signature
            FROM candidates c CROSS JOIN LATERAL (
                SELECT external_id FROM \(schema).documents
                WHERE id = c.document_id AND tenant_id = $1 AND deleted_at IS NULL
                    AND collection_id IS NOT DISTINCT FROM c.collection_id LIMIT 1
            ) d
            """,
            [.uuid(tenant.rowID), .ints(bands.map(\.place)), .ints(bands.map(\.band)), .uuids(bands.map(\.scope))]
        )
        for row in 0..<rows.count {
            guard let place = rows.int(row, 0), let document = rows.uuid(row, 1), let name = rows.text(row, 2),
                let signature = rows.data(row, 3)
            else { continue }
            let question = questions[place]
            let similarity = question.signature.similarity(signature)
            guard name != question.except, similarity >= question.threshold else { continue }
            if let best = answers[place], (best.similarity, document) >= (similarity, best.document) { continue }
            answers[place] = NearDuplicate(document: document, externalID: name, similarity: similarity)
        }
        return answers
    }

    /// Enters documents with their new content in the place of what they had.
    func enter(
        _ documents: [(id: RowID, signature: NearDuplicateSignature)],
        replacing old: [RowID],
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        if !old.isEmpty {
            try connection.execute(
                "DELETE FROM \(schema).near_bands WHERE tenant_id = $1 AND document_id = ANY ($2)",
                [.uuid(tenant.rowID), .uuids(old)]
            )
        }
        let rows = documents.flatMap { document in
            Set(document.signature.bands).map { (id: document.id, band: $0, signature: document.signature.bytes) }
        }
        guard !rows.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).near_bands (tenant_id, band, document_id, signature)
            SELECT $1, k.band, k.document_id, decode(k.signature, 'hex')
            FROM unnest($2::bigint[], $3::uuid[], $4::text[]) AS k (band, document_id, signature) ORDER BY 2, 3
            """,
            [
                .uuid(tenant.rowID), .ints(rows.map(\.band)), .uuids(rows.map(\.id)),
                .texts(rows.map { hexadecimal($0.signature) }),
            ]
        )
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 0xF)] }, as: UTF8.self)
}

extension Store {
    /// The live document of a scope that is most similar to a text and bears another name, if one is similar enough.
    ///
    /// - Throws: ``KelterError`` of the database.
    package func nearDuplicate(
        of signature: NearDuplicateSignature,
        named externalID: String,
        in scope: CollectionID?,
        threshold: Double,
        tenant: Tenant
    ) async throws(KelterError) -> NearDuplicate? {
        let finder = NearDuplicates(schema: schema, tenant: tenant)
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let question = NearDuplicates.Question(
                signature: signature,
                scope: scope,
                except: externalID,
                threshold: threshold
            )
            return try finder.find([question], on: connection)[0]
        }
    }
}
