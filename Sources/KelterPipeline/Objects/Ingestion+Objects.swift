import KelterModel
import KelterStore

extension Ingestion {
    /// Writes raw bytes and metadata of one document and records where; the metadata carries the winning collection.
    ///
    /// After the document's rows and not before, because only then its identifier is certain. A kill in between leaves
    /// a document without objects, which the next upload of the same file mends.
    ///
    /// - Parameters:
    ///   - item: What was ingested; its file may be the document's object already.
    ///   - document: The document.
    ///   - collection: Its collection.
    ///   - tenant: Its owner.
    ///   - objects: Where to.
    /// - Returns: The record of the objects.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed`` and others.
    func placeObjects(
        of item: IngestItem,
        _ document: RowID,
        _ collection: CollectionID?,
        tenant: Tenant,
        in objects: ObjectStore
    ) async throws(KelterError) -> UploadRecord {
        let location = try objects.location(
            tenant: tenant,
            caseID: item.caseID,
            document: document,
            fileName: item.file.name
        )
        let metadata = item.sidecar.stored(externalID: item.externalID, collection: collection)
        try await io.attempt { () throws(KelterError) in
            if objects.root + "/" + location.content != item.file.path {
                try objects.copy(item.file.path, to: location.content)
            }
            try objects.write(metadata, to: location.metadata)
        }
        let record = UploadRecord(
            document: document,
            caseID: item.caseID,
            externalID: item.externalID,
            fileName: item.file.name,
            contentPath: location.content,
            metadataPath: location.metadata,
            bytes: item.content.size,
            hash: item.content.hash
        )
        try await stages.store.saveUploads([record], tenant: tenant)
        return record
    }
}
