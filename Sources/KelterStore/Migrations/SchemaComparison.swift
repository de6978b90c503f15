/// The SQL that turns one schema into another, as far as it can be derived.
///
/// What cannot be derived is left out here and found when the result is compared again.
struct SchemaComparison {
    let declared: SchemaCatalog
    let present: SchemaCatalog

    /// The statements that lose data, by what they lose, such as `column users.email`.
    private(set) var losses: [String] = []
    private var steps = Steps()

    /// The statements by the order in which they can run.
    private struct Steps {
        var removals: [String] = []
        var functions: [String] = []
        var tables: [String] = []
        var columns: [String] = []
        var columnRemovals: [String] = []
        var constraints: [String] = []
        var indexes: [String] = []
        var foreignKeys: [String] = []
        var security: [String] = []
        var tableRemovals: [String] = []
        var functionRemovals: [String] = []
    }

    init(declared: SchemaCatalog, present: SchemaCatalog) {
        self.declared = declared
        self.present = present
        compareFunctions()
        for name in declared.tables.keys.sorted() {
            guard let new = declared.tables[name] else { continue }
            if let old = present.tables[name] {
                compare(name, old, new)
            } else {
                create(name, new)
            }
        }
        let removed = present.tables.keys.filter { declared.tables[$0] == nil }.sorted()
        losses += removed.map { "table \($0)" }
        // In one statement, so that foreign keys among them do not matter.
        if !removed.isEmpty { steps.tableRemovals.append("DROP TABLE \(removed.joined(separator: ", "))") }
    }

    /// The statements in order, without semicolons.
    var statements: [String] {
        steps.removals + steps.functions + steps.tables + steps.columns + steps.columnRemovals + steps.constraints
            + steps.indexes + steps.foreignKeys + steps.security + steps.tableRemovals + steps.functionRemovals
    }

    /// The tables that come, go or change.
    var changedTables: [String] {
        Set(declared.tables.keys).union(present.tables.keys).filter { name in
            var (left, right) = (SchemaCatalog(), SchemaCatalog())
            left.tables[name] = declared.tables[name]
            right.tables[name] = present.tables[name]
            return left.entries != right.entries
        }.sorted()
    }
}

extension SchemaComparison {
    private mutating func compareFunctions() {
        for (signature, function) in declared.functions.sorted(by: { $0.key < $1.key })
        where present.functions[signature]?.definition != function.definition {
            steps.functions.append(trimmedEnd(function.definition))
        }
        // The bodies may name tables that only come later.
        if !steps.functions.isEmpty { steps.functions.insert("SET LOCAL check_function_bodies TO off", at: 0) }
        for (signature, function) in present.functions.sorted(by: { $0.key < $1.key })
        where declared.functions[signature] == nil {
            steps.functionRemovals.append("DROP \(function.kind) \(signature)")
        }
    }

    private func trimmedEnd(_ text: String) -> String {
        text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    private mutating func create(_ name: String, _ table: SchemaCatalog.Table) {
        let constraints = table.constraints.sorted { $0.key < $1.key }
        let lines =
            table.columns.map(\.definition)
            + constraints.filter { !$0.value.isForeignKey }.map { "CONSTRAINT \($0.key) \($0.value.definition)" }
        steps.tables.append("CREATE TABLE \(name) (\n    \(lines.joined(separator: ",\n    "))\n)")
        for (key, constraint) in constraints where constraint.isForeignKey { add(key, constraint, to: name) }
        steps.indexes += table.indexes.sorted { $0.key < $1.key }.map(\.value)
        setSecurity(of: name, from: nil, to: table)
        steps.security += table.policies.sorted { $0.key < $1.key }.map(\.value)
    }

    private mutating func compare(_ name: String, _ old: SchemaCatalog.Table, _ new: SchemaCatalog.Table) {
        for (key, definition) in old.policies.sorted(by: { $0.key < $1.key }) where new.policies[key] != definition {
            steps.removals.append("DROP POLICY \(key) ON \(name)")
        }
        // Foreign keys first: they depend on the unique constraints.
        for (key, constraint) in old.constraints.sorted(by: {
            ($0.value.isForeignKey ? 0 : 1, $0.key) < ($1.value.isForeignKey ? 0 : 1, $1.key)
        }) where new.constraints[key]?.definition != constraint.definition {
            let statement = "ALTER TABLE \(name) DROP CONSTRAINT \(key)"
            if constraint.isForeignKey {
                steps.removals.insert(statement, at: 0)
            } else {
                steps.removals.append(statement)
            }
        }
        for (key, definition) in old.indexes.sorted(by: { $0.key < $1.key }) where new.indexes[key] != definition {
            steps.removals.append("DROP INDEX \(key)")
        }
        compareColumns(of: name, old, new)
        for (key, constraint) in new.constraints.sorted(by: { $0.key < $1.key })
        where old.constraints[key]?.definition != constraint.definition {
            add(key, constraint, to: name)
        }
        for (key, definition) in new.indexes.sorted(by: { $0.key < $1.key }) where old.indexes[key] != definition {
            steps.indexes.append(definition)
        }
        setSecurity(of: name, from: old, to: new)
        for (key, definition) in new.policies.sorted(by: { $0.key < $1.key }) where old.policies[key] != definition {
            steps.security.append(definition)
        }
    }

    private mutating func compareColumns(of name: String, _ old: SchemaCatalog.Table, _ new: SchemaCatalog.Table) {
        for column in new.columns {
            if let present = old.column(column.name) {
                change(present, to: column, of: name)
            } else {
                let needsValue = column.isNotNull && column.defaultExpression == nil && column.generation == nil
                let warning = needsValue ? "-- Fails while \(name) holds rows: they have no value for it.\n" : ""
                steps.columns.append("\(warning)ALTER TABLE \(name) ADD COLUMN \(column.definition)")
            }
        }
        for column in old.columns where new.column(column.name) == nil {
            losses.append("column \(name).\(column.name)")
            steps.columnRemovals.append("ALTER TABLE \(name) DROP COLUMN \(column.name)")
        }
    }

    private mutating func change(_ old: SchemaCatalog.Column, to new: SchemaCatalog.Column, of table: String) {
        let alter = "ALTER TABLE \(table) ALTER COLUMN \(new.name)"
        var hasDefault = old.defaultExpression
        if old.type != new.type {
            // A default is not converted with the column.
            if hasDefault != nil { steps.columns.append("\(alter) DROP DEFAULT") }
            hasDefault = nil
            let bare = new.type.split(separator: " COLLATE ").first.map(String.init) ?? new.type
            steps.columns.append("\(alter) TYPE \(new.type) USING \(new.name)::\(bare)")
        }
        if hasDefault != new.defaultExpression {
            steps.columns.append(
                new.defaultExpression.map { "\(alter) SET DEFAULT \($0)" } ?? "\(alter) DROP DEFAULT"
            )
        }
        if old.isNotNull != new.isNotNull {
            steps.columns.append("\(alter) \(new.isNotNull ? "SET" : "DROP") NOT NULL")
        }
    }

    private mutating func add(_ key: String, _ constraint: SchemaCatalog.Constraint, to table: String) {
        let statement = "ALTER TABLE \(table) ADD CONSTRAINT \(key) \(constraint.definition)"
        if constraint.isForeignKey {
            steps.foreignKeys.append(statement)
        } else {
            steps.constraints.append(statement)
        }
    }

    private mutating func setSecurity(
        of name: String,
        from old: SchemaCatalog.Table?,
        to new: SchemaCatalog.Table
    ) {
        if (old?.hasRowSecurity ?? false) != new.hasRowSecurity {
            steps.security.append("ALTER TABLE \(name) \(new.hasRowSecurity ? "ENABLE" : "DISABLE") ROW LEVEL SECURITY")
        }
        if (old?.forcesRowSecurity ?? false) != new.forcesRowSecurity {
            steps.security.append("ALTER TABLE \(name) \(new.forcesRowSecurity ? "" : "NO ")FORCE ROW LEVEL SECURITY")
        }
    }
}
