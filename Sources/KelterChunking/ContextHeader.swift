import KelterModel

/// The line put before a chunk's text for embedding, which says what the chunk belongs to: `Title > Heading > Heading: `.
///
/// A heading that repeats the one before it (a first heading equal to the title) is left out, and so is the innermost one
/// when the chunk's own text begins with it. A header over its limit loses headings from the outside in, the title and
/// the innermost heading last; what is still too long is cut between words.
struct ContextHeader {
    /// At most this many tokens.
    let limit: Int
    let counter: any TokenCounter
    /// The normalised title, empty if there is none.
    let title: String

    private var known: [Key: String] = [:]

    private struct Key: Hashable {
        var section: SectionPath
        var isOpened: Bool
    }

    init(title: String?, limit: Int, counter: any TokenCounter) {
        self.title = title.map { EmbeddedText.normalised($0) } ?? ""
        self.limit = limit
        self.counter = counter
    }

    /// The header of a section with the separator behind it, or an empty text.
    ///
    /// `isOpened` says that the chunk's text begins with the section's own heading.
    /// - Returns: What stands before the chunk's text.
    mutating func text(for section: SectionPath, isOpened: Bool) -> String {
        let key = Key(section: section, isOpened: isOpened)
        if let text = known[key] { return text }
        let text = makeText(section, isOpened: isOpened)
        known[key] = text
        return text
    }

    private func makeText(_ section: SectionPath, isOpened: Bool) -> String {
        var parts: [String] = []
        for heading in [title] + section.headings.map({ EmbeddedText.normalised($0) })
        where !heading.isEmpty && heading != parts.last {
            parts.append(heading)
        }
        if isOpened, let innermost = section.headings.last, EmbeddedText.normalised(innermost) == parts.last {
            parts.removeLast()
        }
        while parts.count > 2, tokens(parts) > limit { parts.remove(at: title.isEmpty ? 0 : 1) }
        if tokens(parts) > limit {
            let share = limit / parts.count
            parts = parts.map { shortened($0, share) }.filter { !$0.isEmpty }
        }
        return Self.joined(parts)
    }

    private static func joined(_ parts: [String]) -> String {
        parts.isEmpty ? "" : parts.joined(separator: " > ") + ": "
    }

    private func tokens(_ parts: [String]) -> Int {
        // Without the space behind it, which belongs to the text that follows.
        counter.count(String(Self.joined(parts).dropLast()))
    }

    /// As many whole words from the beginning as fit together with a separator.
    private func shortened(_ text: String, _ limit: Int) -> String {
        var kept: [Substring] = []
        for word in text.split(separator: " ") {
            if tokens([(kept + [word]).joined(separator: " ")]) + 1 > limit { break }
            kept.append(word)
        }
        return kept.joined(separator: " ")
    }
}
