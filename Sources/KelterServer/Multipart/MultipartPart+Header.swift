import KelterModel

extension MultipartPart {
    /// Reads the header fields of a part, without the empty line after them: RFC 7578 section 4.
    ///
    /// Fields other than Content-Disposition, Content-Type and Content-Transfer-Encoding are ignored.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/invalidMultipart``, about the part's name where it is known.
    init(header: ArraySlice<UInt8>, limits: MultipartLimits) throws(KelterError) {
        let fields = try Self.fields(header)
        guard let field = fields["content-disposition"], let disposition = HeaderParameters(field),
            disposition.word == "form-data", let sentName = disposition["name"]
        else { throw .multipart("A part has no well-formed Content-Disposition 'form-data' with a name.") }

        let name = try Self.text(sentName.formText, maximum: limits.nameBytes, what: "name of a field", subject: nil)
        guard !name.isEmpty else { throw .multipart("A part has an empty name.") }
        self.name = name
        fileName = try Self.fileName(disposition, maximum: limits.fileNameBytes, field: name)
        contentType = try fields["content-type"].map { bytes throws(KelterError) in
            try Self.text(Array(bytes), maximum: limits.headerBytes, what: "Content-Type", subject: name)
        }
        // RFC 7578 section 4.7 does away with encodings: decoding none, the text of one must not be taken for the file.
        if let encoding = fields["content-transfer-encoding"] {
            guard ["7bit", "8bit", "binary"].contains(lowercasedASCII(String(decoding: encoding, as: UTF8.self))) else {
                throw .multipart(
                    "The part has a Content-Transfer-Encoding.",
                    subject: shortened(name),
                    fix: "Send its bytes as they are."
                )
            }
        }
    }

    private static func fields(_ header: ArraySlice<UInt8>) throws(KelterError) -> [String: ArraySlice<UInt8>] {
        var fields: [String: ArraySlice<UInt8>] = [:]
        var rest = header
        while !rest.isEmpty {
            var line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest[line.endIndex...].dropFirst()
            // The last line has no end here.
            if line.endIndex < header.endIndex, line.popLast() != UInt8(ascii: "\r") {
                throw .multipart("A line of a part's header does not end in CR LF.")
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                line[..<colon].allSatisfy(isTokenByte), !line.contains(where: { $0 < 0x20 && $0 != 0x09 })
            else { throw .multipart("A part's header has a line that is not 'name: value'.") }
            let name = lowercasedASCII(String(decoding: line[..<colon], as: UTF8.self))
            var value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
            while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
            let isRead = name == "content-disposition" || name == "content-type" || name == "content-transfer-encoding"
            guard fields.updateValue(value, forKey: name) == nil || !isRead else {
                throw .multipart("A part has \(name) twice.")
            }
        }
        return fields
    }

    private static func fileName(
        _ disposition: HeaderParameters,
        maximum: Int,
        field: String
    ) throws(KelterError) -> String? {
        var bytes: [UInt8]
        if let extended = disposition["filename*"] {
            guard let text = extended.extendedText else {
                throw .multipart("The part's filename* is not of the form UTF-8''name.", subject: shortened(field))
            }
            bytes = text
        } else if let plain = disposition["filename"] {
            bytes = plain.formText
        } else {
            return nil
        }
        let isEmpty = bytes.isEmpty
        // Some browsers have sent whole paths, of either kind.
        if let separator = bytes.lastIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }) {
            bytes.removeSubrange(...separator)
        }
        let name = try text(bytes, maximum: maximum, what: "file name", subject: field)
        guard isEmpty || !["", ".", ".."].contains(name) else {
            throw .multipart(
                "The part's file name names no file.",
                subject: shortened(field),
                fix: "Send a name that does not end in a slash, '.' or '..'."
            )
        }
        return name
    }

    /// A text of at most so many bytes without control characters.
    private static func text(
        _ bytes: [UInt8],
        maximum: Int,
        what: String,
        subject: String?
    ) throws(KelterError) -> String {
        let subject = subject.map(shortened)
        guard bytes.count <= maximum else {
            throw .multipart(
                "The \(what) is longer than \(maximum) bytes.",
                subject: subject,
                fix: "Send a shorter one."
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .multipart("The \(what) is not UTF-8.", subject: subject, fix: "Send it in UTF-8.")
        }
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw .multipart(
                "The \(what) has control characters.",
                subject: subject,
                fix: "Send it without line ends, tabs and NUL."
            )
        }
        return text
    }
}
