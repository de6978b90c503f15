import ArgumentParser
import KelterEmbedding
import KelterLocal
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct CheckCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Runs every check of the runbook and says what repairs a failed one.",
        discussion: """
            One line each: ok, warn or FAIL. Nothing is changed, but for an embedded server that is new. Exit code 0 when nothing failed, 1 when a check did.
            """
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        var results: [CheckResult] = []
        func add(_ result: CheckResult) {
            results.append(result)
            if !terminal.isJSON { terminal.print(Self.line(result)) }
        }
        var hasDatabase = true
        do throws(KelterError) {
            try await checkDatabase(services, report: add)
        } catch {
            hasDatabase = false
            add(Self.failure("database", error))
        }
        do throws(KelterError) {
            if !services.settings.isEndpointConfigured { _ = try await services.embeddings.start() }
            try await services.checkEndpoint()
            add(CheckResult("embedding-endpoint", .ok, "the embedding endpoint answers"))
            // A contract is compared with what the database knows of the model.
            for profile in services.settings.routing.profiles where hasDatabase {
                add(await contract(services, profile))
            }
        } catch {
            add(Self.failure("embedding-endpoint", error))
        }
        let failed = results.count { $0.status == .failed }
        let warned = results.count { $0.status == .warning }
        if terminal.isJSON {
            let json = JSONValue.object([
                ("passed", .bool(failed == 0)), ("failed", .int(failed)), ("warnings", .int(warned)),
                ("checks", .array(results.map(\.json))),
            ])
            terminal.print(json.compactText)
        } else {
            terminal.print(
                "\(results.count) checks: \(results.count - failed - warned) ok, \(warned) warnings, \(failed) failed"
            )
        }
        return failed == 0 ? .done : .someItemsFailed
    }

    private func checkDatabase(
        _ services: Services,
        report: (CheckResult) -> Void
    ) async throws(KelterError) {
        let store = try await services.registryStore()
        let server = try await store.serverInfo()
        report(CheckResult("database", .ok, "PostgreSQL \(server.version) at \(store.place) answers"))
        // Without tables there are no tenants to ask for; the checks themselves say what is missing.
        let tenants = (try? await store.knownTenants()) ?? []
        _ = try await store.databaseChecks(
            tenants: tenants,
            options: CheckOptions(hnsw: services.hnsw),
            progress: report
        )
        report(await model(store, services.settings.profile.model))
        await checkMigrations(store, report: report)
        await store.close()
    }

    /// Whether a profile's model is what the profile and its vector space say.
    private func contract(_ services: Services, _ profile: EmbeddingProfile) async -> CheckResult {
        let name = "embedding-contract \(profile.name)"
        do throws(KelterError) {
            let store = try await services.unverifiedStore(connections: 1, profile: profile)
            let stages = try await services.stages(of: profile, store: store, for: .answer)
            let inspection: ContractInspection
            do throws(KelterError) {
                inspection = try await ContractInspection(stages, counter: try services.tokenCounter(of: profile))
            } catch {
                stages.embeddings.close()
                await store.close()
                throw error
            }
            stages.embeddings.close()
            await store.close()
            return Self.result(name, profile, inspection)
        } catch {
            return Self.failure(name, error)
        }
    }

    private static func result(
        _ name: String,
        _ profile: EmbeddingProfile,
        _ inspection: ContractInspection
    ) -> CheckResult {
        let contract = inspection.contract
        if let comparison = inspection.comparison, !comparison.isSame() {
            let similarity = (comparison.similarity * 10_000).rounded() / 10_000
            return CheckResult(
                name,
                .failed,
                "EMBEDDING_MODEL_DRIFT: \(profile.model) is not the model of fingerprint \(comparison.fingerprint) that "
                    + "the vectors of \(profile.vectorSpace) are of since \(comparison.since) (similarity \(similarity))",
                fix: "Point the alias at the model it had, or fill a space for the new one with 'kelter reembed "
                    + "--accept-drift' and switch with 'kelter vector-space switch'."
            )
        }
        if inspection.truncates {
            return CheckResult(
                name,
                .failed,
                "EMBEDDING_TRUNCATION: \(profile.model) leaves out the end of texts of \(profile.maximumTokens) tokens",
                fix: "Lower EMBEDDINGS_MAX_TOKENS (max_tokens of the profile) to what the endpoint reads."
            )
        }
        let fingerprint = inspection.comparison.map { "fingerprint \($0.fingerprint)" } ?? "no vector written yet"
        return CheckResult(
            name,
            .ok,
            "\(contract.modelName) answers in \(contract.encoding.rawValue) with \(contract.dimension) dimensions, "
                + "\(contract.returnsUnitVectors ? "unit vectors" : "not normalised"), reads \(profile.maximumTokens) "
                + "tokens; \(fingerprint)"
        )
    }

    private func model(_ store: Store, _ configured: String) async -> CheckResult {
        let name = "vector-space-model"
        do throws(KelterError) {
            guard let present = try await store.currentModel() else {
                return CheckResult(name, .ok, "no vector has been written yet")
            }
            if present == configured { return CheckResult(name, .ok, "the vectors are of \(present)") }
            return CheckResult(
                name,
                .failed,
                "the vectors are of \(present), EMBEDDINGS_MODEL_PRIMARY is \(configured)",
                fix: "Set EMBEDDINGS_MODEL_PRIMARY=\(present), or fill a space for the other model with "
                    + "'kelter reembed --model \(configured)'."
            )
        } catch {
            return Self.failure(name, error)
        }
    }

    /// Whether every schema of the registry has the migrations of this program, and no others.
    private func checkMigrations(_ store: Store, report: (CheckResult) -> Void) async {
        let name = "migrations"
        do throws(KelterError) {
            let shared = try await store.migrationStatus(.embedded(.shared), schema: TenantRecord.publicSchema).pending
            guard shared.isEmpty else {
                report(
                    CheckResult(
                        name,
                        .failed,
                        "pending in public: \(shared.joined(separator: ", "))",
                        fix: "Run 'kelter migrate-schemas --shared'."
                    )
                )
                return
            }
            var pending: [String] = []
            var count = 0
            for record in try await store.tenants() where record.schema != TenantRecord.publicSchema {
                count += 1
                let names = try await store.migrationStatus(.embedded(.tenant), schema: record.schema).pending
                if !names.isEmpty { pending.append("\(record.schema): \(names.joined(separator: ", "))") }
            }
            report(
                pending.isEmpty
                    ? CheckResult(name, .ok, "nothing is pending in public and \(count) tenants' schemas")
                    : CheckResult(
                        name,
                        .failed,
                        "pending in \(pending.joined(separator: "; "))",
                        fix: "Run 'kelter migrate-schemas --tenant'."
                    )
            )
        } catch {
            report(Self.failure(name, error))
        }
    }

    private static func failure(_ name: String, _ error: KelterError) -> CheckResult {
        CheckResult(name, .failed, error.message, fix: error.fix)
    }

    private static func line(_ result: CheckResult) -> String {
        let word =
            switch result.status {
            case .ok: "ok  "
            case .warning: "warn"
            case .failed: "FAIL"
            }
        let fix = result.status == .ok ? nil : result.fix
        return "\(word)  \(result.name): \(result.detail)" + (fix.map { "\n      \($0)" } ?? "")
    }
}

extension CheckResult {
    fileprivate var json: JSONValue {
        .object([
            ("name", .string(name)), ("status", .string(status.rawValue)), ("detail", .string(detail)),
            ("fix", .optional(fix)),
        ])
    }
}
