import ArgumentParser
import KelterModel
import KelterPipeline

struct ParseCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parse",
        abstract: "Shows what Kelter sees in a file: its blocks with their places, or its text.",
        discussion: "Nothing is embedded or stored, and no service is needed. A sidecar beside the file counts."
    )

    @Argument(help: "The file.")
    var file: String

    enum Form: String, EnumerableFlag {
        case blocks, text

        static func help(for value: Form) -> ArgumentHelp? {
            switch value {
            case .blocks: "Print the blocks with their places; the default."
            case .text: "Print the extracted text, to which all byte ranges refer."
            }
        }
    }

    @Flag(exclusivity: .exclusive)
    var form = Form.blocks

    @Option(help: "The media type of the file; default: what its sidecar says, its content and its name.")
    var mediaType: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let file = try FileInspection(path: try resolvedPath(file), parser: services.parser, mediaType: mediaType)
        if terminal.isJSON {
            var blocks: [JSONValue] = []
            try file.parts { (part) throws(KelterError) in
                blocks += part.document.blocks.map { Self.json($0, in: part) }
            }
            terminal.print(file.json.adding("blocks", .array(blocks)).compactText)
        } else if form == .text {
            try file.parts { (part) throws(KelterError) in
                terminal.print(raw: part.document.text)
            }
        } else {
            terminal.print(file.summary)
            try file.parts { (part) throws(KelterError) in
                for block in part.document.blocks { terminal.print(Self.line(block, in: part)) }
            }
        }
        return .done
    }

    private static func json(_ block: Block, in part: FileInspection.Part) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("kind", .string("\(block.kind)")),
            ("byte_start", .int(part.start + block.range.lowerBound)),
            ("byte_end", .int(part.start + block.range.upperBound)),
            ("section_path", .array(part.document.sections[block.section].headings.map { .string($0) })),
        ]
        if block.level > 0 { members.append(("level", .int(block.level))) }
        if let place = block.place { members.append((place.name, .int(place.number))) }
        members.append(("text", .string(String(decoding: part.document.text[block.range], as: UTF8.self))))
        return .object(members)
    }

    /// One line: place, kind with its level, and the beginning of the text.
    private static func line(_ block: Block, in part: FileInspection.Part) -> String {
        let start = part.start + block.range.lowerBound
        let place = "\(start)-\(start + block.range.count)".padded(to: 17)
        let kind = ("\(block.kind)" + (block.level > 0 ? " \(block.level)" : "")).padded(to: 11)
        let beginning = String(decoding: part.document.text[block.range].prefix(400), as: UTF8.self)
        let text = beginning.split(whereSeparator: \.isNewline).joined(separator: " ⏎ ")
        return "\(place) \(kind) \(text.count > 80 ? text.prefix(79) + "…" : text[...])"
    }
}

extension FileInspection {
    /// What is known of the file as a whole.
    var json: JSONValue {
        .object([
            ("media_type", .string(mediaType)), ("title", .optional(title)), ("language", .optional(language)),
            ("text_bytes", .int(textBytes)),
            ("repairs", Repair.json(repairs)),
        ])
    }

    /// The same in a line.
    var summary: String {
        var parts = [mediaType, "\(textBytes) bytes of text"]
        if let title { parts.append("title \"\(title)\"") }
        if let language { parts.append("language \(language)") }
        parts += sortedRepairs.map { "\($0.key.rawValue) \($0.value)" }
        return parts.joined(separator: ", ")
    }

    private var sortedRepairs: [(key: Repair, value: Int)] {
        repairs.sorted { $0.key.rawValue < $1.key.rawValue }
    }
}

extension String {
    /// The text with spaces up to a width.
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
