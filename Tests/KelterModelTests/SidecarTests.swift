import KelterModel
import Testing

@Suite("Sidecars")
struct SidecarTests {
    static let keys = [
        "external_id", "title", "language", "source", "origin_uri", "workflow_id", "process", "doc_class",
        "embedding_profile",
        "media_type", "created_at", "case_id",
    ]

    private func read(_ text: String, tenant: String = "dev-tenant") throws -> Sidecar {
        try Sidecar(bytes: Array(text.utf8), tenant: Tenant(tenant))
    }

    @Test("every known key is read")
    func knownKeys() throws {
        let sidecar = try read(
            """
            {"external_id": " hr/1 ", "title": "Urlaub", "language": "de-DE", "tags": ["hr", "b", "a", "hr"], "source": "dms",
             "origin_uri": "https://intranet.example/x?y=ä", "case_id": "CASE:1", "workflow_id": "w1", "process": " Onboarding ",
             "doc_class": "POLICY", "embedding_profile": "standard", "media_type": "Text/Markdown",
             "created_at": "2026-11-23T08:49:00+01:00", "collection_id": "c", "collection_ids": ["d"]}
            """
        )
        #expect(sidecar.externalID == "hr/1")
        #expect(sidecar.title == "Urlaub")
        #expect(sidecar.language == "de-DE")
        #expect(sidecar.tags == ["a", "b", "hr"])
        #expect(sidecar.source == "dms")
        #expect(sidecar.originURI == "https://intranet.example/x?y=ä")
        #expect(sidecar.caseID?.description == "CASE:1")
        #expect(sidecar.workflowID == "w1")
        #expect(sidecar.process == "onboarding")
        #expect(sidecar.docClass == "policy")
        #expect(sidecar.embeddingProfile == "standard")
        #expect(sidecar.mediaType == "text/markdown")
        #expect(sidecar.createdAt == "2026-11-23T08:49:00+01:00")
        #expect(sidecar.scope == ScopeInputs(list: .array([.string("d")]), body: .string("c")))
        #expect(sidecar.unknown.isEmpty)
    }

    @Test("process and class are lower-cased beyond ASCII")
    func lowerCase() throws {
        let sidecar = try read(#"{"process": " ÜBERGABE ", "doc_class": "Prüfbericht-ÄÖ"}"#)
        #expect(sidecar.process == "übergabe")
        #expect(sidecar.docClass == "prüfbericht-äö")
    }

    @Test("text keys refuse blanks, other types, NUL and excess", arguments: keys)
    func badTexts(key: String) {
        for value in [
            #""""#, #"" \t""#, "1", "true", "[]", "{}", #"["x"]"#, #""a\u0000b""#,
            "\"" + String(repeating: "x", count: 5_000) + "\"",
        ] {
            let error = #expect(throws: KelterError.self) { try read(#"{"\#(key)": \#(value)}"#) }
            #expect(error?.code == .sidecarInvalid)
            #expect(error?.subject == key)
            #expect(error?.fix != nil)
        }
    }

    @Test("a null of a known key is an absent key", arguments: keys + ["tags", "tenant", "tenant_id"])
    func nulls(key: String) throws {
        #expect(try read(#"{"\#(key)": null}"#) == Sidecar())
    }

    @Test(
        "language tags",
        arguments: ["de", "en", "de-DE", "zh-Hans-CN", "de-1996", "sl-rozaj-biske-1994", "ast", "en-US-u-co-phonebk"]
    )
    func languages(tag: String) throws {
        #expect(try read(#"{"language": "\#(tag)"}"#).language == tag)
    }

    @Test(
        "texts that are no language tags",
        arguments: [
            "d", "de_DE", "de-", "-de", "de--DE", "12", "d3", "abcdefghi", "de-abcdefghi", "deutsch (Schweiz)", "dé",
            "de DE",
        ]
    )
    func badLanguages(tag: String) {
        let error = #expect(throws: KelterError.self) { try read(#"{"language": "\#(tag)"}"#) }
        #expect(error?.subject == "language")
    }

    @Test("tags are unique and sorted", arguments: ["[]", #"["b","a","b"]"#, #"["A.b_c-1"]"#])
    func tags(list: String) throws {
        let tags = try read(#"{"tags": \#(list)}"#).tags
        #expect(tags == Array(Set(tags)).sorted())
        #expect(try read(#"{"tags": \#(list)}"#).json["tags"]?.array?.count == (tags.isEmpty ? nil : tags.count))
    }

    @Test(
        "tags of other shapes are refused",
        arguments: [
            #""a""#, "1", "{}", #"["a b"]"#, #"["ä"]"#, #"[""]"#, "[1]", "[null]", #"["a", ["b"]]"#, #"["a/b"]"#,
            #"[" a"]"#,
            "[\"" + String(repeating: "t", count: 65) + "\"]",
        ]
    )
    func badTags(list: String) {
        let error = #expect(throws: KelterError.self) { try read(#"{"tags": \#(list)}"#) }
        #expect(error?.code == .sidecarInvalid)
        #expect(error?.subject == "tags")
    }

    @Test(
        "dates and date-times",
        arguments: [
            "2026-11-23", "0001-01-01", "2026-11-23T08:49:00Z", "2026-11-23t08:49:00z", "2026-11-23 08:49:00Z",
            "2026-11-23T08:49:00.123456+05:30", "2026-12-31T23:59:60Z", "2026-11-23T00:00:00-00:00",
        ]
    )
    func timestamps(text: String) throws {
        #expect(try read(#"{"created_at": "\#(text)"}"#).createdAt == text)
    }

    @Test(
        "texts that are no dates",
        arguments: [
            "2026", "2026-11", "23.11.2026", "2026-13-01", "2026-00-01", "2026-11-00", "2026-11-32", "2026-1-1",
            "2026-11-23T",
            "2026-11-23T08:49", "2026-11-23T08:49:00", "2026-11-23T24:00:00Z", "2026-11-23T08:60:00Z",
            "2026-11-23T08:49:61Z",
            "2026-11-23T08:49:00.Z", "2026-11-23T08:49:00+0100", "2026-11-23T08:49:00+24:00", "2026-11-23T08:49:00Zx",
            "2026-11-23T08:49:00+01:00x", "2026-11-23T08:49:00+", "-026-11-23", "20261123", "２026-11-23", "1.3.2026",
        ]
    )
    func badTimestamps(text: String) {
        let error = #expect(throws: KelterError.self) { try read(#"{"created_at": "\#(text)"}"#) }
        #expect(error?.subject == "created_at")
    }

    @Test("a case that is no case identifier names the key and what is allowed")
    func badCase() {
        let error = #expect(throws: KelterError.self) { try read(#"{"case_id": "a b"}"#) }
        #expect(error?.subject == "case_id")
        #expect(error?.code == .sidecarInvalid)
        #expect(error?.fix?.contains("128") == true)
    }

    @Test("a malformed collection is left to the scope rule")
    func scopeIsRaw() throws {
        let sidecar = try read(#"{"collection_id": 7, "collection_ids": "nonsense"}"#)
        #expect(sidecar.scope == ScopeInputs(list: .string("nonsense"), body: .number("7")))
        #expect(
            try read(#"{"collection_id": null, "collection_ids": null}"#).scope == ScopeInputs(list: .null, body: .null)
        )
    }

    @Test("the sidecar may repeat the caller's tenant", arguments: ["tenant", "tenant_id"])
    func sameTenant(key: String) throws {
        for value in ["dev-tenant", " DEV-Tenant ", "9036ab9d-78a0-5ad1-8234-c382ae843304"] {
            let sidecar = try read(#"{"\#(key)": "\#(value)"}"#)
            #expect(sidecar == Sidecar())
        }
    }

    @Test("the sidecar never overrides the caller's tenant", arguments: ["tenant", "tenant_id"])
    func otherTenant(key: String) {
        for value in [#""other""#, #""""#, "1", "[]", #""no tenant!""#, #""9036ab9d-78a0-5ad1-8234-c382ae843305""#] {
            let error = #expect(throws: KelterError.self) { try read(#"{"\#(key)": \#(value)}"#) }
            #expect(error?.code == .sidecarInvalid)
            #expect(error?.subject == key)
        }
    }

    @Test(
        "documents that are no object in UTF-8 are refused",
        arguments: ["", "[]", "null", "\"a\"", "{", "{\"a\":1,\"a\":2}", "{} {}", "{a:1}"]
    )
    func notAnObject(text: String) {
        let error = #expect(throws: KelterError.self) { try read(text) }
        #expect(error?.code == .sidecarInvalid)
        #expect(error?.fix != nil)
    }

    @Test("bytes in another encoding are refused")
    func otherEncoding() throws {
        let tenant = try Tenant("dev-tenant")
        let latin1 = Array(#"{"title": "Pr"#.utf8) + [0xFC] + Array(#"fung"}"#.utf8)
        #expect(throws: KelterError.self) { try Sidecar(bytes: latin1, tenant: tenant) }
    }

    @Test("a byte order mark is allowed")
    func byteOrderMark() throws {
        #expect(try read("\u{FEFF}{\"title\": \"x\"}").title == "x")
    }
}
