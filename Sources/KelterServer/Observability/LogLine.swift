import Glibc
import KelterModel
import Logging

/// One event of the log as one line of bytes, in one of the formats.
struct LogLine {
    let time: timespec
    let level: Logger.Level
    let logger: String
    let message: String
    let metadata: Logger.Metadata

    /// The line with its end.
    func bytes(_ format: StructuredLogHandler.Format) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        switch format {
        case .text: writeText(to: &output)
        case .json: output.append(contentsOf: object.bytes(indented: false))
        }
        output.append(UInt8(ascii: "\n"))
        return output
    }

    private var pairs: [(key: String, value: Logger.MetadataValue)] {
        metadata.sorted { $0.key < $1.key }
    }

    private func writeText(to output: inout [UInt8]) {
        output.append(contentsOf: "\(utcText(time)) \(level.rawValue) ".utf8)
        appendLogText(logger, to: &output)
        output.append(UInt8(ascii: " "))
        appendLogText(message, to: &output)
        for (key, value) in pairs {
            output.append(UInt8(ascii: " "))
            appendLogWord(key, to: &output)
            output.append(UInt8(ascii: "="))
            appendLogWord(value.logText, to: &output)
        }
    }

    /// The event as an object; metadata with the name of another member is named `metadata.…`.
    private var object: JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("time", .string(utcText(time))),
            ("level", .string(level.rawValue)),
            ("logger", .string(logger)),
            ("message", .string(message)),
        ]
        let reserved = members.map(\.name)
        for (key, value) in pairs {
            var name = key
            // JSON readers keep only one of two members with the same name.
            while reserved.contains(name) || name != key && metadata[name] != nil { name = "metadata." + name }
            members.append((name, value.json))
        }
        return .object(members)
    }
}

extension Logger.MetadataValue {
    /// The value for JSON: integers, floating-point numbers and truth values as such, the rest as text.
    fileprivate var json: JSONValue {
        switch self {
        case .string(let text): .string(text)
        case .stringConvertible(let value):
            switch value {
            case let number as Int: .int(number)
            case let number as Double: .double(number)
            case let truth as Bool: .bool(truth)
            default: .string(value.description)
            }
        case .array(let items): .array(items.map(\.json))
        case .dictionary(let members):
            .object(members.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value.json) })
        }
    }

    /// The value for a line of text; lists and dictionaries as JSON.
    fileprivate var logText: String {
        switch self {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array, .dictionary: json.compactText
        }
    }
}
