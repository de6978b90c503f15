import ArgumentParser
import KelterEmbedding
import KelterModel
import KelterPipeline
import KelterSettings
import KelterStore

struct QueryCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Searches what has been ingested, by meaning and by words.",
        discussion: "With LITELLM_CHAT_MODEL set, the model answers from the matches. Ends with 1 when nothing matches."
    )

    @Argument(help: "The question.")
    var text: String

    @OptionGroup var caller: CallerOptions
    @OptionGroup var scope: ScopeOptions

    @Option(help: ArgumentHelp("Find documents of this case too; with collections a union.", valueName: "case"))
    var caseFilter: String?

    @Option(help: "How many answers at most, from 1 to 10.")
    var topK = 5

    @Option(help: "The embedding profile whose vectors are searched; default: as the routing rules say.")
    var profile: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        guard (1...10).contains(topK) else {
            throw KelterError(.usage, "\(topK) answers are not possible.", subject: "--top-k", fix: "Give 1 to 10.")
        }
        try checkSchema(caller.schema)
        let inputs = try scope.inputs()
        // What is wrong with the call is said before anything is started.
        _ = try CollectionScope.resolve(inputs)
        let caseID = try caseFilter.map { (text) throws(KelterError) in try CaseID(text).description }
        try services.checkProfile(profile, tenant: try Tenant(caller.tenant))
        let question = Question(
            text: text,
            tenant: try Tenant(caller.tenant),
            scope: inputs,
            filters: SearchFilters(caseID: caseID),
            profile: profile,
            hybrid: HybridOptions(topK: topK)
        )
        let catalog = try await services.catalog(
            store: services.store(role: .reader),
            role: .reader,
            for: .answer
        )
        let findings = try await services.retrieval(catalog).find(question)
        await catalog.close()
        try findings.requireMatches()
        terminal.print(json: findings.json, text: text(findings))
        return .done
    }

    private func text(_ findings: Findings) -> String {
        var lines = ["\(text)"]
        switch findings.answer {
        case .none: break
        case .text(let answer):
            lines.append("")
            for line in answer.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
                lines += wrapped(String(line), width: 103)
            }
        case .failed(let error): lines += ["", "No answer: \(error)"]
        }
        for (index, snippet) in findings.snippets.enumerated() {
            let score = "\((snippet.score * 1000).rounded() / 1000)"
            let collection = snippet.collection.map { "collection \($0)" } ?? "no collection"
            lines.append("")
            lines.append("\(index + 1). \(score)  \(snippet.citation)")
            lines.append("   \(collection)")
            lines += wrapped(excerpt(snippet.text, length: 280), width: 100).map { "   " + $0 }
        }
        lines.append("")
        lines.append(
            "\(findings.snippets.count) of \(findings.vectorCandidates) candidates by meaning and "
                + "\(findings.lexicalCandidates) by words in \(spoken(findings.duration))"
        )
        return printable(lines.joined(separator: "\n"))
    }

    /// The text without control characters: neither a document nor a model may steer the terminal.
    private func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.filter { $0 == "\n" || $0.properties.generalCategory != .control }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The beginning of a text on one line, cut between words.
    private func excerpt(_ text: String, length: Int) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        var line = ""
        for word in words {
            guard line.count + word.count < length else { return line + " …" }
            line += line.isEmpty ? String(word) : " " + word
        }
        return line
    }

    private func wrapped(_ text: String, width: Int) -> [String] {
        var lines: [String] = [""]
        for word in text.split(separator: " ") {
            let last = lines[lines.count - 1]
            if !last.isEmpty, last.count + word.count >= width {
                lines.append(String(word))
            } else {
                lines[lines.count - 1] = last.isEmpty ? String(word) : last + " " + word
            }
        }
        return lines
    }
}
