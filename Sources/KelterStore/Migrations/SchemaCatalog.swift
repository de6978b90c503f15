/// What a schema holds, read from the server's catalogs, with the schema's own name left out.
///
/// All names are quoted where SQL needs it.
struct SchemaCatalog: Sendable {
    /// A column of a table.
    struct Column: Sendable {
        let name: String
        /// The type with its modifiers and a collation that is not the type's own.
        let type: String
        let isNotNull: Bool
        /// The expression of a default.
        let defaultExpression: String?
        /// `GENERATED …`, of an identity or a computed column.
        let generation: String?

        /// The column as `CREATE TABLE` takes it.
        var definition: String {
            var text = "\(name) \(type)"
            if let generation { text += " " + generation }
            if let defaultExpression { text += " DEFAULT " + defaultExpression }
            if isNotNull { text += " NOT NULL" }
            return text
        }
    }

    /// A constraint of a table.
    struct Constraint: Sendable {
        let definition: String
        let isForeignKey: Bool
    }

    /// A table with what belongs to it, by name.
    struct Table: Sendable {
        var columns: [Column] = []
        var constraints: [String: Constraint] = [:]
        /// `CREATE INDEX` statements, without those that serve a constraint.
        var indexes: [String: String] = [:]
        /// `CREATE POLICY` statements.
        var policies: [String: String] = [:]
        let hasRowSecurity: Bool
        let forcesRowSecurity: Bool

        func column(_ name: String) -> Column? {
            columns.first { $0.name == name }
        }
    }

    var tables: [String: Table] = [:]
    /// `CREATE FUNCTION` statements by signature.
    var functions: [String: Function] = [:]
    /// The definitions of what a migration is not derived for, by kind and name, such as `view totals`.
    var others: [String: String] = [:]

    /// A function or procedure.
    struct Function: Sendable {
        let definition: String
        /// `FUNCTION` or `PROCEDURE`.
        let kind: String
    }

    /// Everything by kind and name with its definition: two catalogs are the same when these are.
    var entries: [String: String] {
        var entries = others
        for (name, table) in tables {
            entries["table \(name)"] = ""
            entries["row level security of \(name)"] = "\(table.hasRowSecurity) \(table.forcesRowSecurity)"
            for column in table.columns { entries["column \(name).\(column.name)"] = column.definition }
            for (key, constraint) in table.constraints {
                entries["constraint \(key) of \(name)"] = constraint.definition
            }
            for (key, definition) in table.indexes { entries["index \(key)"] = definition }
            for (key, definition) in table.policies { entries["policy \(key) of \(name)"] = definition }
        }
        for (signature, function) in functions { entries["function \(signature)"] = function.definition }
        return entries
    }

    /// What is in one only, or different, by kind and name; the order is always the same.
    func differences(from other: SchemaCatalog) -> [String] {
        let (left, right) = (entries, other.entries)
        return Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()
    }
}
