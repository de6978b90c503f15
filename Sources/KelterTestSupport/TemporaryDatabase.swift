import KelterModel
package import KelterStore

/// A database of its own for one test, on the test process's server; dropped at the end.
///
/// The server's URL belongs to a superuser. ``applicationStore(poolSize:)`` gives a store that connects as a role without
/// privileges beyond those of the application, so that row level security applies.
package struct TemporaryDatabase: Sendable {
    /// The URL of the database for the superuser.
    package let url: String
    /// The name of the database, unique on the server.
    package let name: String
    /// A store on the database, as the superuser.
    package let store: Store

    /// Creates a database with an applied schema, runs the test and drops the database.
    ///
    /// - Parameters:
    ///   - server: The URL of the server; default: the test process's own.
    ///   - dimension: The width of the vectors. Default 8.
    ///   - poolSize: Connections of the store. Default 4.
    ///   - appliesSchema: Whether the tables are created. Default `true`.
    ///   - statementTimeout: Of the store. Default 120 s: many tests share two cores.
    ///   - body: The test.
    /// - Returns: What the test returned.
    /// - Throws: What the test threw, or why there is no database.
    package static func with<Value>(
        server: String? = nil,
        dimension: Int = 8,
        poolSize: Int = 4,
        appliesSchema: Bool = true,
        statementTimeout: Duration = .seconds(120),
        _ body: (TemporaryDatabase) async throws -> Value
    ) async throws -> Value {
        let server = if let server { server } else { try await TestServer.postgresURL() }
        let name = "kelter_test_" + RowID.version7(milliseconds: 0).description.filter { $0 != "-" }
        // Many tests that begin at once wait for each other's databases.
        let administrator = try Store(
            configuration: StoreConfiguration(
                url: server,
                dimension: dimension,
                poolSize: 1,
                statementTimeout: .seconds(300)
            )
        )
        try await administrator.runScript("CREATE DATABASE \(name)")
        let url = replacingDatabase(of: server, with: name)
        let configuration = StoreConfiguration(
            url: url,
            dimension: dimension,
            poolSize: poolSize,
            statementTimeout: statementTimeout
        )
        let database = TemporaryDatabase(url: url, name: name, store: try Store(configuration: configuration))
        let result: Result<Value, any Error>
        do {
            if appliesSchema { try await database.store.applySchema() }
            result = .success(try await body(database))
        } catch {
            result = .failure(error)
        }
        await database.store.close()
        try await administrator.runScript("DROP DATABASE \(name) WITH (FORCE)")
        await administrator.close()
        return try result.get()
    }

    /// Another store on the same database.
    package func store(dimension: Int? = nil, schema: String? = nil, poolSize: Int = 1) throws -> Store {
        var configuration = store.configuration
        configuration.dimension = dimension ?? configuration.dimension
        configuration.schema = schema ?? configuration.schema
        configuration.poolSize = poolSize
        return try Store(configuration: configuration)
    }

    /// A store that connects as a new role which owns nothing and is bound by row level security.
    package func applicationStore(poolSize: Int = 2) async throws -> Store {
        let role = name + "_app"
        let schema = store.configuration.schema
        try await store.runScript(
            """
            DROP ROLE IF EXISTS \(role);
            CREATE ROLE \(role) LOGIN NOSUPERUSER NOBYPASSRLS;
            GRANT USAGE ON SCHEMA \(schema) TO \(role);
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(schema) TO \(role);
            """
        )
        var configuration = store.configuration
        configuration.url = Self.replacingUser(of: url, with: role)
        configuration.poolSize = poolSize
        return try Store(configuration: configuration)
    }

    /// Drops the role of ``applicationStore(poolSize:)``; roles outlive their database.
    package func dropApplicationRole() async throws {
        try await store.runScript("DROP OWNED BY \(name)_app; DROP ROLE \(name)_app")
    }

    /// A store that connects as one of kelter's roles, which ``Store/applyRoles()`` has made.
    package func roleStore(_ role: DatabaseRole, schema: String? = nil, poolSize: Int = 1) throws -> Store {
        var configuration = store.configuration
        configuration.url = Self.replacingUser(of: url, with: role.rawValue)
        configuration.schema = schema ?? configuration.schema
        configuration.poolSize = poolSize
        return try Store(configuration: configuration)
    }

    /// The URL with another path: `postgresql://user@host/OLD?options`.
    private static func replacingDatabase(of url: String, with name: String) -> String {
        let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let base = parts[0].split(separator: "/", omittingEmptySubsequences: false).prefix(3).joined(separator: "/")
        return base + "/" + name + (parts.count > 1 ? "?" + parts[1] : "")
    }

    /// The URL with a user appended as the last option, which wins over an earlier one.
    private static func replacingUser(of url: String, with role: String) -> String {
        url + (url.contains("?") ? "&" : "?") + "user=" + role
    }
}
