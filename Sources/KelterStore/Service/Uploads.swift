package import KelterModel

/// Where the raw bytes and the metadata of an uploaded document lie in the object store.
package struct UploadRecord: Sendable, Equatable {
    package var document: RowID
    package var caseID: CaseID
    package var externalID: String
    /// The file's own name, whose extension takes part in telling its format.
    package var fileName: String
    /// Paths relative to the object store.
    package var contentPath: String
    package var metadataPath: String
    /// The size of the raw bytes.
    package var bytes: Int
    /// SHA-256 of the raw bytes.
    package var hash: ContentHash

    package init(
        document: RowID,
        caseID: CaseID,
        externalID: String,
        fileName: String,
        contentPath: String,
        metadataPath: String,
        bytes: Int,
        hash: ContentHash
    ) {
        self.document = document
        self.caseID = caseID
        self.externalID = externalID
        self.fileName = fileName
        self.contentPath = contentPath
        self.metadataPath = metadataPath
        self.bytes = bytes
        self.hash = hash
    }
}

/// The statements on uploads.
enum Uploads {
    static func find(
        _ documents: [RowID],
        tenant: Tenant,
        schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) -> [UploadRecord] {
        let rows = try connection.query(
            """
            SELECT document_id, case_id, external_id, file_name, content_path, metadata_path, bytes, hash
            FROM \(schema).uploads WHERE tenant_id = $1 AND document_id = ANY ($2) ORDER BY document_id
            """,
            [.uuid(tenant.rowID), .uuids(documents)]
        )
        return (0..<rows.count).compactMap { row in
            guard let document = rows.uuid(row, 0), let caseID = rows.text(row, 1).flatMap({ try? CaseID($0) }),
                let hash = rows.text(row, 7).flatMap({ ContentHash(hex: $0) })
            else { return nil }
            return UploadRecord(
                document: document,
                caseID: caseID,
                externalID: rows.text(row, 2) ?? "",
                fileName: rows.text(row, 3) ?? "",
                contentPath: rows.text(row, 4) ?? "",
                metadataPath: rows.text(row, 5) ?? "",
                bytes: rows.int(row, 6) ?? 0,
                hash: hash
            )
        }
    }

    static func save(
        _ uploads: [UploadRecord],
        tenant: Tenant,
        schema: SQLIdentifier,
        on connection: isolated Connection
    ) throws(DatabaseFailure) {
        guard !uploads.isEmpty else { return }
        try connection.execute(
            """
            INSERT INTO \(schema).uploads (tenant_id, document_id, case_id, external_id, file_name, content_path,
                metadata_path, bytes, hash)
            SELECT $1, k.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::bigint[], $9::text[]) k
            ON CONFLICT (tenant_id, document_id) DO UPDATE SET case_id = excluded.case_id,
                external_id = excluded.external_id, file_name = excluded.file_name,
                content_path = excluded.content_path, metadata_path = excluded.metadata_path,
                bytes = excluded.bytes, hash = excluded.hash
            """,
            [
                .uuid(tenant.rowID), .uuids(uploads.map(\.document)), .texts(uploads.map(\.caseID.description)),
                .texts(uploads.map(\.externalID)), .texts(uploads.map(\.fileName)),
                .texts(uploads.map(\.contentPath)), .texts(uploads.map(\.metadataPath)), .ints(uploads.map(\.bytes)),
                .texts(uploads.map(\.hash.hex)),
            ]
        )
    }
}

extension Store {
    /// Records where the objects of documents lie; a document known already gets the new places.
    package func saveUploads(_ uploads: [UploadRecord], tenant: Tenant) async throws(KelterError) {
        let schema = schema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try Uploads.save(uploads, tenant: tenant, schema: schema, on: connection)
        }
    }

    /// The objects of these documents, as far as there are any.
    package func uploads(of documents: [RowID], tenant: Tenant) async throws(KelterError) -> [UploadRecord] {
        let schema = schema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try Uploads.find(documents, tenant: tenant, schema: schema, on: connection)
        }
    }

    /// Forgets the objects of documents that did not come to be.
    package func forgetUploads(of documents: [RowID], tenant: Tenant) async throws(KelterError) {
        let schema = schema
        try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            _ = try connection.execute(
                "DELETE FROM \(schema).uploads WHERE tenant_id = $1 AND document_id = ANY ($2)",
                [.uuid(tenant.rowID), .uuids(documents)]
            )
        }
    }
}
