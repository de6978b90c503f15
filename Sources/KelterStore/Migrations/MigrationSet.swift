import Glibc
package import KelterModel

/// The migrations of one kind of schema, in the order in which they run.
package struct MigrationSet: Sendable, Equatable {
    /// Which schemas the migrations are for; the raw value is the directory's name.
    package enum Kind: String, Sendable, CaseIterable {
        /// The schema `public`.
        case shared
        /// Each tenant's schema.
        case tenant
    }

    package let kind: Kind
    package let migrations: [Migration]

    /// Puts migrations in order.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/migrationInvalid`` for two migrations with the same app and number.
    package init(kind: Kind, migrations: [Migration]) throws(KelterError) {
        let sorted = migrations.sorted()
        for (left, right) in zip(sorted, sorted.dropFirst()) where (left.number, left.app) == (right.number, right.app)
        {
            throw KelterError(
                .migrationInvalid,
                "The migrations \(left.name) and \(right.name) have the same number.",
                subject: right.name,
                fix: "Give the newer one the next free number."
            )
        }
        self.kind = kind
        self.migrations = sorted
    }

    /// Reads the files of `directory/shared` or `directory/tenant`; hidden files are skipped.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/migrationInvalid``, about the file.
    package init(directory: String, kind: Kind) throws(KelterError) {
        let path = directory + "/" + kind.rawValue
        var migrations: [Migration] = []
        for file in try Self.fileNames(in: path) where !file.hasPrefix(".") {
            let filePath = path + "/" + file
            guard file.hasSuffix(".sql") else {
                throw KelterError(
                    .migrationInvalid,
                    "\"\(shortened(file))\" is no migration.",
                    subject: filePath,
                    fix: "Keep only files named <app>.<4 digits>_<name>.sql in this directory."
                )
            }
            guard let text = String(validating: try Self.bytes(of: filePath), as: UTF8.self) else {
                throw KelterError(
                    .migrationInvalid,
                    "The migration \(file) is not UTF-8.",
                    subject: filePath,
                    fix: "Save it as UTF-8."
                )
            }
            do throws(KelterError) {
                migrations.append(try Migration(name: String(file.dropLast(4)), sql: text))
            } catch {
                throw KelterError(error.code, error.message, subject: filePath, fix: error.fix)
            }
        }
        try self.init(kind: kind, migrations: migrations)
    }

    private static func fileNames(in path: String) throws(KelterError) -> [String] {
        guard let stream = opendir(path) else { throw unreadable(path, errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw unreadable(path, errno) }
                return names.sorted()
            }
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            )
        }
    }

    private static func bytes(of path: String) throws(KelterError) -> [UInt8] {
        guard let file = fopen(path, "re") else { throw unreadable(path, errno) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
                let count = fread(buffer.baseAddress, 1, buffer.count, file)
                bytes.append(contentsOf: buffer[..<count])
                return count
            }
            if count == 0 { break }
        }
        guard ferror(file) == 0 else { throw unreadable(path, errno) }
        return bytes
    }

    private static func unreadable(_ path: String, _ number: Int32) -> KelterError {
        KelterError(
            .migrationInvalid,
            "It cannot be read: \(String(cString: strerror(number))).",
            subject: path,
            fix: "Check that it exists and that this user may read it."
        )
    }
}

extension MigrationSet {
    /// The migrations that this program was built with.
    package static func embedded(_ kind: Kind) -> MigrationSet {
        switch kind {
        case .shared: embeddedShared
        case .tenant: embeddedTenant
        }
    }

    private static let embeddedShared = embedded(
        .shared,
        [
            ("customers.0001_registry", PackageResources.customers_0001_registry_sql),
            ("kelter.0002_backups", PackageResources.kelter_0002_backups_sql),
        ]
    )

    private static let embeddedTenant = embedded(
        .tenant,
        [
            ("common.0001_drop_legacy_workflows", PackageResources.common_0001_drop_legacy_workflows_sql),
            ("users.0001_users", PackageResources.users_0001_users_sql),
            ("users.0002_tenant_isolation", PackageResources.users_0002_tenant_isolation_sql),
        ]
    )

    private static func embedded(_ kind: Kind, _ files: [(name: String, bytes: [UInt8])]) -> MigrationSet {
        do throws(KelterError) {
            return try MigrationSet(
                kind: kind,
                migrations: files.map { (file) throws(KelterError) in
                    try Migration(name: file.name, sql: String(decoding: file.bytes, as: UTF8.self))
                }
            )
        } catch {
            preconditionFailure("The embedded migrations are not valid: \(error)")
        }
    }

    /// The present state of a schema of this kind, as the program was built with it.
    static func embeddedDeclaration(_ kind: Kind) -> String {
        switch kind {
        case .shared: String(decoding: PackageResources.shared_sql, as: UTF8.self)
        case .tenant: String(decoding: PackageResources.tenant_sql, as: UTF8.self)
        }
    }
}
