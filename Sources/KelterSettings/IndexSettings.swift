import KelterModel

/// The vector index and how it is searched.
package struct IndexSettings: Equatable, Sendable {
    /// The kinds of vector index.
    package enum Kind: String, Equatable, Sendable {
        case hnsw = "HNSW"
        case ivfflat = "IVFFLAT"
    }

    /// `RAG_INDEX_KIND`, in any case.
    ///
    /// Default `HNSW`.
    package let kind: Kind
    /// `RAG_HNSW_M`: links per node.
    ///
    /// Default 32.
    package let m: Int
    /// `RAG_HNSW_EF_CONSTRUCTION`: candidates looked at while a node is inserted.
    ///
    /// Default 200.
    package let efConstruction: Int
    /// `RAG_HNSW_EF_SEARCH`: candidates looked at by a search.
    ///
    /// Default 80.
    package let efSearch: Int
    /// `RAG_IVF_LISTS`; `nil` derives the number from that of the rows.
    package let lists: Int?
    /// `RAG_IVF_PROBES`: lists that a search looks into.
    ///
    /// Default 64.
    package let probes: Int
    /// `RAG_MAINTENANCE_MEMORY`: the most memory of an index build, in bytes; `nil` leaves it to what the server has.
    package let maintenanceMemory: Int?

    /// Reads the settings.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    init(_ reader: inout SettingsReader) throws(KelterError) {
        let name = reader.text("RAG_INDEX_KIND", builtIn: Kind.hnsw.rawValue) ?? ""
        guard let kind = Kind(rawValue: uppercasedASCII(name)) else {
            throw reader.invalid("RAG_INDEX_KIND", allowed: "HNSW or IVFFLAT")
        }
        self.kind = kind
        m = try reader.integer("RAG_HNSW_M", builtIn: 32, in: 2...100)
        efConstruction = try reader.integer("RAG_HNSW_EF_CONSTRUCTION", builtIn: 200, in: 4...1000)
        guard efConstruction >= 2 * m else {
            throw reader.invalid("RAG_HNSW_EF_CONSTRUCTION", allowed: "at least twice RAG_HNSW_M (\(m))")
        }
        efSearch = try reader.integer("RAG_HNSW_EF_SEARCH", builtIn: 80, in: 1...1000)
        lists = try Self.lists(&reader)
        probes = try reader.integer("RAG_IVF_PROBES", builtIn: 64, in: 1...32_768)
        maintenanceMemory = try Self.memory(&reader)
    }

    private static func memory(_ reader: inout SettingsReader) throws(KelterError) -> Int? {
        let name = "RAG_MAINTENANCE_MEMORY"
        guard let text = reader.text(name).map(uppercasedASCII) else { return nil }
        for (unit, bytes) in [("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)] where text.hasSuffix(unit) {
            guard let count = Int(trimmed(String(text.dropLast(2)))), (1...(1 << 30)).contains(count) else { break }
            return count * bytes
        }
        throw reader.invalid(name, allowed: "a number with kB, MB or GB, such as 2GB")
    }

    private static func lists(_ reader: inout SettingsReader) throws(KelterError) -> Int? {
        guard let text = reader.text("RAG_IVF_LISTS") else { return nil }
        guard let lists = Int(text), (1...32_768).contains(lists) else {
            throw reader.invalid("RAG_IVF_LISTS", allowed: "a whole number from 1 to 32768")
        }
        return lists
    }
}
