package import KelterModel

extension Store {
    /// The tenants that maintenance is about: those of the registry, and those whose rows this role sees without being
    /// told to look for them.
    ///
    /// A role bound by row level security sees none of the latter; a tenant that is in no registry is then left out.
    ///
    /// - Returns: Each tenant once; one without a registry entry has its row identifier for a key.
    /// - Throws: ``KelterError`` of the database.
    package func knownTenants() async throws(KelterError) -> [Tenant] {
        let schema = schema
        let keys = try await reporting { () async throws(DatabaseFailure) in
            try await registryTransaction { connection throws(DatabaseFailure) in
                var keys: [String] = []
                if try connection.hasTable("public.tenants") {
                    let rows = try connection.query(
                        "SELECT key FROM public.tenants WHERE schema_name <> 'public' ORDER BY key"
                    )
                    keys += (0..<rows.count).compactMap { rows.text($0, 0) }
                }
                let rows = try connection.query("SELECT DISTINCT tenant_id FROM \(schema).documents ORDER BY 1")
                keys += (0..<rows.count).compactMap { rows.uuid($0, 0)?.description }
                return keys
            }
        }
        var seen: Set<RowID> = []
        return keys.compactMap { try? Tenant($0) }.filter { seen.insert($0.rowID).inserted }
    }
}
