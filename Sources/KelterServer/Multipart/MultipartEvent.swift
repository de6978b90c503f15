/// What the header of one part says.
struct MultipartPart: Equatable, Sendable {
    /// The name of the form's field.
    let name: String
    /// The last component of the file's name, never `.` or `..`; empty for a file field that was left empty, `nil` for
    /// a field that is not a file.
    let fileName: String?
    /// The media type with its parameters as sent; `nil` when the part has none, which means `text/plain`.
    let contentType: String?
}

/// What a multipart body holds, in order: every part begins, has any number of pieces of body, and ends.
enum MultipartEvent: ~Escapable {
    case begin(MultipartPart)
    /// Some bytes of the part's body, at least one. They belong to the piece being fed.
    case body(Span<UInt8>)
    case end
}
