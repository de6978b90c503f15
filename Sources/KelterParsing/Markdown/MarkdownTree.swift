import CLibCMark
import KelterModel
import Synchronization

/// The syntax tree that cmark-gfm makes of a Markdown text; freed with its last use.
struct MarkdownTree: ~Copyable {
    /// The document node.
    let root: OpaquePointer

    /// Parses a text with GitHub's tables, strikethrough, autolinks and task lists.
    ///
    /// - Throws: ``KelterError`` with `parserFailed` when the library lacks them.
    init(_ text: UnsafeBufferPointer<UInt8>) throws(KelterError) {
        guard Self.isPrepared, let parser = cmark_parser_new(CMARK_OPT_DEFAULT) else { throw Self.failure }
        defer { cmark_parser_free(parser) }
        for name in Self.extensionNames {
            guard let found = cmark_find_syntax_extension(name) else { throw Self.failure }
            cmark_parser_attach_syntax_extension(parser, found)
        }
        text.withMemoryRebound(to: CChar.self) { cmark_parser_feed(parser, $0.baseAddress, $0.count) }
        let finished = Self.inlineTable.withLock { _ in cmark_parser_finish(parser).map { UInt(bitPattern: $0) } }
        guard let root = finished.flatMap({ OpaquePointer(bitPattern: $0) }) else { throw Self.failure }
        self.root = root
    }

    deinit {
        cmark_node_free(root)
    }

    private static let extensionNames = ["table", "strikethrough", "autolink", "tasklist"]

    private static var failure: KelterError {
        KelterError(.parserFailed, "cmark-gfm gave up on the file.", fix: "Convert it to plain text.")
    }

    /// Registers the extensions once; the function for it may not run on two threads at a time.
    private static let isPrepared: Bool = {
        cmark_gfm_core_extensions_ensure_registered()
        return true
    }()

    /// Held while inline elements are parsed.
    ///
    /// cmark-gfm 0.29 writes the extensions' special characters into a table of the whole process before, and takes
    /// them out afterwards, under the feet of other threads that are parsing.
    private static let inlineTable = Mutex(())
}
