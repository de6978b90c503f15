import KelterModel

/// A reply whose shape is right: one result per input, in the order of the inputs.
struct EmbeddingReply: Sendable, Equatable {
    /// A vector, or what is wrong with this one: its width, NaN, infinity or null.
    var vectors: [Result<UnitVector, KelterError>]
    /// The encoding of the vectors: base64 only if all of them were.
    var encoding: EmbeddingEncoding
    /// The length ‖v‖₂ of the first item's vector before it was normalised.
    var firstLength: Double
    /// The `model` member.
    var model: String?
    /// `usage.prompt_tokens`; 0 when it is missing.
    var promptTokens: Int
}
