/// What one multipart body may hold; a body that holds more is an error.
///
/// The bodies of the parts are not limited here: they are handed on without being kept.
struct MultipartLimits: Sendable {
    /// The parts of a body.
    var parts = 16
    /// The header fields of one part with the empty line after them, in bytes.
    var headerBytes = 8192
    /// The name of a field, in bytes of UTF-8.
    var nameBytes = 256
    /// A file name without its directories, in bytes of UTF-8.
    var fileNameBytes = 1024
    /// The text before the first boundary, which RFC 2046 allows and nobody sends, in bytes.
    var preambleBytes = 1024
}
