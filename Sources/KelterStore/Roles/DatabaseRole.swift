/// The roles of the database; each has an address of its own in the settings.
package enum DatabaseRole: String, Sendable, CaseIterable {
    /// Owns schemas and tables: migrations, tenants, indexes.
    ///
    /// `RAG_OWNER_DATABASE_URL`.
    case owner = "kelter_owner"
    /// Reads and writes the rows of one tenant at a time and owns nothing.
    ///
    /// `RAG_DATABASE_URL`.
    case application = "kelter_app"
    /// Reads the rows of one tenant at a time.
    ///
    /// `RAG_READ_DATABASE_URL`.
    case reader = "kelter_read"
}
