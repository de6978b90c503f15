import ArgumentParser
import KelterChunking
import KelterModel
import KelterPipeline
import KelterSettings

struct ChunkCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chunk",
        abstract: "Shows the chunks that a file is cut into, with their places and tokens.",
        discussion: """
            Nothing is embedded or stored, and no service is needed. What a chunk repeats of the one before it stands \
            between ⟪ and ⟫.
            """
    )

    @Argument(help: "The file.")
    var file: String

    @Option(help: "The embedding profile, whose limits and tokenizer count; default: the default profile.")
    var profile: String?

    @Option(help: "The media type of the file; default: what its sidecar says, its content and its name.")
    var mediaType: String?

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let profile = try services.settings.routing.profile(named: self.profile)
        let chunker = try Chunker(profile: profile, tokenCounter: try services.tokenCounter(of: profile))
        let file = try FileInspection(path: try resolvedPath(file), parser: services.parser, mediaType: mediaType)
        var end = 0
        if terminal.isJSON {
            var chunks: [JSONValue] = []
            try file.chunks(chunker) { (chunk) throws(KelterError) in
                chunks.append(Self.json(chunk, after: end))
                end = chunk.range.upperBound
            }
            let limits = file.json.adding("profile", .string(profile.name))
                .adding("target_tokens", .int(profile.targetTokens))
                .adding("max_tokens", .int(profile.maximumTokens))
            terminal.print(limits.adding("chunks", .array(chunks)).compactText)
        } else {
            terminal.print(
                file.summary
                    + "; profile \(profile.name): \(profile.targetTokens) tokens, at most \(profile.maximumTokens)"
            )
            try file.chunks(chunker) { (chunk) throws(KelterError) in
                terminal.print(Self.text(chunk, after: end))
                end = chunk.range.upperBound
            }
        }
        return .done
    }

    /// Bytes at the beginning of a chunk that the one before it has, too.
    private static func repeated(_ chunk: Chunk, after end: Int) -> Int {
        max(0, end - chunk.range.lowerBound)
    }

    private static func json(_ chunk: Chunk, after end: Int) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("ordinal", .int(chunk.ordinal)), ("tokens", .int(chunk.tokens)),
            ("byte_start", .int(chunk.range.lowerBound)), ("byte_end", .int(chunk.range.upperBound)),
            ("repeated_bytes", .int(repeated(chunk, after: end))),
            ("section_path", .array(chunk.section.headings.map { .string($0) })),
        ]
        if let place = chunk.place { members.append((place.name, .int(place.number))) }
        if let header = chunk.tableHeader { members.append(("table_header", .string(header))) }
        members += [("text", .string(chunk.body)), ("embedded_text", .string(chunk.embeddedText))]
        return .object(members)
    }

    private static func text(_ chunk: Chunk, after end: Int) -> String {
        var head =
            "── #\(chunk.ordinal)  \(chunk.tokens) tokens  bytes \(chunk.range.lowerBound)-\(chunk.range.upperBound)"
        if !chunk.section.headings.isEmpty { head += "  " + chunk.section.headings.joined(separator: " › ") }
        let repeated = repeated(chunk, after: end)
        guard repeated > 0 else { return head + "\n" + chunk.body }
        let bytes = Array(chunk.body.utf8)
        let beginning = String(decoding: bytes.prefix(repeated), as: UTF8.self)
        return head + "\n⟪" + beginning + "⟫" + String(decoding: bytes.dropFirst(repeated), as: UTF8.self)
    }
}
