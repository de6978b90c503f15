import KelterModel

/// Parses JSON into lines such as `address.city: Bonn`, one for each value, so that a value is found with its names.
///
/// The elements of an array at the top, or of the only array in the object there, are a block each. `null` and empty
/// values are left out, and numbers stand as they are written. What is not JSON, such as a file with comments, is read as
/// plain text, and that is counted.
///
/// - Throws: ``KelterError`` with `parserLimit`.
func parseJSON(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let writer = JSONWriter(DocumentBuilder(limits: limits, capacity: bytes.count))
    guard let value = try? JSONReader.read(bytes) else { return try parseUnstructured(bytes, limits: limits) }
    writer.write(document: value)
    return try writer.blocks.finish(title: nil, language: nil)
}

/// Parses JSON Lines: every line is a value and a block, which knows the number of its line; jsonlines.org.
///
/// - Throws: ``KelterError`` as ``parseJSON(_:limits:)``.
func parseJSONLines(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    let writer = JSONWriter(DocumentBuilder(limits: limits, capacity: bytes.count))
    var number = 0
    var start = 0
    while start < bytes.count, !writer.blocks.hasFailed {
        number += 1
        let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
        let line = bytes[start..<end]
        start = end + 1
        guard line.contains(where: { !WhiteSpace.isASCII($0) }) else { continue }
        guard let value = try? JSONReader.read(Array(line)) else { return try parseUnstructured(bytes, limits: limits) }
        writer.blocks.place = .row(number)
        writer.write(block: value, name: "")
    }
    writer.blocks.place = nil
    return try writer.blocks.finish(title: nil, language: nil)
}

/// Reads a file as plain text because it does not have the structure that its name promises.
private func parseUnstructured(_ bytes: [UInt8], limits: ParsingLimits) throws(KelterError) -> ParsedDocument {
    var document = try parsePlainText(bytes, limits: limits)
    document.repairs[.readAsPlainText] = 1
    return document
}

/// Writes values as lines.
private final class JSONWriter {
    let blocks: DocumentBuilder

    init(_ blocks: DocumentBuilder) {
        self.blocks = blocks
    }

    func write(document: JSONValue) {
        switch document {
        case .array(let items):
            for item in items where !blocks.hasFailed { write(block: item, name: "") }
        case .object(let members):
            let arrays = members.filter { if case .array(let items) = $0.value { items.count > 1 } else { false } }
            guard arrays.count == 1, case .array(let items) = arrays[0].value else {
                return write(block: document, name: "")
            }
            write(block: .object(members.filter { $0.name != arrays[0].name }), name: "")
            for item in items where !blocks.hasFailed { write(block: item, name: arrays[0].name) }
        default: write(block: document, name: "")
        }
    }

    /// Writes a value as a block of its own.
    func write(block value: JSONValue, name: String) {
        blocks.endBlock()
        write(value, name)
        blocks.endBlock()
    }

    private func write(_ value: JSONValue, _ name: String) {
        guard !blocks.hasFailed else { return }
        switch value {
        case .null: break
        case .bool(let value): line(name, value ? "true" : "false")
        case .number(let literal): line(name, literal)
        case .string(let text): line(name, text)
        case .array(let items): for item in items { write(item, name) }
        case .object(let members):
            for member in members { write(member.value, name.isEmpty ? member.name : "\(name).\(member.name)") }
        }
    }

    private func line(_ name: String, _ text: String) {
        let text = Array((name.isEmpty ? text : "\(name): \(text)").utf8)
        guard text.contains(where: { !WhiteSpace.isASCII($0) && $0 != 0 }) else { return }
        if blocks.open != nil { blocks.breakLine() }
        // A text can hold what a file cannot: NUL, as an escape.
        text.filter { $0 != 0 }.withUnsafeBufferPointer { blocks.append($0, .paragraph) }
    }
}
