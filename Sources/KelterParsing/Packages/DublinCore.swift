/// Title and language of a document, as Office Open XML, OpenDocument and EPUB all write them: the first `dc:title` and
/// `dc:language`; Dublin Core Metadata Element Set 1.1.
class DublinCoreReader: XMLHandler {
    private(set) var title: String?
    private(set) var language: String?
    private var text: [UInt8]?

    /// Some allow one; nothing of it is needed.
    override func documentType() {}

    override func start(_ name: XMLName, _ attributes: XMLAttributes) {
        switch name {
        case "title", "language": text = []
        default: break
        }
    }

    override func characters(_ text: UnsafeBufferPointer<UInt8>) {
        self.text?.append(contentsOf: text)
    }

    override func end(_ name: XMLName) {
        guard let text else { return }
        self.text = nil
        let value = collapsedText(text)
        guard !value.isEmpty else { return }
        switch name {
        case "title": title = title ?? value
        case "language": language = language ?? value
        default: break
        }
    }
}
