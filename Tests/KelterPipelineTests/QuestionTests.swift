import KelterModel
@testable import KelterPipeline
import KelterStore
import Testing

@Suite("The body of a query")
struct QuestionTests {
    private static let a = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
    private static let b = "7b1d0c52-6a3e-4f18-9c47-2e5a8d90b314"
    private static let c = "c4e82f6b-15d7-4a09-b3f2-9d6071e8ac25"
    private static let hash = String(repeating: "aB", count: 32)

    private func read(
        _ body: String,
        headers: [(name: String, value: String)] = [],
        maySeeDeleted: Bool = false
    ) throws -> Question {
        try Question(
            json: try JSONReader.read(body),
            headers: headers,
            tenant: try Tenant("dev-tenant"),
            maySeeDeleted: maySeeDeleted
        )
    }

    @Test("a question alone is enough, and everything else has its default")
    func alone() throws {
        let question = try read(#"{"question":"Ping?"}"#)
        #expect(question.text == "Ping?" && question.tenant.key == "dev-tenant")
        #expect(question.filters == SearchFilters() && question.hybrid == HybridOptions())
        #expect(question.visibility == .active && !question.maySeeDeleted)
        #expect(try CollectionScope.resolve(question.scope) == .none)
        #expect(question.hybrid.topK == 5 && question.hybrid.vectorLimit == 50 && question.hybrid.lexicalLimit == 50)
    }

    @Test(
        "the text comes from question, else from query",
        arguments: [
            (#"{"question":"a","query":"b"}"#, "a"), (#"{"query":"b"}"#, "b"), (#"{"question":" ","query":"b"}"#, "b"),
            (#"{"question":null,"query":"b","other":1,"top_k":99}"#, "b"), (#"{"question":" a "}"#, " a "),
        ]
    )
    func text(_ body: String, _ text: String) throws {
        #expect(try read(body).text == text)
    }

    @Test("every filter is read")
    func filters() throws {
        let question = try read(
            """
            {"question":"a","filters":{"case_id":" K-1 ","source":"handbuch","doc_class":"Verträge","external_id":"x/y",
            "id":"\(Self.a.uppercased())","hash":"\(Self.hash)"},"visibility":"all"}
            """
        )
        #expect(
            question.filters
                == SearchFilters(
                    caseID: "K-1",
                    source: "handbuch",
                    docClass: "verträge",
                    externalID: "x/y",
                    documentID: RowID(Self.a),
                    hash: ContentHash(hex: Self.hash)
                )
        )
        #expect(question.visibility == .all && question.effectiveVisibility == .active)
    }

    @Test("null and blank members count as absent")
    func absent() throws {
        let question = try read(
            """
            {"question":"a","filters":{"case_id":null,"source":"","doc_class":" ","external_id":null,"id":"","hash":null,
            "collection_id":" ","collection_ids":[]},"hybrid":{"alpha":null,"top_k":null},"visibility":null,
            "collection_ids":"","collection_id":null}
            """
        )
        #expect(question.filters == SearchFilters() && question.hybrid == HybridOptions())
        #expect(try CollectionScope.resolve(question.scope) == .none)
        #expect(try read(#"{"question":"a","filters":null,"hybrid":null}"#).filters == SearchFilters())
    }

    @Test("only a superuser gets to see what is deleted", arguments: SearchVisibility.allCases)
    func visibility(_ visibility: SearchVisibility) throws {
        let body = #"{"question":"a","visibility":"\#(visibility.rawValue)"}"#
        #expect(try read(body).effectiveVisibility == .active)
        #expect(try read(body, maySeeDeleted: true).effectiveVisibility == visibility)
    }

    @Test("every option of hybrid is read")
    func hybrid() throws {
        let question = try read(
            """
            {"question":"a","hybrid":{"alpha":0,"min_sim":1,"top_k":10.0,"vec_limit":0,"lex_limit":1000,
            "trgm_limit":0.25,"max_candidates":2e3}}
            """
        )
        #expect(
            question.hybrid
                == HybridOptions(
                    alpha: 0,
                    minimumSimilarity: 1,
                    topK: 10,
                    vectorLimit: 0,
                    lexicalLimit: 1000,
                    trigramLimit: 0.25,
                    maximumCandidates: 2000
                )
        )
    }

    @Test(
        "the scope is that of list > body > header, the filters' own first",
        arguments: [
            (#""filters":{"collection_ids":["A"],"collection_id":"B"}"#, "A", "list"),
            (#""collection_ids":["A"],"filters":{"collection_id":"B"}"#, "A", "list"),
            (#""collection_ids":["B"],"filters":{"collection_ids":["A"]}"#, "A", "list"),
            (#""collection_ids":["A"],"filters":{"collection_ids":[]}"#, "A", "list"),
            (#""collection_ids":["A"],"filters":{"collection_ids":["", null]}"#, "A", "list"),
            (#""collection_ids":"nonsense","filters":{"collection_ids":["A"]}"#, "A", "list"),
            (#""collection_id":"B","filters":{"collection_id":"A"}"#, "A", "body"),
            (#""collection_id":"nonsense","filters":{"collection_id":"A"}"#, "A", "body"),
            (#""collection_id":"A","filters":{"collection_id":""}"#, "A", "body"),
            (#""collection_id":" ""#, "C", "header"), (#""filters":{"collection_ids":null}"#, "C", "header"),
        ]
    )
    func scope(_ members: String, _ collection: String, _ origin: String) throws {
        let names = ["\"A\"": Self.a, "\"B\"": Self.b]
        let text = names.reduce(members) { $0.replacing($1.key, with: "\"\($1.value)\"") }
        let question = try read("{\"question\":\"a\",\(text)}", headers: [("x-collection-id", " \(Self.c) ")])
        let scope = try CollectionScope.resolve(question.scope)
        let expected = ["A": Self.a, "C": Self.c][collection].flatMap { CollectionID($0) }
        #expect(scope.collections == [expected] && scope.origin.rawValue == origin)
        #expect(scope.ignored.contains(.header) == (origin != "header"))
    }

    @Test(
        "a body at fault is refused with its code and the member's name",
        arguments: [
            ("{}", "missing_question", "question"), (#"{"question":" \n"}"#, "missing_question", "question"),
            (#"{"query":null}"#, "missing_question", "question"), (#"{"text":"a"}"#, "missing_question", "question"),
            ("[]", "validation_error", "body"), ("null", "validation_error", "body"),
            (#""Ping?""#, "validation_error", "body"),
            (#"{"question":1}"#, "validation_error", "question"), (#"{"query":["a"]}"#, "validation_error", "query"),
            (#"{"question":{"a":1}}"#, "validation_error", "question"),
            (#"{"question":"a","visibility":"everything"}"#, "validation_error", "visibility"),
            (#"{"question":"a","visibility":1}"#, "validation_error", "visibility"),
            (#"{"question":"a","visibility":"Active"}"#, "validation_error", "visibility"),
            (#"{"question":"a","filters":[]}"#, "validation_error", "filters"),
            (#"{"question":"a","filters":"x"}"#, "validation_error", "filters"),
            (#"{"question":"a","filters":{"sorce":"x"}}"#, "validation_error", "filters.sorce"),
            (#"{"question":"a","filters":{"tenant_id":"x"}}"#, "validation_error", "filters.tenant_id"),
            (#"{"question":"a","filters":{"case_id":"a b"}}"#, "validation_error", "filters.case_id"),
            (#"{"question":"a","filters":{"case_id":5}}"#, "validation_error", "filters.case_id"),
            (#"{"question":"a","filters":{"source":["x"]}}"#, "validation_error", "filters.source"),
            (#"{"question":"a","filters":{"source":"a\u0000b"}}"#, "validation_error", "filters.source"),
            (#"{"question":"a","filters":{"doc_class":true}}"#, "validation_error", "filters.doc_class"),
            (#"{"question":"a","filters":{"external_id":1}}"#, "validation_error", "filters.external_id"),
            (#"{"question":"a","filters":{"id":"x"}}"#, "validation_error", "filters.id"),
            (#"{"question":"a","filters":{"hash":"abc"}}"#, "validation_error", "filters.hash"),
            (#"{"question":"a","filters":{"collection_id":"x"}}"#, "invalid_collection_id", "collection_id"),
            (#"{"question":"a","filters":{"collection_ids":"x"}}"#, "invalid_collection_ids", "collection_ids"),
            (#"{"question":"a","filters":{"collection_ids":["x"]}}"#, "invalid_collection_id", "collection_ids"),
            (#"{"question":"a","collection_ids":{}}"#, "invalid_collection_ids", "collection_ids"),
            (#"{"question":"a","hybrid":1}"#, "validation_error", "hybrid"),
            (#"{"question":"a","hybrid":{"beta":1}}"#, "validation_error", "hybrid.beta"),
            (#"{"question":"a","hybrid":{"alpha":1.01}}"#, "validation_error", "hybrid.alpha"),
            (#"{"question":"a","hybrid":{"alpha":"0.5"}}"#, "validation_error", "hybrid.alpha"),
            (#"{"question":"a","hybrid":{"alpha":1e999}}"#, "validation_error", "hybrid.alpha"),
            (#"{"question":"a","hybrid":{"min_sim":-0.1}}"#, "validation_error", "hybrid.min_sim"),
            (#"{"question":"a","hybrid":{"top_k":0}}"#, "validation_error", "hybrid.top_k"),
            (#"{"question":"a","hybrid":{"top_k":11}}"#, "validation_error", "hybrid.top_k"),
            (#"{"question":"a","hybrid":{"top_k":2.5}}"#, "validation_error", "hybrid.top_k"),
            (#"{"question":"a","hybrid":{"vec_limit":1001}}"#, "validation_error", "hybrid.vec_limit"),
            (#"{"question":"a","hybrid":{"lex_limit":-1}}"#, "validation_error", "hybrid.lex_limit"),
            (#"{"question":"a","hybrid":{"lex_limit":1e300}}"#, "validation_error", "hybrid.lex_limit"),
            (#"{"question":"a","hybrid":{"trgm_limit":2}}"#, "validation_error", "hybrid.trgm_limit"),
            (#"{"question":"a","hybrid":{"max_candidates":0}}"#, "validation_error", "hybrid.max_candidates"),
        ]
    )
    func refused(_ body: String, _ code: String, _ subject: String) throws {
        let error = #expect(throws: KelterError.self) { try read(body) }
        #expect(error?.code.rawValue == code && error?.subject == subject)
        #expect(error?.fix != nil)
    }

    @Test("a header that would win must be a UUID; one that loses may be anything")
    func header() throws {
        let headers = [(name: "X-Collection-ID", value: "x")]
        let error = #expect(throws: KelterError.self) { try read(#"{"question":"a"}"#, headers: headers) }
        #expect(error?.code == .invalidCollectionID && error?.subject == "X-Collection-ID")
        let question = try read("{\"question\":\"a\",\"collection_id\":\"\(Self.a)\"}", headers: headers)
        #expect(try CollectionScope.resolve(question.scope).ignored == [.header])
    }
}
