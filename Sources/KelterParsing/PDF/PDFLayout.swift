import KelterModel

/// Makes blocks of the lines of a document.
struct PDFLayout {
    /// What a line has to be larger than the text to be a heading.
    private static let headingFactor = 1.12
    /// A heading has at most this many bytes.
    private static let longestHeading = 200

    private let pages: [PDFPage]
    /// The usual distance of two lines of one paragraph, in heights of the line.
    private let spacing: Double
    /// The heights of headings, the largest first, when there is no outline.
    private let headingSizes: [Double]
    /// Levels of the outline's entries by page and folded title.
    private let outline: [Entry: Int]

    private struct Entry: Hashable {
        let page: Int
        let title: [UInt8]
    }

    init(_ pages: [PDFPage], _ bookmarks: [PDFDocument.Bookmark]) {
        self.pages = pages
        let bytes = Self.bytesBySize(pages)
        let body = Self.mostUsed(bytes)
        spacing = Self.lineSpacing(pages)
        var entries: [Entry: Int] = [:]
        for bookmark in bookmarks {
            guard let page = bookmark.page else { continue }
            let entry = Entry(page: page, title: Self.folded(Array(bookmark.title.utf8)))
            if !entry.title.isEmpty { entries[entry] = entries[entry] ?? min(bookmark.level, 6) }
        }
        outline = entries
        // Sizes of headings are rare: one that a quarter of the text has is that of a part of it.
        let total = bytes.values.reduce(0, +)
        headingSizes =
            bytes.filter { Double($0.key) / 4 > Double(body) / 4 * Self.headingFactor && $0.value * 4 < total }
            .map { Double($0.key) / 4 }.sorted(by: >)
    }

    /// The height of most of the text.
    static func bodySize(_ pages: [PDFPage]) -> Double { Double(mostUsed(bytesBySize(pages))) / 4 }

    private static func bytesBySize(_ pages: [PDFPage]) -> [Int: Int] {
        var bytes: [Int: Int] = [:]
        for page in pages {
            for line in page.lines { bytes[step(line.size), default: 0] += line.byteCount }
        }
        return bytes
    }

    private static func mostUsed(_ bytes: [Int: Int]) -> Int {
        bytes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0
    }

    /// Heights in quarters of a unit.
    private static func step(_ size: Double) -> Int { Int((size * 4).rounded()) }

    /// Letters and digits only, so that numbers, dots and spaces between do not count.
    private static func folded(_ text: [UInt8]) -> [UInt8] {
        let letters = text.filter { $0 >= 0x80 || lowercased($0) &- 0x61 < 26 }
        return letters.isEmpty ? text.filter { $0 &- 0x30 < 10 } : letters.map(lowercased)
    }

    /// Writes the blocks of all pages.
    func write(to blocks: DocumentBuilder) {
        var writer = PDFLineWriter(blocks)
        var previous: PDFLine?
        for page in pages {
            blocks.place = .page(page.number)
            var index = 0
            // The last line of the page before is far away, wherever it stood.
            previous?.baseline = -.greatestFiniteMagnitude
            while index < page.lines.count, !blocks.hasFailed {
                let rows = tableRows(page, from: index)
                if rows > 0 {
                    blocks.endBlock()
                    writeTable(page.lines[index..<index + rows], to: blocks)
                    index += rows
                    previous = nil
                    continue
                }
                if let (count, level) = heading(page, at: index) {
                    blocks.endBlock()
                    for line in page.lines[index..<index + count] {
                        writer.write(line, BlockStyle(kind: .heading, level: level))
                    }
                    blocks.endBlock()
                    index += count
                    previous = nil
                    continue
                }
                let line = page.lines[index]
                let marker = listMarker(line)
                let isNew = previous.map { !continues($0, line) } ?? true
                if isNew || marker > 0 { blocks.endBlock() }
                let style =
                    marker > 0
                    ? BlockStyle(kind: .listItem, level: 1)
                    : isNew ? .paragraph : blocks.open ?? .paragraph
                writer.write(line, style, skipping: marker)
                previous = line
                index += 1
            }
        }
        blocks.endBlock()
    }

    // MARK: - Lines

    private static func lineSpacing(_ pages: [PDFPage]) -> Double {
        var distances: [Double] = []
        for page in pages {
            for (line, next) in zip(page.lines, page.lines.dropFirst()) where abs(line.size - next.size) < 0.5 {
                let distance = (line.baseline - next.baseline) / max(1, line.size)
                if distance > 0.5, distance < 2.2 { distances.append(distance) }
            }
        }
        // Most lines are inside of paragraphs, and the gaps between these are larger.
        distances.sort()
        return distances.isEmpty ? 1.2 : distances[distances.count / 3]
    }

    /// Whether a line belongs to the paragraph of the one before it.
    private func continues(_ line: PDFLine, _ next: PDFLine) -> Bool {
        let spacing = spacing * line.size
        // A parted word goes on, whatever else is in its line, such as the large label of a note.
        if line.endsInHyphen, startsInLowerCase(next), line.baseline - next.baseline < spacing * 3 { return true }
        if abs(line.size - next.size) > line.size * 0.1 { return false }
        let distance = line.baseline - next.baseline
        let ends = endsSentence(line)
        guard distance > -line.size * 0.3 else {
            // The next column or page: a sentence that has not ended goes on there.
            return !ends && startsInLowerCase(next)
        }
        if distance > spacing * 1.3 { return !ends && startsInLowerCase(next) && distance < spacing * 1.6 }
        // An indented first line.
        if ends, next.left > line.left + line.size * 0.8 { return false }
        return true
    }

    private func endsSentence(_ line: PDFLine) -> Bool {
        guard !line.endsInHyphen, let last = line.cells.last?.text.last else { return false }
        return [UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "!"), UInt8(ascii: "?")].contains(last)
    }

    private func startsInLowerCase(_ line: PDFLine) -> Bool {
        guard let text = line.cells.first?.text else { return false }
        return String(decoding: text.prefix(4), as: UTF8.self).unicodeScalars.first?.properties.isLowercase ?? false
    }

    /// Bytes of the mark that a list item begins with; 0 for other lines.
    private func listMarker(_ line: PDFLine) -> Int {
        guard let text = line.cells.first?.text else { return 0 }
        for mark in Self.listMarks
        where text.starts(with: mark) && (text.count == mark.count || text[mark.count] == 0x20) {
            return mark.count
        }
        return 0
    }

    private static let listMarks = ["•", "▪", "‣", "◦", "●", "■", "∙", "–"].map { Array($0.utf8) }

    // MARK: - Headings

    /// The lines of the heading that begins at a line, and its level.
    private func heading(_ page: PDFPage, at start: Int) -> (count: Int, level: Int)? {
        let line = page.lines[start]
        guard line.byteCount <= Self.longestHeading else { return nil }
        if !outline.isEmpty {
            var text: [UInt8] = []
            for count in 1...3 where start + count <= page.lines.count {
                text += Self.folded(page.lines[start + count - 1].text)
                if let level = outline[Entry(page: page.number, title: text)] { return (count, level) }
            }
            return nil
        }
        guard let level = headingSizes.firstIndex(where: { abs($0 - Double(Self.step(line.size)) / 4) < 0.13 }),
            Self.folded(line.text).contains(where: { $0 >= 0x80 || $0 &- 0x61 < 26 })
        else { return nil }
        var count = 1
        while start + count < page.lines.count, count < 4 {
            let next = page.lines[start + count]
            let distance = page.lines[start + count - 1].baseline - next.baseline
            guard abs(next.size - line.size) < 0.5, distance > 0, distance < line.size * 1.6 else { break }
            count += 1
        }
        return (count, min(level + 1, 6))
    }

    // MARK: - Tables

    /// How many lines from one on are rows of a table: at least two, with cells that begin or end at the same places.
    private func tableRows(_ page: PDFPage, from start: Int) -> Int {
        var count = 0
        while start + count < page.lines.count {
            let line = page.lines[start + count]
            guard line.cells.count > 1 else { break }
            if count > 0 {
                let previous = page.lines[start + count - 1]
                guard previous.baseline > line.baseline, linesUp(previous, line) else { break }
            }
            count += 1
        }
        return count > 1 ? count : 0
    }

    private func linesUp(_ line: PDFLine, _ next: PDFLine) -> Bool {
        let tolerance = max(2, line.size * 0.3)
        return next.cells.dropFirst().contains { cell in
            line.cells.dropFirst().contains {
                abs($0.left - cell.left) < tolerance || abs($0.right - cell.right) < tolerance
            }
        }
    }

    /// Rows of cells, each under the column it stands in.
    private func writeTable(_ lines: ArraySlice<PDFLine>, to blocks: DocumentBuilder) {
        for line in lines {
            blocks.beginRow()
            for cell in line.cells {
                blocks.beginCell()
                blocks.pendingSpace = false
                cell.text.withUnsafeBufferPointer { blocks.append($0, .table) }
            }
            // In a cell it ends nothing that could go on.
            if line.endsInHyphen { blocks.text.append(UInt8(ascii: "-")) }
        }
        blocks.endBlock()
    }
}
