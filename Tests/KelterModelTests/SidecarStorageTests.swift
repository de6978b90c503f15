import KelterModel
import Testing

@Suite("Sidecars: what is kept and written back")
struct SidecarStorageTests {
    private func read(_ text: String) throws -> Sidecar {
        try Sidecar(bytes: Array(text.utf8), tenant: Tenant("dev-tenant"))
    }

    @Test("unknown keys are kept verbatim and in order")
    func unknownKeys() throws {
        let members =
            #""zeta":12345678901234567890.10,"owner":"Häußler","alpha":{"b":[1,2.0,null],"a":{}},"Title":"x","empty":"","e":1E+2"#
        let sidecar = try read("{\(members)}")
        #expect(sidecar.json.compactText == "{\(members)}")
        #expect(sidecar.unknown.map(\.name) == ["zeta", "owner", "alpha", "Title", "empty", "e"])
    }

    @Test("a null of an unknown key is kept: the key says something to its owner")
    func unknownNull() throws {
        #expect(try read(#"{"reviewed_by": null}"#).json.compactText == #"{"reviewed_by":null}"#)
    }

    @Test(
        "NUL anywhere in an unknown member is an error that names the key: PostgreSQL cannot hold it",
        arguments: [#""a\u0000b""#, #"["\u0000"]"#, #"{"x": {"y": "\u0000"}}"#, #"{"\u0000": 1}"#]
    )
    func unknownNUL(value: String) {
        let error = #expect(throws: KelterError.self) { try read(#"{"owner": \#(value)}"#) }
        #expect(error?.code == .sidecarInvalid)
        #expect(error?.subject == "owner")
    }

    @Test("NUL in an unknown key is an error that carries no NUL itself")
    func nulInKey() {
        let error = #expect(throws: KelterError.self) { try read(#"{"a\u0000b": 1}"#) }
        #expect(error?.subject == #"a\u0000b"#)
        #expect(error?.detail.utf8.contains(0) == false)
    }

    @Test("the stored form of an empty sidecar has exactly the collection and the external identifier")
    func storedEmpty() throws {
        let collection = try #require(CollectionID("11111111-1111-4111-8111-111111111111"))
        #expect(
            Sidecar().stored(externalID: "a/b.md", collection: collection).compactText
                == #"{"collection_id":"11111111-1111-4111-8111-111111111111","external_id":"a/b.md"}"#
        )
        #expect(Sidecar().stored(externalID: "a/b.md", collection: nil).compactText == #"{"external_id":"a/b.md"}"#)
    }

    @Test("the winning collection replaces what the sidecar said")
    func storedScope() throws {
        let sidecar = try read(#"{"collection_ids": ["x", "y"], "collection_id": "z", "title": "t", "owner": 1}"#)
        let collection = try #require(CollectionID("11111111-1111-4111-8111-111111111111"))
        let stored = sidecar.stored(externalID: "e", collection: collection)
        #expect(stored["collection_id"]?.string == collection.description)
        #expect(stored["collection_ids"] == nil)
        #expect(stored.members?.map(\.name) == ["collection_id", "external_id", "title", "owner"])
        #expect(sidecar.stored(externalID: "e", collection: nil)["collection_id"] == nil)
    }

    @Test("the stored external identifier is the effective one")
    func storedExternalID() throws {
        let stored = try read(#"{"external_id": "written"}"#).stored(externalID: "effective", collection: nil)
        #expect(stored.compactText == #"{"external_id":"effective"}"#)
    }

    @Test("a stored form reads back as the same sidecar")
    func storedRoundTrip() throws {
        let sidecar = try read(
            #"{"owner":"ü","title":"t","tags":["b","a"],"doc_class":"X","case_id":"c:1","created_at":"2026-01-01","language":"de"}"#
        )
        let stored = sidecar.stored(externalID: "e", collection: nil)
        var expected = sidecar
        expected.externalID = "e"
        #expect(try Sidecar(bytes: stored.bytes(indented: true), tenant: Tenant("dev-tenant")) == expected)
    }

    @Test("metadata is equal when only the order of its keys differs")
    func equality() throws {
        #expect(try read(#"{"title":"t","owner":1,"x":2}"#) == read(#"{"x":2,"owner":1,"title":"t"}"#))
        #expect(try read(#"{"title":"t"}"#) != read(#"{"title":"u"}"#))
        #expect(try read(#"{"owner":1}"#) != read(#"{"owner":2}"#))
    }
}
