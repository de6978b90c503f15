/// Finds the lines that are repeated at the edges of pages: running titles, page numbers, footers.
///
/// A line is one when at least three pages have it at the same place. Titles of sections change too often for that: a line
/// that stands apart at the edge of most pages, always at the same place and no larger than the text, is one when half of
/// these lines have a part that another page has there, too.
struct PDFMargins {
    /// A line at an edge: its text with all digits alike, and where it stands.
    private struct Key: Hashable {
        let text: [UInt8]
        /// In steps of 4 units from the nearer edge.
        let distance: Int
        let isTop: Bool

        func with(_ text: [UInt8]) -> Key { Key(text: text, distance: distance, isTop: isTop) }
    }

    /// So many lines at each edge are looked at.
    private static let depth = 3
    /// Lines stand in this share of the page at each edge.
    private static let share = 0.15
    /// A line that is on fewer pages is none of them.
    private static let fewest = 3
    /// So many lines that change from page to page are needed to tell that they are running titles.
    private static let fewestTitles = 6
    /// The distance of a running title from the text, in heights of its line.
    private static let gap = 1.8

    private var counts: [Key: Int] = [:]
    /// The places of running titles: keys without text.
    private var places: Set<Key> = []
    /// A line that is larger is a heading, wherever it stands.
    private let largest: Double

    init(_ pages: [PDFPage]) {
        largest = PDFLayout.bodySize(pages) * 1.05
        var titles: [Key: [[Key]]] = [:]
        var parts: [Key: Int] = [:]
        for page in pages {
            let edges = Self.edges(page)
            for (_, key) in edges { counts[key, default: 0] += 1 }
            for (line, key) in edges where mayBeTitle(line, on: page, key) {
                let cells = page.lines[line].cells.map { key.with(Self.folded($0.text)) }
                for cell in Set(cells) { parts[cell, default: 0] += 1 }
                titles[key.with([]), default: []].append(cells)
            }
        }
        for (place, lines) in titles where lines.count >= max(Self.fewestTitles, pages.count / 2) {
            let repeated = lines.count { $0.contains { parts[$0, default: 0] > 1 } }
            if repeated * 2 >= lines.count { places.insert(place) }
        }
    }

    /// Whether a line is no larger than the text and the outermost one at its edge, with a gap behind it.
    private func mayBeTitle(_ line: Int, on page: PDFPage, _ key: Key) -> Bool {
        let (baseline, size) = (page.lines[line].baseline, page.lines[line].size)
        guard size <= largest else { return false }
        return page.lines.indices.allSatisfy { other in
            let distance = (baseline - page.lines[other].baseline) * (key.isTop ? 1 : -1)
            return other == line || distance > size * Self.gap
        }
    }

    /// Removes the lines that are repeated.
    ///
    /// - Returns: How many were removed.
    func removeRepeatedLines(from pages: inout [PDFPage]) -> Int {
        var removed = 0
        for index in pages.indices {
            let page = pages[index]
            let repeated = Self.edges(page).filter { line, key in
                counts[key, default: 0] >= Self.fewest
                    || places.contains(key.with([])) && mayBeTitle(line, on: page, key)
            }.map(\.line)
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
            return Key(text: folded(page.lines[line].text), distance: Int((distance / 4).rounded()), isTop: isTop)
        }
        let top = byHeight.prefix(depth).compactMap { line in key(line, isTop: true).map { (line, $0) } }
        let bottom = byHeight.suffix(depth).compactMap { line in key(line, isTop: false).map { (line, $0) } }
        // A page of few lines has the same ones at both edges.
        let tops = Set(top.map(\.0))
        return top + bottom.filter { !tops.contains($0.0) }
    }

    /// Every number as `#`, also a Roman one, so that page numbers are alike.
    private static func folded(_ text: [UInt8]) -> [UInt8] {
        let words = text.split(separator: 0x20).map { word -> [UInt8] in
            let isRoman = word.allSatisfy { "ivxlc".utf8.contains(lowercased($0)) }
            let isNumber = isRoman || word.contains { $0 &- 0x30 < 10 }
            return isNumber ? [UInt8(ascii: "#")] : Array(word)
        }
        return Array(words.joined(separator: [0x20]))
    }
}
