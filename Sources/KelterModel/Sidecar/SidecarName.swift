/// Which names are sidecars and where a file's own would be; SPEC section 3.
package enum SidecarName {
    private static let suffix = ".meta.json"

    /// Whether a file name is that of a sidecar, which is never ingested as a document.
    package static func isSidecar(_ name: some StringProtocol) -> Bool {
        name.utf8.count > suffix.utf8.count && name.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    /// The names under which a file's sidecar is looked for, the stronger first: `name.ext.meta.json`, `name.meta.json`.
    package static func candidates(for name: String) -> [String] {
        var names = [name + suffix]
        if let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot != name.utf8.startIndex {
            names.append(String(name[..<dot]) + suffix)
        }
        return names
    }
}
