import KelterModel

/// A ZIP archive whose members are the parts of one document: Office Open XML, OpenDocument, EPUB.
///
/// The parts are found by the archive's directory, whose sizes are not believed: what is unpacked is counted.
final class Package {
    private let archive: Archive
    /// The parts by their names in lower case, as ECMA-376 part 2 compares them.
    private var members: [String: ArchiveMember] = [:]
    private let limits: ParsingLimits
    /// Bytes unpacked so far.
    private var unpacked = 0

    /// - Throws: ``KelterError`` with ``ErrorCode/archiveInvalid`` or ``ErrorCode/archiveLimit``.
    init(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) {
        var archiveLimits = ArchiveLimits()
        archiveLimits.entries = limits.maximumPackageParts
        archiveLimits.bytes = limits.maximumPackageBytes
        archive = Archive(bytes: bytes, limits: archiveLimits)
        self.limits = limits
        for entry in try archive.entries() {
            switch entry {
            case .member(let member):
                let name = lowercasedASCII(member.name)
                if members[name] == nil { members[name] = member }
            case .failed(_, let error) where error.code == .archiveEncrypted:
                throw KelterError(
                    .documentEncrypted,
                    "The document is encrypted.",
                    fix: "Save it without a password."
                )
            case .failed, .link, .special, .superseded:
                break
            }
        }
    }

    /// Whether there is such a part.
    func contains(_ name: String) -> Bool {
        members[lowercasedASCII(name)] != nil
    }

    /// The content of a part.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/parserFailed`` when there is none, or of the archive.
    func content(_ name: String) throws(KelterError) -> [UInt8] {
        var content: [UInt8] = []
        try read(name) { (piece) throws(KelterError) in content.append(contentsOf: piece) }
        return content
    }

    /// Parses a part that is XML while it is unpacked.
    ///
    /// - Parameters:
    ///   - name: The part.
    ///   - handler: What it is reported to.
    /// - Throws: ``KelterError`` as ``content(_:)``, of the XML or of the handler.
    func parse(_ name: String, _ handler: XMLHandler) throws(KelterError) {
        let parser = try XMLPushParser(handler: handler)
        try read(name, into: parser.feed)
        try parser.finish()
    }

    /// Parses a part if it is there.
    func parse(ifPresent name: String, _ handler: XMLHandler) throws(KelterError) {
        if contains(name) { try parse(name, handler) }
    }

    private func read(
        _ name: String,
        into body: (UnsafeRawBufferPointer) throws(KelterError) -> Void
    ) throws(KelterError) {
        guard let member = members[lowercasedASCII(name)] else {
            throw KelterError(
                .parserFailed,
                "The document has no part \(name).",
                fix: "Save the file anew with the program it comes from."
            )
        }
        try archive.read(member) { (piece) throws(KelterError) in
            unpacked += piece.count
            guard unpacked <= limits.maximumPackageBytes else {
                throw KelterError(
                    .parserLimit,
                    "The document unpacks to more than \(limits.maximumPackageBytes) bytes.",
                    fix: "Split the file."
                )
            }
            try body(piece)
        }
    }
}

/// The name of a part that another part refers to: relative to its folder, or from the root when it begins with `/`.
///
/// - Returns: The name without `.` and `..`; `nil` when it lies outside of the package.
func partName(_ reference: String, from part: String) -> String? {
    let path =
        reference.hasPrefix("/")
        ? reference : part.split(separator: "/").dropLast().joined(separator: "/") + "/" + reference
    var parts: [Substring] = []
    for component in path.split(separator: "/") where component != "." {
        if component == ".." {
            guard parts.popLast() != nil else { return nil }
        } else {
            parts.append(component)
        }
    }
    return parts.joined(separator: "/")
}
