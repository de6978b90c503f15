import KelterModel

/// The documents that are ZIP archives; the raw value is the media type.
enum PackageFormat: String, Sendable {
    case wordDocument = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    case workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    case presentation = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    case openText = "application/vnd.oasis.opendocument.text"
    case openSpreadsheet = "application/vnd.oasis.opendocument.spreadsheet"
    case openPresentation = "application/vnd.oasis.opendocument.presentation"
    case epub = "application/epub+zip"

    /// Tells what a ZIP archive is from its directory and its `mimetype` part.
    ///
    /// - Throws: ``KelterError`` with `unsupportedMediaType` for any other archive, and of the archive.
    static func detect(_ bytes: [UInt8]) throws(KelterError) -> PackageFormat {
        let archive = Archive(bytes: bytes, limits: ArchiveLimits())
        let members = try archive.entries().compactMap { entry -> ArchiveMember? in
            if case .member(let member) = entry { member } else { nil }
        }
        let names = members.map { lowercasedASCII($0.name) }
        if let member = members.first(where: { $0.name == "mimetype" }), member.size < 256 {
            var content: [UInt8] = []
            try archive.read(member) { (piece) throws(KelterError) in content.append(contentsOf: piece) }
            if let format = Self(mimetype: content[...]) { return format }
        }
        if names.contains("meta-inf/container.xml") { return .epub }
        guard names.contains("[content_types].xml") else {
            let isJava = names.contains("meta-inf/manifest.mf")
            throw unsupported(isJava ? "application/java-archive" : "application/zip")
        }
        if names.contains("xl/workbook.bin") {
            throw unsupported("application/vnd.ms-excel.sheet.binary.macroEnabled.12")
        }
        let folders: [(String, PackageFormat)] = [
            ("word/", .wordDocument), ("xl/", .workbook), ("ppt/", .presentation),
        ]
        for (folder, format) in folders where names.contains(where: { $0.hasPrefix(folder) }) { return format }
        throw unsupported("application/zip")
    }

    /// Whether an archive may be such a document, by its beginning and the file's extension.
    static func isLikely(_ bytes: [UInt8], extension: String) -> Bool {
        if isNamed(`extension`) || Self(mimetypeIn: bytes.prefix(beginning)) != nil { return true }
        return bytes.withUnsafeBufferPointer { bytes in
            let bytes = UnsafeBufferPointer(rebasing: bytes.prefix(beginning))
            return [Array("[Content_Types].xml".utf8), Array("word/".utf8), Array("xl/".utf8), Array("ppt/".utf8)]
                .contains { firstIndex(of: $0, in: bytes) != nil }
        }
    }

    /// Whether files with this extension are such documents.
    static func isNamed(_ extension: String) -> Bool { extensions[`extension`] != nil }

    /// The format that an extension promises.
    init?(extension: String) {
        guard let format = Self.extensions[`extension`] else { return nil }
        self = format
    }

    /// Where the first local headers lie.
    private static let beginning = 4096

    private static let extensions: [String: PackageFormat] = [
        "docx": .wordDocument, "docm": .wordDocument, "dotx": .wordDocument, "dotm": .wordDocument,
        "xlsx": .workbook, "xlsm": .workbook, "xltx": .workbook, "xltm": .workbook,
        "pptx": .presentation, "pptm": .presentation, "ppsx": .presentation, "ppsm": .presentation,
        "potx": .presentation, "potm": .presentation,
        "odt": .openText, "ott": .openText, "ods": .openSpreadsheet, "ots": .openSpreadsheet,
        "odp": .openPresentation, "otp": .openPresentation, "epub": .epub,
    ]

    /// The format that the first member names, which OpenDocument and EPUB ask for: its name, then its content unpacked.
    private init?(mimetypeIn bytes: ArraySlice<UInt8>) {
        let name = Array("mimetype".utf8)
        guard bytes.count > 30 + name.count, bytes.dropFirst(30).starts(with: name) else { return nil }
        let extra = Int(bytes[bytes.startIndex + 28]) + Int(bytes[bytes.startIndex + 29]) << 8
        self.init(mimetype: bytes.dropFirst(30 + name.count + extra))
    }

    private init?(mimetype content: ArraySlice<UInt8>) {
        let types: [PackageFormat] = [.openText, .openSpreadsheet, .openPresentation, .epub]
        // Templates have a suffix behind the type of their documents.
        guard let format = types.first(where: { content.starts(with: Array($0.rawValue.utf8)) }) else { return nil }
        self = format
    }
}
