import Glibc
import KelterModel
import KelterPipeline
import Synchronization

/// Where results, messages and progress go.
///
/// Results go to standard output, as text or with `--json` as exactly one JSON object; everything else goes to standard
/// error.
struct Terminal: Sendable {
    /// Whether results are printed as JSON.
    let isJSON: Bool
    /// Whether standard error is a terminal, where progress may overwrite its line.
    let isInteractive = isatty(STDERR_FILENO) == 1

    /// Prints a result in the form that was asked for.
    func print(json: @autoclosure () -> JSONValue, text: @autoclosure () -> String) {
        print(isJSON ? json().compactText : text())
    }

    /// Prints an error: a sentence on standard error and, with `--json`, an object on standard output.
    func print(_ error: KelterError) {
        note(error.description)
        if isJSON { print(JSONValue.object([("error", error.json)]).compactText) }
    }

    /// Prints a line on standard output.
    func print(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// Prints bytes on standard output as they are.
    func print(raw bytes: [UInt8]) {
        write(bytes, to: STDOUT_FILENO)
    }

    /// Prints a line on standard error.
    func note(_ text: String) {
        Self.drawn.withLock { drawn in
            write((isInteractive ? Self.erasure(of: drawn) : "") + text + "\n", to: STDERR_FILENO)
            drawn = 0
        }
    }

    /// Overwrites the current line of an interactive standard error.
    func overwrite(_ text: String) {
        draw(text.isEmpty ? [] : [text])
    }

    /// Draws lines on an interactive standard error in the place of those that were drawn before.
    func draw(_ lines: [String]) {
        let width = Self.width
        Self.drawn.withLock { drawn in
            // A line that wraps would be two.
            let text = lines.map { String($0.prefix(width - 1)) }.joined(separator: "\n")
            write(Self.erasure(of: drawn) + text, to: STDERR_FILENO)
            drawn = lines.count
        }
    }

    /// How many lines stand above and at the cursor to be overwritten.
    private static let drawn = Mutex(0)

    private static func erasure(of lines: Int) -> String {
        "\r" + (lines > 1 ? "\u{1B}[\(lines - 1)A" : "") + "\u{1B}[J"
    }

    /// The columns of the terminal.
    private static var width: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
    }

    private func write(_ text: String, to descriptor: Int32) {
        write(Array(text.utf8), to: descriptor)
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            rest = rest.dropFirst(max(count, 0))
        }
    }
}

/// A table of left-aligned columns, two spaces apart, without trailing spaces.
func table(_ rows: [[String]], indent: String = "") -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
        let cells = row.enumerated().map { index, cell in
            index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
        }
        return indent + cells.joined(separator: "  ")
    }.joined(separator: "\n")
}

/// A duration as people say it: `350 ms`, `12.3 s`, `4 min 5 s`.
func spoken(_ duration: Duration) -> String {
    let milliseconds = duration.milliseconds
    switch milliseconds {
    case ..<1000: return "\(milliseconds) ms"
    case ..<60_000: return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    case ..<3_600_000: return "\(milliseconds / 60_000) min \(milliseconds % 60_000 / 1000) s"
    default: return "\(milliseconds / 3_600_000) h \(milliseconds % 3_600_000 / 60_000) min"
    }
}

/// A number of bytes as people say it: `812 B`, `4.2 kB`, `1.3 MB`.
func spoken(bytes: Int) -> String {
    var value = Double(bytes)
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000 || unit == "GB" {
            return unit == "B" ? "\(bytes) B" : "\((value * 10).rounded() / 10) \(unit)"
        }
        value /= 1000
    }
    return "\(bytes) B"
}
