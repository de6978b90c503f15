/// The unquoted words of each statement of a script, in capitals.
///
/// Knows PostgreSQL's quoting, so that a word in a string, a comment or the body of a function is not taken for one of
/// the statement's own.
struct SQLStatements {
    private(set) var words: [[String]] = []
    private let bytes: [UInt8]
    private var position = 0
    private var current: [String] = []
    /// How deep the scanner is in a function's `BEGIN ATOMIC … END`, where semicolons do not end the statement.
    private var depth = 0

    init(_ sql: String) {
        bytes = Array(sql.utf8)
        while position < bytes.count { scan() }
        endStatement()
    }

    private mutating func scan() {
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "'"): skipQuoted(byte, escapes: false)
        case UInt8(ascii: "\""): skipQuoted(byte, escapes: false)
        case UInt8(ascii: "-") where next(1) == byte:
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
        case UInt8(ascii: "/") where next(1) == UInt8(ascii: "*"): skipComment()
        case UInt8(ascii: "$"): skipDollarQuoted()
        case UInt8(ascii: ";"):
            position += 1
            if depth == 0 { endStatement() }
        default:
            if Self.isWord(byte) { readWord() } else { position += 1 }
        }
    }

    private func next(_ offset: Int) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), 0x80...0xFF: true
        default: false
        }
    }

    private mutating func endStatement() {
        if !current.isEmpty { words.append(current) }
        current = []
    }

    private mutating func readWord() {
        let start = position
        while let byte = next(0), Self.isWord(byte) || byte == UInt8(ascii: "$") { position += 1 }
        let word = String(
            decoding: bytes[start..<position].map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 },
            as: UTF8.self
        )
        if word == "E", next(0) == UInt8(ascii: "'") {
            skipQuoted(UInt8(ascii: "'"), escapes: true)
            return
        }
        if depth > 0 {
            if word == "CASE" { depth += 1 }
            if word == "END" { depth -= 1 }
        } else if word == "ATOMIC", current.last == "BEGIN", current.first == "CREATE" {
            depth = 1
        }
        current.append(word)
    }

    private mutating func skipQuoted(_ quote: UInt8, escapes: Bool) {
        position += 1
        while let byte = next(0) {
            if escapes, byte == UInt8(ascii: "\\") {
                position += 2
            } else if byte != quote {
                position += 1
            } else if next(1) == quote {
                position += 2
            } else {
                break
            }
        }
        position += 1
    }

    private mutating func skipComment() {
        var nesting = 0
        repeat {
            if next(0) == UInt8(ascii: "/"), next(1) == UInt8(ascii: "*") {
                nesting += 1
                position += 2
            } else if next(0) == UInt8(ascii: "*"), next(1) == UInt8(ascii: "/") {
                nesting -= 1
                position += 2
            } else {
                position += 1
            }
        } while nesting > 0 && position < bytes.count
    }

    private mutating func skipDollarQuoted() {
        var end = position + 1
        while end < bytes.count, Self.isWord(bytes[end]) { end += 1 }
        // `$1` is a parameter, not the beginning of a quotation.
        let isParameter = next(1).map { (0x30...0x39).contains($0) } ?? true
        guard end < bytes.count, bytes[end] == UInt8(ascii: "$"), !isParameter else {
            position += 1
            return
        }
        let tag = bytes[position...end]
        position = end + 1
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "$"), bytes[position...].starts(with: tag) {
                position += tag.count
                return
            }
            position += 1
        }
    }
}

extension SQLStatements {
    /// What keeps a script from running inside a transaction that is not its own; `nil` when nothing does.
    static func obstacle(in sql: String) -> String? {
        for words in SQLStatements(sql).words {
            switch words[0] {
            case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT": return words[0]
            case "PREPARE" where words.dropFirst().first == "TRANSACTION": return "PREPARE TRANSACTION"
            case "COPY":
                if let stream = words.first(where: { $0 == "STDIN" || $0 == "STDOUT" }) { return "COPY … \(stream)" }
            default: break
            }
        }
        return nil
    }
}
