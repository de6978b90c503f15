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
final class CoreProperties: XMLHandler {
    private(set) var title: String?
    private(set) var language: String?
    private var text: [UInt8]?

    /// - Throws: ``KelterError`` of the package or the XML.
    init(of package: Package, _ relationships: Relationships) throws(KelterError) {
        super.init()
        if let part = relationships.parts("core-properties").first { try package.parse(ifPresent: part, self) }
    }

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "title", "language": text = []
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        self.text?.append(contentsOf: text)
    }

    override func end(_ name: XMLName) {
        guard let text else { return }
        self.text = nil
        let value = collapsedText(text)
        guard !value.isEmpty else { return }
        switch name {
        case "title": title = value
        case "language": language = value
        default: break
        }
    }
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
