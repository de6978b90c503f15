import KelterModel

/// The addresses of the database, one for each role; all may hold passwords.
package struct DatabaseSettings: Equatable, Sendable {
    /// `RAG_DATABASE_URL`, else `DATABASE_URL`: reads and writes documents; `nil` means the embedded server.
    package let url: String?
    /// `RAG_OWNER_DATABASE_URL`: migrations, tenants, indexes and roles; `nil` means ``url``.
    package let ownerURL: String?
    /// `RAG_READ_DATABASE_URL`: searches of `kelter query`; `nil` means ``url``.
    package let readURL: String?
    /// `RAG_BACKUP_DATABASE_URL`: `pg_dump`, which needs a role that row level security does not bind; `nil` means
    /// ``ownerURL``.
    package let backupURL: String?

    /// Reads the settings.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid`` for a companion without the address it goes with.
    init(_ reader: inout SettingsReader) throws(KelterError) {
        url = reader.text("RAG_DATABASE_URL", "DATABASE_URL", mask: maskedPassword)
        ownerURL = reader.text("RAG_OWNER_DATABASE_URL", mask: maskedPassword)
        readURL = reader.text("RAG_READ_DATABASE_URL", mask: maskedPassword)
        backupURL = reader.text("RAG_BACKUP_DATABASE_URL", mask: maskedPassword)
        let companions = [
            ("RAG_OWNER_DATABASE_URL", ownerURL), ("RAG_READ_DATABASE_URL", readURL),
            ("RAG_BACKUP_DATABASE_URL", backupURL),
        ]
        if url == nil, let (name, _) = companions.first(where: { $0.1 != nil }) {
            throw reader.invalid(
                name,
                allowed: "it together with RAG_DATABASE_URL: the embedded server has its own roles"
            )
        }
    }
}
