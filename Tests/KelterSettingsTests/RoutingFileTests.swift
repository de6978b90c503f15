import FoundationEssentials
import KelterModel
@testable import KelterSettings
import Testing

@Suite struct RoutingFileTests {
    private let path = "Config/routing.yaml"

    private func error(_ text: String, _ environment: [String: String] = [:]) -> KelterError? {
        do throws(KelterError) {
            _ = try Settings(environment: environment, routing: (text, path))
            return nil
        } catch {
            return error
        }
    }

    private func shipped(_ name: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try String(contentsOfFile: "/\(root)/Config/\(name)", encoding: .utf8)
    }

    /// The commented-out example that follows the first blank line of a shipped file, as it would be used.
    private func example(_ name: String) throws -> String {
        let lines = try shipped(name).split(separator: "\n", omittingEmptySubsequences: false)
        let example = lines.drop { !$0.isEmpty }.drop { $0.isEmpty }
        return example.map { $0.hasPrefix("# ") ? String($0.dropFirst(2)) : String($0) }.joined(separator: "\n")
    }

    @Test func `The shipped files change nothing`() throws {
        let settings = try Settings(
            environment: [:],
            file: (try shipped("kelter.yaml"), "Config/kelter.yaml"),
            routing: (try shipped("routing.yaml"), path)
        )
        #expect(settings.explained.allSatisfy { $0.origin == .builtIn })
        #expect(settings.routing.profiles == (try Settings(environment: [:]).routing.profiles))
        #expect(settings.routing.explain(for: RouteKeys(tenant: try Tenant("acme"))) == ("standard", nil))
    }

    @Test func `The examples of the shipped files can be used`() throws {
        let routing = try example("routing.yaml")
        // The files that the example names are not on this machine.
        let lines = try example("kelter.yaml").split(separator: "\n").filter { !$0.contains("_FILE: ") }
        let settings = try Settings(
            environment: [:],
            file: (lines.joined(separator: "\n"), "Config/kelter.yaml"),
            routing: (routing, path)
        )
        let fromFile = Set(settings.explained.filter { $0.origin != .builtIn }.map(\.name))
        let secrets: Set = [
            "LITELLM_MASTER_KEY", "RAG_INTERNAL_KEYS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ]
        let others = Set(settings.explained.map(\.name)).subtracting(fromFile)
        #expect(others.filter { !$0.hasSuffix("_FILE") } == secrets)
        let legal = try settings.routing.profile(
            for: RouteKeys(tenant: try Tenant("acme"), docClass: "NDA"),
            named: nil
        )
        #expect(legal.name == "legal" && legal.dimension == 1024 && legal.tokenizer == .cl100k)
        #expect(legal.vectorSpace == "rag_legal" && legal.pricePerMillionTokens == 0.13)
        for key in ProfileKey.allCases { #expect(routing.contains("    \(key.rawValue): "), "\(key.rawValue)") }
    }

    @Test func `Profiles take their defaults from their space and their model`() throws {
        let text = """
            vector_spaces:
              rag: {dimension: 384}
              wide: {dimension: 3072}
            profiles:
              wide: {model: text-embedding-3-large, vector_space: wide, max_tokens: 256}
              short: {model: multilingual-e5-small, vector_space: rag, target_tokens: 100}
            """
        let settings = try Settings(environment: ["EMBEDDINGS_BATCH_SIZE": "7"], routing: (text, path))
        let (wide, short) = (settings.routing.profiles[1], settings.routing.profiles[2])
        #expect(wide.dimension == 3072 && wide.tokenizer == .bytes && wide.passagePrefix.isEmpty)
        #expect(wide.targetTokens == 256 && wide.overlapTokens == 80)
        // The settings are those of the profile standard alone.
        #expect(wide.maximumInputs == 64)
        #expect(short.dimension == 384 && short.tokenizer == .xlmRoberta && short.passagePrefix == "passage: ")
        #expect(short.overlapTokens == 50 && settings.routing.spaces.map(\.dimension) == [384, 3072])
    }

    @Test func `A profile in the space of the settings needs no declaration`() throws {
        let text = "profiles: {short: {model: m, vector_space: docs, max_tokens: 100}}\n"
        let environment = [
            "RAG_VECTOR_SCHEMA": "docs", "EMBEDDINGS_DIM": "12", "EMBEDDINGS_MODEL_PRIMARY": "m",
        ]
        let settings = try Settings(environment: environment, routing: (text, path))
        #expect(settings.routing.profiles.map(\.dimension) == [12, 12] && settings.routing.spaces.count == 1)
    }

    @Test func `A width that only the space says is that of the settings' profile, too`() throws {
        let text = "vector_spaces: {rag: {dimension: 8}}\nprofiles: {standard: {model: m}}\n"
        #expect(try Settings(environment: [:], routing: (text, path)).profile.dimension == 8)
        #expect(error(text, ["EMBEDDINGS_DIM": "9"])?.code == .schemaDimensionMismatch)
    }

    @Test func `Rules are read with values and lists and explained with their lines`() throws {
        let text = """
            rules:
              - {profile: standard, doc_class: [Contract, ' NDA'], tenant: acme}

              - profile: standard
                workflow: 7
            """
        let routing = try Settings(environment: [:], routing: (text, path)).routing
        let tenant = try Tenant("ACME")
        #expect(routing.explain(for: RouteKeys(tenant: tenant, docClass: "nda")).rule == "Config/routing.yaml:2")
        #expect(routing.explain(for: RouteKeys(tenant: tenant, workflow: "7")).rule == "Config/routing.yaml:4")
        #expect(routing.explain(for: RouteKeys(tenant: tenant)).rule == nil)
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "vector_spaces:\nprofiles:\nrules:\n", "rules: []\nprofiles: {}\n"])
    func `A file that says nothing is one`(text: String) {
        #expect(error(text) == nil)
    }

    @Test(arguments: [
        // The file and its sections.
        ("- a\n", 1), ("\nrule: []\n", 2), ("rules: {}\n", 1), ("profiles: [a]\n", 1), ("profiles: {a: b}\n", 1),
        ("rules:\n  - legal\n", 2), ("a: [\n", 2), ("a: 1\n\nb: \u{1}\n", 3), ("rules: []\nrules: []\n", 1),
        ("profiles: {? [a] : b}\n", 1),
        // Vector spaces.
        ("vector_spaces:\n  Rag: {dimension: 8}\n", 2), ("vector_spaces:\n  rag: {}\n", 2),
        ("vector_spaces:\n  rag:\n    width: 8\n", 3), ("vector_spaces: {rag: {dimension: 4001}}\n", 1),
        ("vector_spaces: {rag: {dimension: 0}}\n", 1), ("vector_spaces: {rag: 384}\n", 1),
        // Profiles.
        ("profiles:\n  a b: {model: m, vector_space: rag}\n", 2), ("profiles:\n  a: {vector_space: rag}\n", 2),
        ("profiles:\n  a: {model: m}\n", 2), ("profiles:\n  a:\n    model:\n", 3),
        ("profiles:\n  a:\n    model: ' '\n", 3),
        ("profiles:\n  a:\n    model: [m]\n", 3), ("profiles:\n  a:\n    model: \"m\\0\"\n", 3),
        ("profiles:\n  a:\n    models: m\n", 3),
        ("profiles:\n  a: {model: m, vector_space: rag}\n  a: {model: m}\n", 2),
        ("profiles:\n  1: {model: m, vector_space: rag}\n  '1': {model: m}\n", 3),
        ("profiles:\n  a:\n    model: m\n    model: n\n", 3),
        // Rules.
        ("rules:\n\n  - {tenant: acme}\n", 3), ("rules:\n  - {profile: standard}\n", 2),
        ("rules:\n  - {profile: standard, doc_class: []}\n", 2),
        ("rules:\n  - {profile: standard, doc_class: ''}\n", 2),
        ("rules:\n  - profile: standard\n    docclass: a\n", 3),
        ("rules:\n  - profile: standard\n    doc_class: {}\n", 3),
        ("rules:\n  - profile: standard\n    doc_class:\n", 3),
        ("rules:\n  - profile: standard\n    doc_class: [a,\n null]\n", 4),
        ("rules:\n  - {profile: standard, collection: 6f1c}\n", 2),
        ("rules:\n  - {profile: standard, tenant: a b}\n", 2),
    ])
    func `What the file may not say is refused with its line`(text: String, line: Int) {
        let error = error(text)
        #expect(error?.code == .routeInvalid && error?.code.exitCode == .badInput)
        #expect(error?.subject == "Config/routing.yaml:\(line)", "\(error?.description ?? "")")
        #expect(error?.fix?.isEmpty == false)
    }

    @Test(arguments: ["a", "standard"])
    func `A bad value of a profile is refused with its line, its key and what is allowed`(name: String) {
        let values = [
            ("dimension", "4001"), ("dimension", "1_000"), ("tokenizer", "spm"), ("max_tokens", "31"),
            ("max_tokens", "32769"), ("target_tokens", "513"), ("overlap_tokens", "226"), ("batch_size", "2049"),
            ("max_request_tokens", "0"), ("price_per_million_tokens", "free"), ("vector_space", "Rag"),
        ]
        for (key, value) in values {
            let space = key == "vector_space" ? "" : "    vector_space: rag\n"
            let error = error("profiles:\n  \(name):\n    model: m\n\(space)    \(key): \(value)\n")
            #expect(error?.code == .routeInvalid)
            #expect(error?.subject == "Config/routing.yaml:\(space.isEmpty ? 4 : 5)")
            #expect(error?.message == "The value \"\(value)\" of \(key) is not allowed.")
            #expect(error?.fix?.hasPrefix("Use ") == true)
        }
    }

    @Test(arguments: [
        // A rule or a space that is not there.
        ("rules:\n  - {profile: legal, tenant: a}\n", ErrorCode.unknownProfile, 2),
        ("profiles:\n  a:\n    model: m\n    vector_space: other\n", .unknownSpace, 4),
        (
            "vector_spaces: {x: {dimension: 8}}\nprofiles:\n  a:\n    model: m\n    vector_space: rag\n", .unknownSpace,
            5
        ),
        ("vector_spaces: {}\nprofiles: {a: {model: m, vector_space: rag}}\n", .unknownSpace, 2),
        // Widths.
        (
            "vector_spaces: {x: {dimension: 8}}\nprofiles:\n  a:\n    model: m\n    dimension: 9\n"
                + "    vector_space: x\n",
            .schemaDimensionMismatch, 5
        ),
        (
            "profiles: {a: {model: multilingual-e5-small, dimension: 9, vector_space: rag}}\n",
            .schemaDimensionMismatch, 1
        ),
        ("vector_spaces:\n  rag: {dimension: 8}\n", .schemaDimensionMismatch, 2),
        // Models.
        ("profiles:\n  a: {model: m, vector_space: rag}\n", .routeConflict, 2),
        (
            "vector_spaces: {x: {dimension: 8}}\nprofiles:\n  a: {model: m, vector_space: x}\n"
                + "  b: {model: m, query_prefix: q, vector_space: x}\n", .routeConflict, 4
        ),
        // Rules.
        ("rules:\n  - {profile: standard, tenant: a}\n  - {profile: standard, tenant: [b, A]}\n", .routeConflict, 3),
    ])
    func `Parts that do not fit together are refused with the line`(text: String, code: ErrorCode, line: Int) {
        let error = error(text)
        #expect(error?.code == code, "\(error?.description ?? "")")
        #expect(error?.subject == "Config/routing.yaml:\(line)", "\(error?.description ?? "")")
        #expect(error?.fix != nil)
    }

    @Test func `Both lines of a conflict are named`() {
        let rules = error("rules:\n  - {profile: standard, tenant: a}\n  - {profile: standard, tenant: a}\n")
        #expect(rules?.message.contains("Config/routing.yaml:2") == true && rules?.subject == "Config/routing.yaml:3")
        let profiles = error(
            "vector_spaces: {x: {dimension: 8}}\nprofiles:\n  a: {model: m, vector_space: x}\n"
                + "  b: {model: n, vector_space: x}\n"
        )
        #expect(profiles?.message.contains("Config/routing.yaml:3") == true)
        #expect(profiles?.subject == "Config/routing.yaml:4")
    }

    @Test func `A key that is written twice is named`() {
        #expect(error("rules: []\nrules: []\n")?.message.contains("\"rules\" is given twice") == true)
    }
}
