import KelterModel
import Testing

@Suite("Tenants and cases")
struct TenantTests {
    @Test(
        "valid tenant keys",
        arguments: ["a", "0", "dev-tenant", "Dev.Tenant_1", "a.-_", "9f", String(repeating: "x", count: 64)]
    )
    func validTenants(key: String) throws {
        #expect(try Tenant(key).key == key)
        #expect(try Tenant(" \t\(key)\r\n").key == key)
    }

    @Test(
        "invalid tenant keys",
        arguments: [
            "", "  ", "-a", ".a", "_a", "a b", "a/b", "a:b", "ä", "tenant\u{0}", "a\u{301}", "a\nb", "..", "😀",
            String(repeating: "x", count: 65),
        ]
    )
    func invalidTenants(key: String) {
        let error = #expect(throws: KelterError.self) { try Tenant(key) }
        #expect(error?.code == .invalidTenant)
        #expect(error?.fix != nil)
    }

    @Test("the row identifier is the version 5 UUID of the lower-case key")
    func derivedRowID() throws {
        for key in ["dev-tenant", "DEV-Tenant", "  dev-tenant "] {
            #expect(try Tenant(key).rowID.description == "9036ab9d-78a0-5ad1-8234-c382ae843304")
        }
        #expect(try Tenant("A").rowID.description == "a91c5f81-c23c-584e-9b96-b3a3dec9a6f5")
        // Hexadecimal, but no UUID.
        #expect(try Tenant("3fa85f64").rowID.description == "96a8fc1c-2817-512f-bfce-6de0301c7257")
    }

    @Test("a key that is a UUID is its own row identifier")
    func uuidRowID() throws {
        let uuid = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
        #expect(try Tenant(uuid).rowID.description == uuid)
        #expect(try Tenant(uuid.uppercased()).rowID.description == uuid)
    }

    @Test(
        "valid cases",
        arguments: ["local", "a", "7", "CASE:2026:11", "a.b_c-d:e", String(repeating: "c", count: 128)]
    )
    func validCases(text: String) throws {
        #expect(try CaseID(text).description == text)
        #expect(try CaseID("  \(text)\n").description == text)
    }

    @Test(
        "invalid cases",
        arguments: ["", " ", ":a", "-a", ".a", "_a", "a b", "a/b", "ß", "a\u{0}b", String(repeating: "c", count: 129)]
    )
    func invalidCases(text: String) {
        let error = #expect(throws: KelterError.self) { try CaseID(text) }
        #expect(error?.code == .invalidCase)
    }
}
