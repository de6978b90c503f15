/// The one model of the embedded endpoint.
package enum EmbeddingModel {
    /// Its name in requests and answers.
    package static let name = "multilingual-e5-small"
    /// Components of a vector.
    package static let dimension = 384
    /// Tokens of one text at most, prefix and the two marks at its ends included.
    package static let maximumTokens = 512
}
