package import KelterModel

/// A place in a bucket: `s3://bucket/directory/`, or `s3://bucket/key` for one object.
package struct S3Location: Equatable, Sendable {
    private static let scheme = "s3://"

    package let bucket: String
    /// What keys begin with, empty or with a slash at its end; or the key of the object.
    package let key: String

    /// Whether an input of a command line is meant to be one, right or wrong.
    package static func isOne(_ text: String) -> Bool { text.utf8.starts(with: scheme.utf8) }

    /// Reads an address.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/s3Invalid``.
    package init(_ text: String) throws(KelterError) {
        let rest = Substring(Self.isOne(text) ? text.utf8.dropFirst(Self.scheme.utf8.count) : "".utf8[...])
        let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        let bucket = String(rest[..<slash])
        let letters = bucket.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E
        }
        // "General purpose bucket naming rules", Amazon S3 User Guide.
        guard (3...63).contains(bucket.utf8.count), letters, !bucket.hasPrefix("."), !bucket.contains("..") else {
            throw KelterError(
                .s3Invalid,
                "\"\(shortened(text))\" is no address in a bucket.",
                fix: "Give s3://BUCKET/DIRECTORY/; a bucket's name has 3 to 63 lower-case letters, digits, - and dots."
            )
        }
        self.bucket = bucket
        key = slash == rest.endIndex ? "" : String(rest[rest.utf8.index(after: slash)...])
    }

    /// Whether it stands for all objects below it.
    package var isDirectory: Bool { key.utf8.last.map { $0 == UInt8(ascii: "/") } ?? true }

    /// What keys of the directory begin with: the directory itself, or the one of the object.
    var directory: String {
        key.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(key[...$0]) } ?? ""
    }

    /// The directory without a slash at its end: what the names of documents are relative to.
    var root: String {
        Self.address(String(Substring(directory.utf8.dropLast())), in: bucket)
    }

    /// The address of an object, or of the bucket for an empty key.
    static func address(_ key: String, in bucket: String) -> String {
        scheme + bucket + (key.isEmpty ? "" : "/" + key)
    }
}

/// An object as a listing tells it.
package struct S3Object: Equatable, Sendable {
    /// In bytes.
    package let size: Int
    /// What changes with the content, with its quotes.
    package let etag: String
}
