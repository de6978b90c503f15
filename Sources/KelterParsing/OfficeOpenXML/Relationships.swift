import KelterModel

/// What a part of an Office Open XML package refers to; ECMA-376 part 2, section 9.
final class Relationships: XMLHandler {
    struct Target {
        /// The last component of the relationship's type, such as `slide`: strict and transitional documents differ in the rest.
        let type: String
        /// The name of the part.
        let part: String
    }

    /// By their ids.
    private(set) var targets: [String: Target] = [:]
    private let part: String

    /// Reads the relationships of a part; without any when it has none.
    ///
    /// - Parameters:
    ///   - part: The part's name; empty for those of the package itself.
    ///   - package: The package.
    /// - Throws: ``KelterError`` of the package or the XML.
    init(of part: String, in package: Package) throws(KelterError) {
        self.part = part
        super.init()
        let name = part.split(separator: "/").last.map(String.init) ?? ""
        let folder = part.dropLast(name.count)
        try package.parse(ifPresent: "\(folder)_rels/\(name).rels", self)
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        guard case "Relationship" = name, attributes["TargetMode"] != "External", let id = attributes["Id"],
            let type = attributes["Type"]?.split(separator: "/").last, let target = attributes["Target"],
            let part = partName(target, from: part)
        else { return }
        targets[id] = Target(type: String(type), part: part)
    }

    /// The parts of a type, by the order of their ids.
    func parts(_ type: String) -> [String] {
        targets.filter { $0.value.type == type }.sorted { $0.key < $1.key }.map(\.value.part)
    }
}

/// Title and language of an Office Open XML document: its core properties, ECMA-376 part 2, section 11.
///
/// - Throws: ``KelterError`` of the package or the XML.
func coreProperties(of package: Package, _ relationships: Relationships) throws(KelterError) -> DublinCoreReader {
    let properties = DublinCoreReader()
    for part in relationships.parts("core-properties").prefix(1) { try package.parse(ifPresent: part, properties) }
    return properties
}

/// The main part of an Office Open XML document.
///
/// - Throws: ``KelterError`` with ``ErrorCode/parserFailed`` when there is none.
func mainPart(_ relationships: Relationships) throws(KelterError) -> String {
    guard let part = relationships.parts("officeDocument").first else {
        throw KelterError(
            .parserFailed,
            "The document has no main part.",
            fix: "Save the file anew with the program it comes from."
        )
    }
    return part
}
