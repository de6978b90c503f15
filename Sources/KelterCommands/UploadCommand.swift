import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct UploadCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload",
        abstract: "Uploads one file: object store, database and index in one go."
    )

    @Argument(help: "The file.")
    var file: String

    @OptionGroup var caller: CallerOptions
    @OptionGroup var scope: ScopeOptions

    @Option(help: ArgumentHelp("A metadata file that takes the place of the file's own .meta.json.", valueName: "file"))
    var meta: String?

    @Option(
        name: .customLong("external-id"),
        help: "The file's identifier; default: that of the metadata, else a digest."
    )
    var externalID: String?

    @Option(help: "The embedding profile.")
    var profile: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let inputs = try scope.inputs()
        _ = try CollectionScope.resolve(inputs)
        try checkSchema(caller.schema)
        let request = UploadRequest(
            caller: Caller(tenant: try Tenant(caller.tenant), caseID: try CaseID(caller.caseID), scope: inputs),
            path: try resolvedPath(file),
            metadataPath: meta,
            externalID: try externalID.map { (text) throws(KelterError) in try checkedExternalID(text) },
            profile: profile
        )
        try services.checkProfile(profile, tenant: request.caller.tenant)
        try refuseDirectory(request.path)
        let catalog = try await services.catalog(for: .answer)
        let report = try await Ingestion(catalog: catalog, jobs: 1).upload(request, objects: services.objects)
        await catalog.close()
        terminal.print(json: report.json, text: text(report))
        if let error = report.error {
            terminal.note(error.description)
            return error.endsRun ? error.code.exitCode : .someItemsFailed
        }
        return .done
    }

    private func text(_ report: UploadReport) -> String {
        var lines = ["\(report.outcome.rawValue): \(report.externalID) in \(spoken(report.duration))"]
        let collections = report.scope.collections.map(\.description).joined(separator: ", ")
        var scope =
            "  scope: \(collections.isEmpty ? "no collection" : collections) (from \(report.scope.origin.rawValue)"
        if !report.scope.ignored.isEmpty {
            scope += "; ignored: \(report.scope.ignored.map(\.rawValue).joined(separator: ", "))"
        }
        lines.append(scope + ")")
        for document in report.documents {
            var line = "  document \(document.document?.description ?? "-") \(document.outcome.rawValue)"
            if let original = document.duplicateOf { line += " of \(original)" }
            if let path = document.metadataPath { line += "\n  metadata \(path)" }
            lines.append(line)
        }
        lines.append("  \(report.chunks) chunks, \(report.embeddings) embeddings, \(report.cacheHits) vectors reused")
        if let reason = report.skipReason { lines.append("  skipped: \(reason.rawValue)") }
        return lines.joined(separator: "\n")
    }

    private func checkedExternalID(_ text: String) throws(KelterError) -> String {
        let value = trimmed(text)
        guard (1...2048).contains(value.utf8.count) else {
            throw KelterError(
                .usage,
                "The external identifier is blank or too long.",
                subject: "--external-id",
                fix: "Give 1 to 2048 bytes."
            )
        }
        return value
    }
}

/// Refuses a tenant schema that PostgreSQL or Kelter could not use.
///
/// - Throws: ``KelterError`` with ``ErrorCode/usage``.
func checkSchema(_ name: String) throws(KelterError) {
    guard isSchemaName(name) else {
        throw KelterError(
            .usage,
            "\"\(shortened(name))\" is not a schema name.",
            subject: "--schema",
            fix: "Use lower-case letters, digits and '_', starting with a letter, not with pg_."
        )
    }
}
