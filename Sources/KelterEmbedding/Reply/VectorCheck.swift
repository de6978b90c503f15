import KelterModel

/// Tells vectors from bytes that were written in one way and read in another.
enum VectorCheck {
    /// Lengths ‖v‖₂ beyond these bounds are no embeddings but misread bytes, such as big-endian numbers.
    ///
    /// Models give lengths from about 0.1 to 100. Zero is something else: ``UnitVector/empty``.
    static let plausibleLengths = 1e-4...1e6

    /// Judges one vector as it was read.
    ///
    /// Two misreadings of base64 are recognised for certain, because the other reading of the same bytes makes sense
    /// where this one does not: float64, which looks like float32 of twice the width, and big-endian float32. A model of
    /// another width than the profile's stays a matter of the width.
    ///
    /// - Parameters:
    ///   - raw: The numbers.
    ///   - encoding: How they came.
    ///   - dimension: The width the profile asks for.
    /// - Returns: The unit vector or what is wrong with it, and its length before it was normalised, which is NaN if one
    ///   of its numbers is.
    static func judge(
        _ raw: [Float],
        encoding: EmbeddingEncoding,
        dimension: Int
    ) -> (vector: Result<UnitVector, KelterError>, length: Double) {
        let length = length(of: raw)
        let vector = Result { () throws(KelterError) in try UnitVector(normalising: raw, dimension: dimension) }
        let isPlausible = plausibleLengths.contains(length)
        if isPlausible, raw.count == dimension { return (vector, length) }
        if raw.count != dimension {
            let isFloat64 =
                encoding == .base64 && raw.count == 2 * dimension
                && (!isPlausible || isWidened(raw)) && plausibleLengths.contains(lengthAsFloat64(raw))
            guard isFloat64 else { return (vector, length) }
            return (
                .failure(
                    misread(
                        "The endpoint's base64 has exactly twice the bytes of \(dimension) float32 numbers: it is float64."
                    )
                ), length
            )
        }
        if encoding == .base64, plausibleLengths.contains(lengthAsBigEndian(raw)) {
            return (.failure(misread("The endpoint's base64 is big-endian float32 instead of little-endian.")), length)
        }
        // What is left without a plausible length: nothing, NaN and infinity, for which the vector has its own answer.
        if case .success(.unit) = vector {
            return (.failure(misread("The endpoint returned a vector without a plausible length.")), length)
        }
        return (vector, length)
    }

    private static func misread(_ message: String) -> KelterError {
        KelterError(
            .embeddingEncodingInvalid,
            message,
            subject: "LITELLM_BASE_URL",
            fix: "Check the model behind the endpoint, which must write little-endian float32; nothing was stored."
        )
    }

    private static func length(of raw: [Float]) -> Double {
        UnitVector.squaredLength(of: raw).squareRoot()
    }

    private static func lengthAsBigEndian(_ raw: [Float]) -> Double {
        length(of: raw.map { Float(bitPattern: $0.bitPattern.byteSwapped) })
    }

    /// Whether every other number is only as much as float32 leaves over when it is widened to float64: three bits.
    private static func isWidened(_ raw: [Float]) -> Bool {
        stride(from: 0, to: raw.count, by: 2).allSatisfy { raw[$0].bitPattern & 0x1FFF_FFFF == 0 }
    }

    /// The length of the float64 numbers whose halves, the lower one first, these are.
    private static func lengthAsFloat64(_ raw: [Float]) -> Double {
        var squares = 0.0
        for index in stride(from: 0, to: raw.count - 1, by: 2) {
            let value = Double(
                bitPattern: UInt64(raw[index + 1].bitPattern) << 32 | UInt64(raw[index].bitPattern)
            )
            squares += value * value
        }
        return squares.squareRoot()
    }
}
