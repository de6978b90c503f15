/// Tells the content of a page from what every page of its site has: navigation, footers, permalinks.
///
/// Only what a page says by its markup counts, nothing is guessed from words or numbers of links. Where it names its main
/// content (`main`, `role="main"`), nothing else is content; else the landmarks `nav`, `role="navigation"`,
/// `role="search"`, `role="contentinfo"` and a `footer` that belongs to no article are left out, and what the style
/// sheets of DocBook and the themes of Sphinx mark as links between pages or to a heading. Sources: HTML standard,
/// sections "The main element", "The nav element", "The footer element"; WAI-ARIA 1.2, section "Landmark Roles".
struct HTMLBoilerplate {
    /// What the attributes of a start tag say.
    struct Marks {
        fileprivate var role = Role.none
        fileprivate var isLinkBetweenPages = false
        fileprivate var isHeaderLink = false

        init() {}

        mutating func read(_ attribute: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
            if isName("role", attribute) {
                role = Role.all.first { isName($0.name, value) }?.role ?? .none
            } else if isName("class", attribute) {
                for token in value.split(whereSeparator: { WhiteSpace.isASCII($0) }) {
                    let token = UnsafeBufferPointer(rebasing: token)
                    if isName("navheader", token) || isName("navfooter", token) { isLinkBetweenPages = true }
                    if isName("headerlink", token) { isHeaderLink = true }
                }
            }
        }
    }

    fileprivate enum Role {
        case none, main, boilerplate

        static let all: [(name: StaticString, role: Role)] = [
            ("main", .main), ("navigation", .boilerplate), ("search", .boilerplate), ("contentinfo", .boilerplate),
        ]
    }

    /// An element that is open, and how many of its name are open in it, itself included.
    private struct Element {
        var name: [UInt8]
        var depth = 1
    }

    private let hasMain: Bool
    private var main: Element?
    private var hidden: Element?
    private var articles = 0
    private var shownBytes = 0
    /// Bytes of text that were left out.
    private(set) var hiddenBytes = 0

    init(_ page: UnsafeBufferPointer<UInt8>) {
        hasMain = ["<main", "role=\"main\"", "<MAIN"].contains { firstIndex(of: Array($0.utf8), in: page) != nil }
    }

    /// Whether what stands here is left out.
    var hides: Bool { hidden != nil || hasMain && main == nil }

    /// Whether what was left out can be done without when the page has been read.
    ///
    /// A page that has hardly anything else, or an element that was never ended, tells that the markup is not meant so.
    var isPlausible: Bool { hiddenBytes == 0 || hidden == nil && shownBytes > hiddenBytes / 8 }

    /// Whether the attributes of an element matter.
    static func mayMark(_ tag: HTMLTag?, named name: UnsafeBufferPointer<UInt8>) -> Bool {
        tag == .division || tag == .list || tag == .table || isName("a", name)
    }

    /// An element begins.
    mutating func start(_ tag: HTMLTag?, named name: UnsafeBufferPointer<UInt8>, _ marks: Marks) {
        if let element = hidden {
            if isEqual(name, element.name) { hidden?.depth += 1 }
            return
        }
        if let element = main, isEqual(name, element.name) {
            main?.depth += 1
        } else if hasMain, main == nil {
            if isName("main", name) || marks.role == .main { main = Element(name: name.map(lowercased)) }
            return
        }
        guard Self.mayMark(tag, named: name) else { return }
        if isName("article", name) || isName("section", name) { articles += 1 }
        let isFooter = articles == 0 && main == nil && isName("footer", name)
        let isLink = isName("a", name) ? marks.isHeaderLink : marks.isLinkBetweenPages
        if isLink || isFooter || marks.role == .boilerplate || isName("nav", name) {
            hidden = Element(name: name.map(lowercased))
        }
    }

    /// An element ends.
    mutating func end(named name: UnsafeBufferPointer<UInt8>) {
        if let element = hidden {
            guard isEqual(name, element.name) else { return }
            hidden?.depth -= 1
            if element.depth == 1 { hidden = nil }
        } else if let element = main, isEqual(name, element.name) {
            main?.depth -= 1
            if element.depth == 1 { main = nil }
        } else if articles > 0, isName("article", name) || isName("section", name) {
            articles -= 1
        }
    }

    /// Text stands here.
    mutating func count(_ text: UnsafeBufferPointer<UInt8>) {
        guard text.contains(where: { !WhiteSpace.isASCII($0) }) else { return }
        if hides { hiddenBytes += text.count } else { shownBytes += text.count }
    }
}

/// Whether bytes are a lower-case name in any case.
private func isName(_ name: StaticString, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    bytes.count == name.utf8CodeUnitCount && bytes.indices.allSatisfy { lowercased(bytes[$0]) == name.utf8Start[$0] }
}

private func isEqual(_ bytes: UnsafeBufferPointer<UInt8>, _ name: [UInt8]) -> Bool {
    bytes.count == name.count && bytes.indices.allSatisfy { lowercased(bytes[$0]) == name[$0] }
}
