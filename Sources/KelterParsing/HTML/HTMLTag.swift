/// What an HTML element means for the text.
///
/// Elements of the same meaning share a case: of the dozens of containers only "a new paragraph begins here" matters.
enum HTMLTag: UInt8, Sendable {
    // Forwarded to libxml2 under one name each.
    case division, paragraph, heading1, heading2, heading3, heading4, heading5, heading6
    case list, item, quote, preformatted, table, row, cell, headerCell, caption, title
    // Forwarded, without content.
    case lineBreak, rule
    // Handled by the tag filter.
    case root, body, option, textArea
    case script, style, inlineFrame, noScript, template

    /// The number of cases that nest.
    static let nestingCount = 18

    /// Whether libxml2 sees a start and an end of the element.
    var nests: Bool { rawValue < UInt8(Self.nestingCount) }

    /// Whether what the element holds is no text of the document.
    var hidesContent: Bool { rawValue >= Self.script.rawValue }

    /// The level of a heading; 0 for other elements.
    var headingLevel: Int {
        (Self.heading1.rawValue...Self.heading6.rawValue).contains(rawValue)
            ? Int(rawValue - Self.heading1.rawValue) + 1 : 0
    }

    /// The name libxml2 knows the element by.
    var name: StaticString {
        switch self {
        case .paragraph: "p"
        case .heading1: "h1"
        case .heading2: "h2"
        case .heading3: "h3"
        case .heading4: "h4"
        case .heading5: "h5"
        case .heading6: "h6"
        case .list: "ul"
        case .item: "li"
        case .quote: "blockquote"
        case .preformatted: "pre"
        case .table: "table"
        case .row: "tr"
        case .cell: "td"
        case .headerCell: "th"
        case .caption: "caption"
        case .title: "title"
        case .lineBreak: "br"
        case .rule, .option: "hr"
        default: "div"
        }
    }

    /// The meaning of an element by its name in any case; nil for inline and unknown elements.
    @inline(__always)
    init?(name: UnsafeBufferPointer<UInt8>) {
        guard name.count <= 10 else { return nil }
        var key = UInt64(name.count) << 56
        for index in 0..<min(name.count, 7) { key |= UInt64(lowercased(name[index])) << (8 * UInt64(index)) }
        guard let tag = HTMLTagTable.shared.tag(of: key) else { return nil }
        self = tag
    }
}

/// Looks an element up by the first seven bytes and the length of its name, which tell all known names apart.
private struct HTMLTagTable: Sendable {
    static let shared = HTMLTagTable()

    /// Open addressing over a power of two at least four times the number of names.
    private var keys = [UInt64](repeating: 0, count: 512)
    private var tags = [HTMLTag](repeating: .division, count: 512)

    @inline(__always)
    func tag(of key: UInt64) -> HTMLTag? {
        var slot = Self.slot(key)
        while keys[slot] != 0 {
            if keys[slot] == key { return tags[slot] }
            slot = (slot + 1) & 511
        }
        return nil
    }

    @inline(__always)
    private static func slot(_ key: UInt64) -> Int {
        // Fibonacci hashing: the multiplier is 2^64 divided by the golden ratio.
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 55)
    }

    private init() {
        for (tag, names) in Self.names {
            for name in names.split(separator: " ") {
                var key = UInt64(name.utf8.count) << 56
                for (index, byte) in name.utf8.prefix(7).enumerated() { key |= UInt64(byte) << (8 * UInt64(index)) }
                var slot = Self.slot(key)
                while keys[slot] != 0 { slot = (slot + 1) & 511 }
                keys[slot] = key
                tags[slot] = tag
            }
        }
    }

    private static let names: [(HTMLTag, String)] = [
        (
            .division,
            """
            div section article main header footer nav aside figure figcaption address form fieldset legend details \
            summary center hgroup dialog search noframes frameset select video audio object canvas marquee
            """
        ),
        (.paragraph, "p"),
        (.heading1, "h1"), (.heading2, "h2"), (.heading3, "h3"), (.heading4, "h4"), (.heading5, "h5"),
        (.heading6, "h6"),
        (.list, "ul ol dl menu dir"), (.item, "li dt dd"), (.quote, "blockquote"),
        (.preformatted, "pre listing xmp plaintext"),
        (.table, "table"), (.row, "tr"), (.cell, "td"), (.headerCell, "th"), (.caption, "caption"), (.title, "title"),
        (.lineBreak, "br"), (.rule, "hr"), (.root, "html"), (.body, "body"), (.option, "option optgroup"),
        (.textArea, "textarea"), (.script, "script"), (.style, "style"), (.inlineFrame, "iframe noembed"),
        (.noScript, "noscript"), (.template, "template"),
    ]
}
