import KelterModel
import KelterStore

/// A table with a `tenant_id`, as the catalog describes it.
struct IsolationTable: Sendable {
    /// With its schema, as it is written in a statement.
    let name: String
    /// The columns that can be written.
    let columns: [String]
    /// The columns of type `text`.
    let textColumns: [String]

    /// The name without its schema.
    var baseName: String { String(name.split(separator: ".").last ?? "") }

    /// All tables of these schemas, so that a new one is attacked as well.
    static func all(of store: Store, schemas: [String]) async throws -> [IsolationTable] {
        let names = schemas.map { "'\($0)'" }.joined(separator: ", ")
        let rows = try await store.rows(
            """
            SELECT format('%I.%I', n.nspname, c.relname),
                string_agg(b.attname, ' ' ORDER BY b.attnum) FILTER (WHERE b.attgenerated = ''),
                string_agg(b.attname, ' ' ORDER BY b.attnum) FILTER (WHERE b.atttypid = 'text'::regtype)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
            JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped
            WHERE c.relkind IN ('r', 'p') AND n.nspname IN (\(names)) GROUP BY 1 ORDER BY 1
            """
        )
        return rows.map { row in
            IsolationTable(
                name: row[0] ?? "",
                columns: (row[1] ?? "").split(separator: " ").map(String.init),
                textColumns: (row[2] ?? "").split(separator: " ").map(String.init)
            )
        }
    }

    /// A statement that inserts a forged copy of a row.
    ///
    /// - Parameters:
    ///   - row: The row as JSON.
    ///   - overrides: SQL expressions for columns that are to differ; those that the table lacks are left out.
    /// - Returns: An `INSERT` of one row.
    func forgery(of row: String, _ overrides: [String: String]) -> String {
        let values = columns.map { overrides[$0] ?? "r." + $0 }.joined(separator: ", ")
        return """
            INSERT INTO \(name) (\(columns.joined(separator: ", "))) SELECT \(values)
            FROM jsonb_populate_record(NULL::\(name), $row$\(row)$row$) r
            """
    }
}
