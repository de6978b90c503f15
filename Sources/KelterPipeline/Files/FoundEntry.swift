package import KelterModel
import KelterParsing

/// A document found for ingestion.
package struct FoundFile: Equatable, Sendable {
    /// Where its bytes are.
    package let location: ContentLocation
    /// The path relative to the batch root: the item's external identifier unless its metadata names another.
    package let relativePath: String
    /// Where its sidecar is, if there is one.
    package let sidecar: ContentLocation?
    /// The document's own name: the last part of its path, or the name under which it was uploaded.
    package let name: String
    /// What a plan has found out about it; `nil` without one.
    package var expected: PlannedState?

    package init(location: ContentLocation, relativePath: String, sidecar: ContentLocation?, name: String? = nil) {
        self.location = location
        self.relativePath = relativePath
        self.sidecar = sidecar
        self.name = name ?? lastComponent(relativePath)
    }

    /// A file of its own.
    package init(path: String, relativePath: String, sidecarPath: String?, name: String? = nil) {
        self.init(
            location: .file(path),
            relativePath: relativePath,
            sidecar: sidecarPath.map { .file($0) },
            name: name ?? lastComponent(path)
        )
    }

    /// Whether its metadata are those of the file that holds it.
    var inheritsMetadata: Bool {
        if case (.member, .file?) = (location, sidecar) { true } else { false }
    }

    /// The path of the mail message that it is attached to, relative to the root; `nil` for all others.
    func attachedTo(root: String?) -> String? {
        guard case .member(let member, let path) = location, let format = ArchiveFormat(fileName: path),
            format.passesMetadata
        else { return nil }
        let file = root.map { relative(path, to: $0) } ?? lastComponent(path)
        guard let slash = member.name.lastIndex(of: "/") else { return format.isDocument ? file : nil }
        return file + "/" + member.name[..<slash]
    }

    /// The path of the file that has to be opened.
    package var path: String { location.path }
}

/// What finds the inputs of a batch; a value that whoever holds it asks for the next ones, on a thread that may block.
package protocol InputWalk: Sendable {
    /// What the paths of the inputs are relative to.
    var root: String { get }

    /// The next entries; an empty array means that the walk is over.
    ///
    /// - Parameter count: How many at most.
    /// - Returns: Between one entry and `count`, or none at the end.
    /// - Throws: ``KelterError`` when what comes after is not known.
    mutating func next(_ count: Int) throws(KelterError) -> [FoundEntry]
}

/// What a walk over the inputs of a batch comes across.
package enum FoundEntry: Equatable, Sendable {
    case file(FoundFile)
    /// Deliberately not ingested.
    case skipped(relativePath: String, reason: SkipReason)
    /// Could not even be looked at.
    case failed(relativePath: String, KelterError)
}

/// Why something found was deliberately not ingested.
package enum SkipReason: String, Sendable, CaseIterable {
    /// The name begins with a dot; a hidden directory counts once.
    case hidden
    /// Symbolic links are not followed: their targets are found where they are.
    case symbolicLink = "symbolic_link"
    /// A device, socket or pipe.
    case notARegularFile = "not_a_regular_file"
    /// A `.meta.json` without its file.
    case orphanSidecar = "orphan_sidecar"
    /// A later file of the same archive has the same name.
    case superseded
    /// There is no text in the file.
    case noText = "no_text"
    /// The file went away after it was found.
    case gone
    /// The run was interrupted before the item was done.
    case interrupted
    /// The run ended early because a service was unavailable.
    case runEnded = "run_ended"
}
