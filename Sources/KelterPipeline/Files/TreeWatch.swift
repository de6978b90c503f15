import KelterHashing
package import KelterModel

/// Notices that the inputs of a batch have changed, by what the file system says about them.
///
/// It looks instead of being told: that also works on file systems of other machines.
package struct TreeWatch: Sendable {
    private let request: IngestRequest
    private let io = IOThreads(count: 1)

    /// Watches the inputs of a batch.
    package init(_ request: IngestRequest) {
        self.request = request
    }

    /// A digest of the names, sizes, times and numbers of all inputs.
    ///
    /// - Throws: ``KelterError`` of an input that cannot be looked at.
    package func state() async throws(KelterError) -> ContentHash {
        let request = request
        return try await io.run { () -> Result<ContentHash, KelterError> in
            do throws(KelterError) { return .success(try Self.digest(request)) } catch { return .failure(error) }
        }.get()
    }

    private static func digest(_ request: IngestRequest) throws(KelterError) -> ContentHash {
        var walk = try FileTree(
            inputs: request.inputs,
            listed: request.listed,
            filter: request.filter,
            opensContainers: false
        )
        var hasher = SHA256()
        while true {
            let entries = walk.next(entriesPerPart)
            guard !entries.isEmpty else { return try hasher.finish() }
            for entry in entries {
                var line = entry.relativePath
                if case .file(let file) = entry { line += "\0" + (file.stamp(at: 0)?.text ?? "") }
                line += "\n"
                line.withUTF8 { hasher.update(UnsafeRawBufferPointer($0)) }
            }
        }
    }
}
