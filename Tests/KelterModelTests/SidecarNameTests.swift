import KelterModel
import Testing

@Suite("Sidecar names")
struct SidecarNameTests {
    @Test(
        "sidecars",
        arguments: ["a.meta.json", "a.md.meta.json", ".a.meta.json", "ä.meta.json", ".meta.json.meta.json"]
    )
    func sidecars(name: String) {
        #expect(SidecarName.isSidecar(name))
    }

    @Test(
        "other files",
        arguments: [
            "", ".meta.json", "meta.json", "a.json", "a.meta.jsonl", "ameta.json", "a.META.JSON", "a.meta.json.bak",
        ]
    )
    func others(name: String) {
        #expect(!SidecarName.isSidecar(name))
    }

    @Test(
        "the name with the extension is the stronger candidate",
        arguments: [
            ("a.md", ["a.md.meta.json", "a.meta.json"]), ("a.tar.gz", ["a.tar.gz.meta.json", "a.tar.meta.json"]),
            ("README", ["README.meta.json"]), (".env", [".env.meta.json"]),
            ("ä.ö.md", ["ä.ö.md.meta.json", "ä.ö.meta.json"]),
            ("a.", ["a..meta.json", "a.meta.json"]),
        ]
    )
    func candidates(name: String, expected: [String]) {
        #expect(SidecarName.candidates(for: name) == expected)
    }

    @Test("every candidate is a sidecar's name")
    func consistency() {
        for name in ["a.md", "README", ".env", "x.meta", "a.b.c"] {
            #expect(SidecarName.candidates(for: name).allSatisfy { SidecarName.isSidecar($0) })
        }
    }
}
