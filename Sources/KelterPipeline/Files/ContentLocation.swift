import KelterModel
package import KelterParsing

/// Where the bytes of an input lie.
package enum ContentLocation: Equatable, Sendable {
    /// A file, by its path.
    case file(String)
    /// A line of a JSON Lines file.
    case record(RecordLine, of: String)
    /// A file in an archive.
    case member(ArchiveMember, of: String)
    /// An object of a bucket, by its address.
    case object(S3Object, of: String)

    /// The path of the file that has to be opened, or the address of the object.
    package var path: String {
        switch self {
        case .file(let path), .record(_, let path), .member(_, let path), .object(_, let path): path
        }
    }
}

/// A line of a JSON Lines file, by its first byte and their number.
package struct RecordLine: Equatable, Sendable {
    package let offset: Int
    package let length: Int
}

extension ContentLocation {
    /// The location as the ledger keeps it.
    ///
    /// `{path}` relative to the root of the batch, for a record with `line: [offset, length]`, for a file in an archive with
    /// `member`, for one in a bucket with `object: [size, etag]`.
    func json(root: String) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [("path", .string(relative(path, to: root)))]
        switch self {
        case .file: break
        case .record(let line, _): members.append(("line", .array([.int(line.offset), .int(line.length)])))
        case .member(let member, _): members.append(("member", member.json))
        case .object(let object, _): members.append(("object", .array([.int(object.size), .string(object.etag)])))
        }
        return .object(members)
    }

    /// Reads what ``json(root:)`` made; `nil` for anything else.
    init?(_ json: JSONValue, root: String) {
        guard let path = json["path"]?.string.map({ absolute($0, under: root) }) else { return nil }
        if let line = json["line"] {
            guard let offset = line[0]?.int, let length = line[1]?.int else { return nil }
            self = .record(RecordLine(offset: offset, length: length), of: path)
        } else if let member = json["member"] {
            guard let member = ArchiveMember(member) else { return nil }
            self = .member(member, of: path)
        } else if let object = json["object"] {
            guard let size = object[0]?.int, let etag = object[1]?.string else { return nil }
            self = .object(S3Object(size: size, etag: etag), of: path)
        } else {
            self = .file(path)
        }
    }
}

/// The path below a directory of something in it.
func relative(_ path: String, to root: String) -> String {
    guard path != root else { return "." }
    // By bytes: a name that begins with an accent makes one character with the slash before it.
    return String(Substring(path.utf8.dropFirst(root == "/" ? 1 : root.utf8.count + 1)))
}

private func absolute(_ path: String, under root: String) -> String {
    root == "/" ? "/" + path : root + "/" + path
}
