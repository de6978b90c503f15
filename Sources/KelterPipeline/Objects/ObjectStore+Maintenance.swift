import Glibc
package import KelterModel
package import KelterStore

extension ObjectStore {
    /// Makes the stored metadata of an upload name the collection that its document is in now.
    ///
    /// - Parameters:
    ///   - collection: The collection; `nil` for none.
    ///   - upload: The upload.
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed``, or of a file that cannot be read.
    package func setCollection(_ collection: CollectionID?, of upload: UploadRecord) throws(KelterError) {
        let bytes = try readSmall(upload.metadataPath)
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw KelterError(
                .sidecarInvalid,
                "The stored metadata is no JSON.",
                subject: upload.metadataPath,
                fix: "Restore the file from a backup, or upload the document again."
            )
        }
        var members = (value.members ?? []).filter { $0.name != "collection_id" && $0.name != "collection_ids" }
        if let collection { members.insert(("collection_id", .string(collection.description)), at: 0) }
        try write(.object(members), to: upload.metadataPath)
    }

    /// Removes everything of a tenant.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/objectStoreFailed`` at the first object that stays.
    package func removeAll(of tenant: Tenant) throws(KelterError) {
        try removeTree(root + "/" + pathSegment(tenant.key))
    }

    private func removeTree(_ path: String) throws(KelterError) {
        guard access(path, F_OK) == 0 else { return }
        for entry in try directoryEntries(path) {
            let child = path + "/" + entry.name
            if entry.kind == .directory {
                try removeTree(child)
            } else {
                guard unlink(child) == 0 else { throw failure(child, errno) }
            }
        }
        guard rmdir(path) == 0 else { throw failure(path, errno) }
    }
}
