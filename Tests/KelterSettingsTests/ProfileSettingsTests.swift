import KelterModel
@testable import KelterSettings
import Testing

@Suite struct ProfileSettingsTests {
    private let path = "Config/routing.yaml"

    private func settings(
        flags: [String: String] = [:],
        _ environment: [String: String] = [:],
        file: String? = nil,
        routing: String? = nil
    ) throws(KelterError) -> Settings {
        try Settings(
            flags: flags,
            environment: environment,
            file: file.map { ($0, "Config/kelter.yaml") },
            routing: routing.map { ($0, path) }
        )
    }

    private func error(
        flags: [String: String] = [:],
        _ environment: [String: String] = [:],
        file: String? = nil,
        routing: String? = nil
    ) -> KelterError? {
        do throws(KelterError) {
            _ = try settings(flags: flags, environment, file: file, routing: routing)
            return nil
        } catch {
            return error
        }
    }

    private func explained(_ settings: Settings, _ name: String) -> ExplainedSetting? {
        settings.explained.first { $0.name == name }
    }

    @Test func `The settings make the profile standard`() throws {
        let settings = try settings([
            "EMBEDDINGS_MODEL_PRIMARY": "large", "EMBEDDINGS_MODEL_FALLBACK": "large-eu", "EMBEDDINGS_DIM": "4000",
            "EMBEDDINGS_BATCH_SIZE": "16", "EMBEDDINGS_TOKENIZER": "o200k_base", "EMBEDDINGS_MAX_TOKENS": "8192",
            "RAG_CHUNK_TARGET_TOKENS": "8192", "RAG_CHUNK_OVERLAP_TOKENS": "4096", "EMBEDDINGS_PASSAGE_PREFIX": "p: ",
            "EMBEDDINGS_QUERY_PREFIX": " q:\n", "EMBEDDINGS_PRICE_PER_MILLION_TOKENS": "0.13",
            "EMBEDDINGS_MAX_REQUEST_TOKENS": "100000", "RAG_VECTOR_SCHEMA": "rag_large",
        ])
        let expected = EmbeddingProfile(
            name: "standard",
            model: "large",
            fallbackModel: "large-eu",
            dimension: 4000,
            tokenizer: .o200k,
            targetTokens: 8192,
            maximumTokens: 8192,
            overlapTokens: 4096,
            passagePrefix: "p: ",
            queryPrefix: " q:\n",
            vectorSpace: "rag_large",
            maximumInputs: 16,
            maximumTokensPerRequest: 100_000,
            pricePerMillionTokens: 0.13
        )
        #expect(settings.profile == expected && settings.routing.profiles == [expected])
        #expect(settings.vectorSchema == "rag_large" && settings.batchSize == 16)
    }

    @Test func `Defaults of the profile are those of the contract`() throws {
        let profile = try settings().profile
        #expect(profile.maximumTokens == 512 && profile.maximumTokensPerRequest == 300_000)
        #expect(profile.maximumInputs == 64 && profile.pricePerMillionTokens == nil && profile.fallbackModel == nil)
        #expect(profile.passagePrefix == "passage: " && profile.queryPrefix == "query: ")
    }

    @Test func `Every new setting is explained`() throws {
        let names = Set(try settings().explained.map(\.name))
        for key in ProfileKey.allCases { #expect(names.contains(key.setting), "\(key.setting)") }
        #expect(names.contains("RAG_ROUTING_RULES_PATH") && names.contains("RAG_DEFAULT_EMBEDDING_PROFILE"))
    }

    @Test func `A lower limit takes the defaults of the chunks with it`() throws {
        let profile = try settings(["EMBEDDINGS_MAX_TOKENS": "100"]).profile
        #expect(profile.targetTokens == 100 && profile.overlapTokens == 50)
        let over = error(["EMBEDDINGS_MAX_TOKENS": "100", "RAG_CHUNK_TARGET_TOKENS": "101"])
        #expect(over?.subject == "RAG_CHUNK_TARGET_TOKENS" && over?.fix == "Use a whole number from 32 to 100.")
    }

    @Test func `A tokenizer may be a file`() throws {
        let profile = try settings(["EMBEDDINGS_TOKENIZER": "models/tokenizer.json"]).profile
        #expect(profile.tokenizer == .file(path: "models/tokenizer.json"))
    }

    @Test func `A prefix keeps the space at its end, wherever it is given`() throws {
        let name = "EMBEDDINGS_PASSAGE_PREFIX"
        #expect(try settings(flags: [name: "flag: "]).profile.passagePrefix == "flag: ")
        #expect(try settings([name: "env: "]).profile.passagePrefix == "env: ")
        #expect(try settings(file: "\(name): 'file: '\n").profile.passagePrefix == "file: ")
        #expect(try settings(file: "\(name): \"line\\n \"\n").profile.passagePrefix == "line\n ")
        // Without quotes YAML itself drops the space.
        #expect(try settings(file: "\(name): file \n").profile.passagePrefix == "file")
        let routing = "profiles: {standard: {model: m, query_prefix: 'q: ', passage_prefix: ' '}}\n"
        let profile = try settings(routing: routing).profile
        #expect(profile.queryPrefix == "q: " && profile.passagePrefix == " ")
    }

    @Test func `An empty prefix in quotes says none, an empty variable says nothing`() throws {
        let name = "EMBEDDINGS_QUERY_PREFIX"
        #expect(try settings(file: "\(name): \"\"\n").profile.queryPrefix.isEmpty)
        #expect(try settings(file: "\(name):\n").profile.queryPrefix == "query: ")
        #expect(try settings([name: ""]).profile.queryPrefix == "query: ")
        #expect(try settings([name: " "]).profile.queryPrefix == "query: ")
    }

    @Test func `The file's own standard gives values to the settings, with its lines as origins`() throws {
        let routing = "profiles:\n  standard:\n    model: large\n    dimension: 8\n    vector_space: rag_large\n"
        let settings = try settings(["EMBEDDINGS_BATCH_SIZE": "5"], routing: routing)
        #expect(settings.profile.model == "large" && settings.profile.dimension == 8)
        // A key that the profile leaves out is still the setting's.
        #expect(settings.profile.maximumInputs == 5 && settings.batchSize == 5)
        #expect(settings.vectorSchema == "rag_large")
        let model = explained(settings, "EMBEDDINGS_MODEL_PRIMARY")
        #expect(model?.value == "large" && model?.origin == .file(path: path, line: 3))
        #expect(settings.routing.profiles.count == 1)
    }

    @Test(arguments: ["flag", "environment", "file"])
    func `A setting that contradicts the file's own standard is refused by name`(origin: String) throws {
        let routing = "profiles:\n  standard: {model: m, max_tokens: 400,\n    query_prefix: 'q: '}\n"
        func given(_ name: String, _ value: String) -> KelterError? {
            switch origin {
            case "flag": error(flags: [name: value], routing: routing)
            case "environment": error([name: value], routing: routing)
            default: error(file: "\(name): '\(value)'\n", routing: routing)
            }
        }
        #expect(given("EMBEDDINGS_MAX_TOKENS", "400") == nil && given("EMBEDDINGS_QUERY_PREFIX", "q: ") == nil)
        let cases = [
            ("EMBEDDINGS_MODEL_PRIMARY", "n", "routing.yaml:2"), ("EMBEDDINGS_MAX_TOKENS", "401", "routing.yaml:2"),
            ("EMBEDDINGS_QUERY_PREFIX", "q:", "routing.yaml:3"),
        ]
        for (name, value, place) in cases {
            let error = given(name, value)
            #expect(error?.code == .settingInvalid && error?.subject == name && error?.code.exitCode == .badInput)
            #expect(error?.message.contains(place) == true && error?.message.contains(origin) == true)
        }
    }

    @Test func `The default profile is the one that is named`() throws {
        let routing = """
            vector_spaces: {rag_legal: {dimension: 8}}
            profiles: {legal: {model: m, vector_space: rag_legal}}
            """
        let settings = try settings(["RAG_DEFAULT_EMBEDDING_PROFILE": "legal"], routing: routing)
        #expect(settings.profile.name == "legal" && settings.routing.defaultProfile.name == "legal")
        #expect(settings.routing.profiles.map(\.name) == ["standard", "legal"])
        let unknown = error(["RAG_DEFAULT_EMBEDDING_PROFILE": "other"], routing: routing)
        #expect(unknown?.code == .unknownProfile && unknown?.subject == "RAG_DEFAULT_EMBEDDING_PROFILE")
        #expect(unknown?.fix?.contains("standard, legal") == true)
    }

    @Test func `The path of the routing file follows the precedence of all settings`() throws {
        let name = "RAG_ROUTING_RULES_PATH"
        let file = (text: "\(name): from-file.yaml\n", path: "Config/kelter.yaml")
        let unnamed = try Settings.routingPath(environment: [:])
        #expect(unnamed.path == "Config/routing.yaml" && !unnamed.isNamed)
        let fromFile = try Settings.routingPath(environment: [:], file: file)
        #expect(fromFile.path == "from-file.yaml" && fromFile.isNamed)
        let fromEnvironment = try Settings.routingPath(environment: [name: "env.yaml"], file: file)
        #expect(fromEnvironment.path == "env.yaml" && fromEnvironment.isNamed)
        #expect(try Settings.routingPath(flags: [name: "f.yaml"], environment: [name: "e.yaml"]).path == "f.yaml")
    }

    @Test func `A routing file that is named but was not read is refused`() {
        let error = error(["RAG_ROUTING_RULES_PATH": "missing.yaml"])
        #expect(error?.code == .routeInvalid && error?.subject == "missing.yaml")
    }
}
