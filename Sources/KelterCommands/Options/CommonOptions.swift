import ArgumentParser
import KelterModel

/// Options of every command.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print exactly one JSON object on standard output.")
    var json = false
}

/// Who acts: tenant, schema and case.
struct CallerOptions: ParsableArguments {
    @Option(help: "The tenant's key.")
    var tenant = "dev-tenant"

    @Option(help: "The tenant's schema.")
    var schema = "dev"

    @Option(name: .customLong("case"), help: "The case of documents whose metadata names none.")
    var caseID = "local"
}

/// The collections a command is about: list > body > header.
struct ScopeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("One collection; a header is then ignored.", valueName: "uuid"))
    var collection: String?

    @Option(help: ArgumentHelp("Collections, separated by commas; the strongest.", valueName: "uuid,uuid"))
    var collections: String?

    @Option(
        name: .customLong("header"),
        help: ArgumentHelp(
            "A header 'Name: value'; X-Collection-ID takes part in the scope rule. Repeatable.",
            valueName: "name: value"
        )
    )
    var headers: [String] = []

    /// The options as inputs of the scope rule.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidHeader``.
    func inputs() throws(KelterError) -> ScopeInputs {
        var parsed: [(name: String, value: String)] = []
        for header in headers {
            guard let colon = header.firstIndex(of: ":"), colon != header.startIndex else {
                throw KelterError(
                    .invalidHeader,
                    "\"\(shortened(header))\" is not a header.",
                    subject: "--header",
                    fix: "Write it as 'Name: value'."
                )
            }
            parsed.append((String(header[..<colon]), String(header[header.index(after: colon)...])))
        }
        let list = collections.map { text in
            JSONValue.array(text.split(separator: ",", omittingEmptySubsequences: false).map { .string(String($0)) })
        }
        return ScopeInputs(list: list, body: collection.map { .string($0) }, headers: parsed)
    }
}
