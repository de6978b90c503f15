import ArgumentParser
import KelterHashing
import KelterModel
import KelterSettings
import KelterStore

struct BootstrapPublicTenantCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bootstrap-public-tenant",
        abstract: "Makes sure that there is the public tenant, and the registry of tenants.",
        discussion: "Safe to repeat.",
        aliases: ["bootstrap_public_tenant"]
    )

    @Option(help: "The domain that leads to it, such as localhost.")
    var domain: String

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let store = try await Services().unverifiedStore(role: .owner)
        try await store.prepareRegistry()
        let isChanged = try await store.bootstrapPublicTenant(domain: domain)
        await store.close()
        terminal.print(
            json: .object([
                ("schema", .string(TenantRecord.publicSchema)), ("domain", .string(domain)),
                ("created", .bool(isChanged)),
            ]),
            text: isChanged
                ? "The public tenant is in place; \(domain) leads to it."
                : "The public tenant was in place already; \(domain) leads to it."
        )
        return .done
    }
}

struct CreateTenantCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-tenant",
        abstract: "Makes sure that there is a tenant with its schema and domain.",
        discussion: "Safe to repeat with the same values; refused when they belong to another tenant.",
        aliases: ["create_tenant"]
    )

    @Option(help: "The tenant's schema, which X-Tenant-Schema names.")
    var schema: String

    @Option(help: "The tenant's name for people.")
    var name: String?

    @Option(help: "The domain that leads to it, such as dev.localhost.")
    var domain: String?

    @Option(
        name: .customLong("tenant-id"),
        help: "The tenant's key for X-Tenant-ID; default: the schema and '-tenant'."
    )
    var tenantID: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        try checkSchema(schema)
        guard schema != TenantRecord.publicSchema else {
            throw KelterError(
                .tenantConflict,
                "The schema public belongs to the public tenant.",
                subject: "--schema",
                fix: "Use bootstrap-public-tenant for it."
            )
        }
        let tenant = try Tenant(tenantID ?? "\(schema)-tenant")
        let record = TenantRecord(
            tenant: tenant,
            schema: schema,
            name: name ?? schema,
            domains: domain.map { [$0] } ?? []
        )
        let store = try await Services().unverifiedStore(role: .owner)
        try await store.prepareRegistry()
        let isChanged = try await store.createTenant(record)
        await store.close()
        terminal.print(
            json: .object([
                ("schema", .string(schema)), ("tenant_id", .string(tenant.key)),
                ("tenant_row_id", .string(tenant.rowID.description)), ("domain", .optional(domain)),
                ("created", .bool(isChanged)),
            ]),
            text: "Tenant \(tenant.key) \(isChanged ? "is" : "was already") in place in the schema \(schema)"
                + (domain.map { "; \($0) leads to it." } ?? ".")
        )
        return .done
    }
}

struct ListTenantsCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-tenants",
        abstract: "Lists the tenants with their schemas and domains.",
        aliases: ["list_tenants"]
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let store = try await Services().registryStore()
        let records = try await store.tenants()
        await store.close()
        terminal.print(
            json: .object([
                (
                    "tenants",
                    .array(
                        records.map { record in
                            .object([
                                ("schema", .string(record.schema)), ("tenant_id", .string(record.tenant.key)),
                                ("name", .string(record.name)),
                                ("domains", .array(record.domains.map { .string($0) })),
                            ])
                        }
                    )
                )
            ]),
            text: records.isEmpty
                ? "There are no tenants."
                : table(records.map { [$0.schema, $0.tenant.key, $0.name, $0.domains.joined(separator: " ")] })
        )
        return .done
    }
}

struct CreateTenantSuperuserCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-tenant-superuser",
        abstract: "Creates a superuser of a tenant, or gives an existing one a new password.",
        discussion: "The password is read from DJANGO_SUPERUSER_PASSWORD and kept in Django's form.",
        aliases: ["create_tenant_superuser"]
    )

    @Option(help: "The tenant's schema.")
    var schema: String

    @Option(help: "The user's name.")
    var username: String

    @Option(help: "The user's address.")
    var email: String

    @Flag(name: .customLong("noinput"), help: "Ask nothing; the password is never asked for in any case.")
    var noInput = false

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let variable = "DJANGO_SUPERUSER_PASSWORD"
        guard let password = currentEnvironment()[variable], !password.isEmpty else {
            throw KelterError(
                .settingInvalid,
                "There is no password.",
                subject: variable,
                fix: "Set \(variable) in the environment of this command."
            )
        }
        let name = trimmed(username)
        guard (1...150).contains(name.utf8.count), !name.utf8.contains(UInt8(ascii: ":")) else {
            throw KelterError(
                .usage,
                "\"\(shortened(name))\" is no user's name.",
                subject: "--username",
                fix: "Use 1 to 150 bytes without ':'."
            )
        }
        let store = try await Services().unverifiedStore(role: .owner)
        let record = try await store.registeredTenant(schema: schema)
        try await store.requireMigrations(.tenant, schema: record.schema)
        let hash = try PasswordHash(password: password)
        let isNew = try await store.saveSuperuser(name, email: trimmed(email), password: hash.encoded, of: record)
        await store.close()
        terminal.print(
            json: .object([
                ("schema", .string(schema)), ("username", .string(name)), ("email", .string(trimmed(email))),
                ("created", .bool(isNew)),
            ]),
            text: isNew
                ? "Superuser \(name) of \(schema) is in place."
                : "Superuser \(name) of \(schema) has the new password and address."
        )
        return .done
    }
}

extension Store {
    /// A tenant that must be there.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/tenantMissing``.
    func registeredTenant(schema: String) async throws(KelterError) -> TenantRecord {
        guard schema != TenantRecord.publicSchema, let record = try await tenant(schema: schema) else {
            throw KelterError(
                .tenantMissing,
                "There is no tenant in the schema \(shortened(schema)).",
                subject: "--schema",
                fix: "Create it with `kelter create-tenant --schema \(shortened(schema))`."
            )
        }
        return record
    }
}
