import KelterModel
@testable import KelterSettings
import Testing

@Suite struct SettingsTests {
    private func error(
        flags: [String: String] = [:],
        environment: [String: String] = [:],
        file: String? = nil
    ) -> KelterError? {
        do throws(KelterError) {
            _ = try Settings(flags: flags, environment: environment, file: file.map { ($0, "Config/kelter.yaml") })
            return nil
        } catch {
            return error
        }
    }

    @Test func `Defaults are those of the contract`() throws {
        let settings = try Settings(environment: [:])
        #expect(settings.database.url == nil && settings.endpointBaseURL == nil && settings.endpointKey == nil)
        #expect(settings.chatModel == nil)
        #expect(settings.vectorSchema == "rag")
        #expect(settings.batchSize == 64)
        #expect(settings.timeout == .seconds(20))
        #expect(settings.retryAttempts == 3 && settings.retryBaseDelay == .milliseconds(50))
        #expect(settings.statementTimeout == .seconds(15))
        let index = settings.index
        #expect(index.kind == .hnsw && index.m == 32 && index.efConstruction == 200 && index.efSearch == 80)
        #expect(index.lists == nil && index.probes == 64)
        #expect(settings.search == Settings.SearchSettings(alpha: 0.7, minimumSimilarity: 0.15, trigramLimit: 0.1))
        #expect(settings.profile.name == "standard" && settings.profile.dimension == 384)
        #expect(settings.profile.targetTokens == 450 && settings.profile.maximumTokens == 512)
        #expect(settings.profile.overlapTokens == 80 && settings.profile.tokenizer == .xlmRoberta)
        #expect(settings.explained.allSatisfy { $0.origin == .builtIn })
    }

    @Test func `A flag beats the environment, the environment the file, the file the default`() throws {
        let file = "EMBEDDINGS_BATCH_SIZE: 11\nRAG_VECTOR_SCHEMA: from_file\n"
        func settings(_ flags: [String: String], _ environment: [String: String]) throws -> Settings {
            try Settings(flags: flags, environment: environment, file: (file, "Config/kelter.yaml"))
        }
        func origin(_ settings: Settings) -> SettingOrigin? {
            settings.explained.first { $0.name == "EMBEDDINGS_BATCH_SIZE" }?.origin
        }
        let fromFile = try settings([:], [:])
        #expect(fromFile.batchSize == 11 && fromFile.vectorSchema == "from_file")
        #expect(origin(fromFile) == .file(path: "Config/kelter.yaml", line: 1))
        let fromEnvironment = try settings([:], ["EMBEDDINGS_BATCH_SIZE": "12"])
        #expect(fromEnvironment.batchSize == 12 && origin(fromEnvironment) == .environment)
        let fromFlag = try settings(["EMBEDDINGS_BATCH_SIZE": "13"], ["EMBEDDINGS_BATCH_SIZE": "12"])
        #expect(fromFlag.batchSize == 13 && origin(fromFlag) == .flag)
    }

    @Test func `A blank variable counts as absent`() throws {
        let settings = try Settings(environment: ["RAG_DATABASE_URL": " ", "DATABASE_URL": "postgresql:///other"])
        #expect(settings.database.url == "postgresql:///other")
    }

    @Test(arguments: [
        ("RAG_INDEX_KIND", "BTREE"), ("RAG_IVF_LISTS", "0"), ("RAG_IVF_PROBES", "many"),
        ("RAG_MAINTENANCE_MEMORY", "2"),
        ("RAG_OWNER_DATABASE_URL", "postgresql:///alone"), ("EMBEDDINGS_BATCH_SIZE", "0"),
        ("EMBEDDINGS_BATCH_SIZE", "2049"), ("EMBEDDINGS_BATCH_SIZE", "many"),
        ("EMBEDDINGS_TIMEOUT_SECONDS", "-1"), ("EMBEDDINGS_DIM", "4001"), ("EMBEDDINGS_DIM", "1.5"),
        ("RAG_VECTOR_SCHEMA", "Rag"), ("RAG_VECTOR_SCHEMA", "pg_rag"), ("RAG_VECTOR_SCHEMA", "a;b"),
        ("LITELLM_BASE_URL", "ftp://host"), ("RAG_HYBRID_ALPHA", "1.1"), ("RAG_HNSW_M", "1"),
        ("RAG_HNSW_EF_CONSTRUCTION", "63"), ("RAG_CHUNK_TARGET_TOKENS", "513"), ("RAG_CHUNK_OVERLAP_TOKENS", "226"),
        ("EMBEDDINGS_TOKENIZER", "sentencepiece"), ("EMBEDDINGS_MAX_TOKENS", "31"), ("EMBEDDINGS_MAX_TOKENS", "32769"),
        ("EMBEDDINGS_MAX_REQUEST_TOKENS", "31"), ("EMBEDDINGS_PRICE_PER_MILLION_TOKENS", "-0.1"),
        ("EMBEDDINGS_PRICE_PER_MILLION_TOKENS", "nan"), ("RAG_RETRY_ATTEMPTS", "nan"), ("RAG_MIN_SIM", "nan"),
        ("RAG_STATEMENT_TIMEOUT_MS", "1e4"), ("LITELLM_CHAT_MODEL", "chat"),
    ])
    func `A bad value names the variable, the value and what is allowed`(name: String, value: String) {
        let error = error(environment: [name: value])
        #expect(error?.code == .settingInvalid)
        #expect(error?.subject == name)
        #expect(error?.message.contains("\"\(value)\"") == true)
        #expect(error?.fix?.hasPrefix("Use ") == true)
        #expect(error?.code.exitCode == .badInput)
    }

    @Test(arguments: [
        ("EMBEDDINGS_BATCHSIZE: 3", 1), ("\n\n- a\n- b\n", 3), ("a: [1, 2]\n", 1),
        ("EMBEDDINGS_DIM: 384\nx: {y: 1}\n", 2),
        ("a: 'open", 1), ("EMBEDDINGS_DIM: 384\nEMBEDDINGS_DIM: 384\n", 1), ("384: 1\n'384': 1\n", 2),
    ])
    func `A bad configuration file is refused with its line`(text: String, line: Int) {
        let error = error(file: text)
        #expect(error?.code == .configurationFileInvalid)
        #expect(error?.subject?.hasPrefix("Config/kelter.yaml:") == true, "\(error?.subject ?? "")")
        #expect(error?.subject == "Config/kelter.yaml:\(line)" || text.contains("open"))
    }

    @Test func `An empty configuration file says nothing`() {
        #expect(error(file: "") == nil)
        #expect(error(file: "# only a comment\n") == nil)
    }

    @Test func `Secrets never reach the explanation`() throws {
        let settings = try Settings(environment: [
            "LITELLM_MASTER_KEY": "sk-geheim", "RAG_DATABASE_URL": "postgresql://kelter:geheim@db.example:5432/kelter",
            "LITELLM_BASE_URL": "https://user:geheim@llm.example/v1",
        ])
        #expect(settings.endpointKey == "sk-geheim")
        #expect(!settings.explained.contains { $0.value?.contains("geheim") == true })
        #expect(settings.explained.contains { $0.value == "postgresql://kelter:********@db.example:5432/kelter" })
    }

    @Test(arguments: [
        ("postgresql://u:p@h/db", "postgresql://u:********@h/db"), ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("host=h user=u password=p dbname=d", "host=h user=u password=******** dbname=d"),
        ("postgresql:///db?user=u&password=p&host=h", "postgresql:///db?user=u&password=********&host=h"),
        ("postgresql://u:p:q@h/db", "postgresql://u:********@h/db"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
    ])
    func `Passwords in addresses are masked`(url: String, expected: String) {
        #expect(maskedPassword(url) == expected)
    }

    @Test func `A chat model needs an endpoint of the user's`() throws {
        let settings = try Settings(environment: [
            "LITELLM_CHAT_MODEL": " chat ", "LITELLM_BASE_URL": "https://llm.example/v1",
        ])
        #expect(settings.chatModel == "chat")
        #expect(error(environment: ["LITELLM_CHAT_MODEL": "chat"])?.fix?.contains("LITELLM_BASE_URL") == true)
    }

    @Test func `Of an unknown model bytes are counted and no prefix is added`() throws {
        let profile = try Settings(environment: [
            "EMBEDDINGS_MODEL_PRIMARY": "text-embedding-3-small", "EMBEDDINGS_DIM": "1536",
        ])
        .profile
        #expect(profile.tokenizer == .bytes && profile.passagePrefix.isEmpty && profile.queryPrefix.isEmpty)
        #expect(profile.dimension == 1536)
    }
}
