import KelterModel
import KelterStore
import KelterTestSupport

/// A healthy database with two tenants, some documents and the three roles, under names no other test has.
struct CheckDatabase: Sendable {
    let database: TemporaryDatabase
    /// Connected as the application's role.
    let app: Store
    let options: CheckOptions

    static let tenants = [Fixture.tenant("a"), Fixture.tenant("b")]

    static func with(dimension: Int = 8, _ body: (CheckDatabase) async throws -> Void) async throws {
        try await TemporaryDatabase.with(dimension: dimension) { database in
            let app = try await database.applicationStore(poolSize: 1)
            let roles = RoleNames(
                owner: database.name + "_owner",
                app: database.name + "_app",
                reader: database.name + "_read"
            )
            let checked = CheckDatabase(database: database, app: app, options: CheckOptions(roles: roles))
            try await checked.prepare()
            try await body(checked)
            await app.close()
            try await checked.dropRoles()
        }
    }

    /// Runs statements as the superuser, with `{owner}`, `{app}` and `{reader}` replaced by the roles' names.
    func run(_ sql: String) async throws {
        try await database.store.runScript(named(sql))
    }

    /// The text with the roles' names in it.
    func named(_ text: String) -> String {
        [("{owner}", options.roles.owner), ("{app}", options.roles.app), ("{reader}", options.roles.reader)]
            .reduce(text) { $0.split(separator: $1.0, omittingEmptySubsequences: false).joined(separator: $1.1) }
    }

    /// Runs the checks as the application does.
    func results() async throws -> [CheckResult] {
        try await app.databaseChecks(tenants: Self.tenants, options: options)
    }

    /// Does what the fixes say as far as the store can, in their order; says whether it could do all of it.
    func apply(_ fixes: [String]) async throws -> Bool {
        var isComplete = true
        for fix in fixes {
            let quoted = fix.split(separator: "'", omittingEmptySubsequences: false).enumerated()
            for (place, command) in quoted where place % 2 == 1 {
                switch command {
                case "kelter schema apply": try await database.store.applySchema()
                case "kelter migrate-schemas --shared": try await database.store.applyRegistry()
                case "kelter check": continue
                case _ where command.hasPrefix("kelter "): isComplete = false
                default: try await database.store.runScript(String(command))
                }
            }
        }
        return isComplete
    }

    private func prepare() async throws {
        try await database.store.applyRegistry()
        try await run(
            """
            CREATE ROLE {owner};
            CREATE ROLE {reader};
            GRANT USAGE ON SCHEMA rag TO {reader};
            GRANT SELECT ON ALL TABLES IN SCHEMA rag TO {reader};
            ALTER DEFAULT PRIVILEGES IN SCHEMA rag GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
            ALTER DEFAULT PRIVILEGES IN SCHEMA rag GRANT SELECT ON TABLES TO {reader};
            """
        )
        for (number, tenant) in Self.tenants.enumerated() {
            let collection = Fixture.collection(UInt64(number))
            let dimension = database.store.configuration.dimension
            let items = [("x", "1", nil), ("y", "2", nil), ("z", "3", collection)].map { name, bytes, collection in
                let content = (0..<2).map { Fixture.chunk($0, "\(bytes) \($0)", dimension: dimension) }
                return Fixture.item(name, bytes, in: collection, content: content)
            }
            _ = try await app.write(items, run: nil, tenant: tenant)
        }
    }

    private func dropRoles() async throws {
        for role in ["{owner}", "{app}", "{reader}"] {
            let name = named(role)
            guard try await database.store.count("SELECT count(*) FROM pg_roles WHERE rolname = '\(name)'") == 1 else {
                continue
            }
            try await database.store.runScript("DROP OWNED BY \(name) CASCADE; DROP ROLE \(name)")
        }
    }
}
