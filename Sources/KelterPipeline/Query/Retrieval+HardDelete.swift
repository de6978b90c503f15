package import KelterModel
package import KelterStore

extension Retrieval {
    /// Removes documents for good from every vector space, the one with the records of uploads last: a failure in between
    /// is repaired by a repetition, which finds what is left.
    ///
    /// - Parameters:
    ///   - order: What is to go, on whose word.
    ///   - tenant: Whose documents they are.
    /// - Returns: What was removed, summed up.
    /// - Throws: ``KelterError`` with ``ErrorCode/storeConflict`` while a run that may write one of them is worked on, and
    ///   those of a space that cannot be opened.
    package func hardDelete(_ order: HardDeletionOrder, tenant: Tenant) async throws(KelterError) -> HardDeletion {
        let home = catalog.standard.store
        var elsewhere: [HardDeletion] = []
        for stages in try await catalog.allSpaces() where stages.store !== home {
            elsewhere.append(try await stages.store.hardDelete(order, tenant: tenant))
        }
        var deletion = try await home.hardDelete(order, tenant: tenant)
        for other in elsewhere {
            deletion.documents += other.documents.filter { !deletion.documents.contains($0) }
            deletion.notFound.removeAll(where: other.documents.contains)
            deletion.chunks += other.chunks
            deletion.embeddings += other.embeddings
        }
        return deletion
    }
}
