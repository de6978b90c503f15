/// Finds the lines that are repeated at the edges of pages: running titles, page numbers, footers.
struct PDFMargins {
    /// A line at an edge: its text with all digits alike, and where it stands.
    private struct Key: Hashable {
        let text: [UInt8]
        /// In steps of 4 units from the nearer edge.
        let distance: Int
        let isTop: Bool
    }

    /// So many lines at each edge are looked at.
    private static let depth = 3
    /// Lines stand in this share of the page at each edge.
    private static let share = 0.15
    /// A line that is on fewer pages is none of them.
    private static let fewest = 3

    private var counts: [Key: Int] = [:]

    init(_ pages: [PDFPage]) {
        for page in pages {
            for (_, key) in Self.edges(page) { counts[key, default: 0] += 1 }
        }
    }

    /// Removes the lines that at least three pages have.
    ///
    /// - Returns: How many were removed.
    func removeRepeatedLines(from pages: inout [PDFPage]) -> Int {
        var removed = 0
        for index in pages.indices {
            let repeated = Self.edges(pages[index]).filter { counts[$0.key, default: 0] >= Self.fewest }.map(\.line)
            for line in repeated.sorted(by: >) { pages[index].lines.remove(at: line) }
            removed += repeated.count
        }
        return removed
    }

    /// The lines at the edges of a page.
    private static func edges(_ page: PDFPage) -> [(line: Int, key: Key)] {
        guard page.height > 0 else { return [] }
        let byHeight = page.lines.indices.sorted { page.lines[$0].baseline > page.lines[$1].baseline }
        func key(_ line: Int, isTop: Bool) -> Key? {
            let baseline = page.lines[line].baseline
            let distance = isTop ? page.height - baseline : baseline
            guard distance >= 0, distance < page.height * share else { return nil }
            return Key(text: folded(page.lines[line]), distance: Int((distance / 4).rounded()), isTop: isTop)
        }
        let top = byHeight.prefix(depth).compactMap { line in key(line, isTop: true).map { (line, $0) } }
        let bottom = byHeight.suffix(depth).compactMap { line in key(line, isTop: false).map { (line, $0) } }
        // A page of few lines has the same ones at both edges.
        let tops = Set(top.map(\.0))
        return top + bottom.filter { !tops.contains($0.0) }
    }

    /// Every number as `#`, also a Roman one, so that page numbers are alike.
    private static func folded(_ line: PDFLine) -> [UInt8] {
        let words = line.text.split(separator: 0x20).map { word -> [UInt8] in
            let isRoman = word.allSatisfy { "ivxlc".utf8.contains(lowercased($0)) }
            let isNumber = isRoman || word.contains { $0 &- 0x30 < 10 }
            return isNumber ? [UInt8(ascii: "#")] : Array(word)
        }
        return Array(words.joined(separator: [0x20]))
    }
}
