package import KelterModel

/// What the file system said about a file when it was last read, and what was read.
package struct FileStamp: Sendable, Equatable {
    /// The file, by its path relative to the root of its batch.
    package let path: String
    /// Size, times and number of the file and of its sidecar, as text.
    package let stamp: String
    package let hash: ContentHash
    /// The size of the content.
    package let bytes: Int
    /// The metadata object of its sidecar; `nil` without one.
    package let sidecar: JSONValue?

    package init(path: String, stamp: String, hash: ContentHash, bytes: Int, sidecar: JSONValue?) {
        self.path = path
        self.stamp = stamp
        self.hash = hash
        self.bytes = bytes
        self.sidecar = sidecar
    }
}

extension Store {
    /// Root and path together must fit into an index.
    private static let longestStampKey = 2_000

    /// The stamps of files of a batch root, by their paths.
    ///
    /// - Throws: ``KelterError`` of the database.
    package func stamps(
        of paths: [String],
        root: String,
        tenant: Tenant
    ) async throws(KelterError) -> [String: FileStamp] {
        let schema = ledgerSchema
        return try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            let rows = try connection.query(
                """
                SELECT path, stamp, hash, bytes, sidecar FROM \(schema).file_stamps
                WHERE tenant_id = $1 AND root = $2 AND path = ANY ($3)
                """,
                [.uuid(tenant.rowID), .text(root), .texts(paths)]
            )
            var stamps: [String: FileStamp] = [:]
            stamps.reserveCapacity(rows.count)
            for row in 0..<rows.count {
                guard let path = rows.text(row, 0), let stamp = rows.text(row, 1), let hash = rows.hash(row, 2),
                    let bytes = rows.int(row, 3)
                else { continue }
                let text = rows.text(row, 4)
                let sidecar = text.flatMap { try? JSONReader.read($0) }
                // Without its metadata a file would seem to have changed.
                guard text == nil || sidecar != nil else { continue }
                stamps[path] = FileStamp(
                    path: path,
                    stamp: stamp,
                    hash: hash,
                    bytes: bytes,
                    sidecar: sidecar
                )
            }
            return stamps
        }
    }

    /// Remembers files of a batch root as they have just been read.
    ///
    /// - Throws: ``KelterError`` of the database.
    package func recordStamps(_ stamps: [FileStamp], root: String, tenant: Tenant) async throws(KelterError) {
        let stamps = stamps.filter {
            root.utf8.count + $0.path.utf8.count <= Self.longestStampKey && !containsNUL($0.path)
        }
        guard !stamps.isEmpty else { return }
        let schema = ledgerSchema
        _ = try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            // In one order, so that two processes never wait for each other.
            try connection.execute(
                """
                INSERT INTO \(schema).file_stamps (tenant_id, root, path, stamp, hash, bytes, sidecar)
                SELECT $1, $2, k.path, k.stamp, k.hash, k.bytes, k.sidecar
                FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::text[])
                    AS k (path, stamp, hash, bytes, sidecar)
                ORDER BY k.path
                ON CONFLICT (tenant_id, root, path) DO UPDATE SET stamp = excluded.stamp, hash = excluded.hash,
                    bytes = excluded.bytes, sidecar = excluded.sidecar
                """,
                [
                    .uuid(tenant.rowID), .text(root), .texts(stamps.map(\.path)), .texts(stamps.map(\.stamp)),
                    .hashes(stamps.map(\.hash)), .ints(stamps.map(\.bytes)),
                    .texts(stamps.map { $0.sidecar?.compactText }),
                ]
            )
        }
    }

    /// Forgets the files of a batch root that a batch, recorded to its end, has not found.
    ///
    /// - Throws: ``KelterError`` of the database.
    package func pruneStamps(underRoot root: String, notIn run: RowID, tenant: Tenant) async throws(KelterError) {
        let schema = ledgerSchema
        _ = try await tenantCall(tenant) { connection throws(DatabaseFailure) in
            try connection.execute(
                """
                DELETE FROM \(schema).file_stamps s
                WHERE s.tenant_id = $1 AND s.root = $2 AND NOT EXISTS (
                    SELECT FROM \(schema).run_items i WHERE i.run_id = $3 AND i.tenant_id = $1 AND i.path = s.path
                )
                """,
                [.uuid(tenant.rowID), .text(root), .uuid(run)]
            )
        }
    }
}
