/// A vector of Euclidean length 1, or the fact that there is none.
package enum UnitVector: Equatable, Sendable {
    /// Length 1 within 1e-6.
    case unit([Float])
    /// The model gave (nearly) nothing: ‖v‖² ≤ 1e-12. The chunk is kept without an embedding and counted.
    case empty

    /// Squared lengths up to this count as zero; SPEC section 5.
    package static let smallestSquaredLength = 1e-12

    /// Scales a vector to length 1: v / ‖v‖₂ in double precision, rounded to float32.
    ///
    /// - Parameters:
    ///   - raw: The model's vector.
    ///   - dimension: The width the profile asks for.
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorDimensionMismatch`` for another width and
    ///   ``ErrorCode/embeddingInvalid`` for NaN or infinity.
    package init(normalising raw: [Float], dimension: Int) throws(KelterError) {
        guard raw.count == dimension else {
            throw KelterError(
                .vectorDimensionMismatch,
                "The endpoint returned a vector of \(raw.count) numbers where \(dimension) are expected.",
                subject: "EMBEDDINGS_DIM",
                fix: "Set EMBEDDINGS_DIM to the model's dimension and use a vector space of that dimension."
            )
        }
        let squares = Self.squaredLength(of: raw)
        // NaN and infinity reach the sum; finite floats cannot overflow a double.
        guard squares.isFinite else {
            throw KelterError(
                .embeddingInvalid,
                "The endpoint returned a vector with NaN or infinity.",
                fix: "Check the model behind the endpoint; nothing was stored for this document."
            )
        }
        guard squares > Self.smallestSquaredLength else {
            self = .empty
            return
        }
        let scale = 1 / squares.squareRoot()
        // Written in place: what `map` does for each element keeps the compiler from scaling several at a time.
        self = .unit(
            Array(unsafeUninitializedCapacity: raw.count) { values, count in
                raw.withUnsafeBufferPointer { raw in
                    for index in raw.indices {
                        values.initializeElement(at: index, to: Float(Double(raw[index]) * scale))
                    }
                }
                count = raw.count
            }
        )
    }

    /// ‖v‖², summed in double precision.
    package static func squaredLength(of raw: [Float]) -> Double {
        raw.withUnsafeBytes { bytes in
            // Eight sums, as one would have each addition wait for the one before.
            var sums = SIMD8<Double>.zero
            let groups = raw.count / 8
            for group in 0..<groups {
                let values = SIMD8<Double>(bytes.loadUnaligned(fromByteOffset: group * 32, as: SIMD8<Float>.self))
                sums += values * values
            }
            return raw[(groups * 8)...].reduce(sums.sum()) { $0 + Double($1) * Double($1) }
        }
    }

    /// The numbers, or `nil` when there is no direction.
    package var values: [Float]? {
        guard case .unit(let values) = self else { return nil }
        return values
    }
}
