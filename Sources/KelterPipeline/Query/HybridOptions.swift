package import KelterModel

/// How a question weighs meaning and words: the member `hybrid` of SPEC section 8.
package struct HybridOptions: Sendable, Equatable {
    /// The weight of meaning against words, 0 to 1; `nil` for the setting `RAG_HYBRID_ALPHA`.
    package var alpha: Double?
    /// The least score of a match by meaning or by words, 0 to 1; `nil` for the setting `RAG_MIN_SIM`.
    package var minimumSimilarity: Double?
    /// How many matches at most, 1 to 10; default 5.
    package var topK: Int
    /// Candidates by meaning, 0 to 1000; default 50.
    package var vectorLimit: Int
    /// Candidates by words, 0 to 1000; default 50.
    package var lexicalLimit: Int
    /// The least similarity by letters of a candidate that no word finds, 0 to 1; `nil` for `RAG_TRGM_LIMIT`.
    package var trigramLimit: Double?
    /// The most candidates that are scored, 1 to 2000; `nil` for both limits together.
    package var maximumCandidates: Int?

    package init(
        alpha: Double? = nil,
        minimumSimilarity: Double? = nil,
        topK: Int = 5,
        vectorLimit: Int = 50,
        lexicalLimit: Int = 50,
        trigramLimit: Double? = nil,
        maximumCandidates: Int? = nil
    ) {
        self.alpha = alpha
        self.minimumSimilarity = minimumSimilarity
        self.topK = topK
        self.vectorLimit = vectorLimit
        self.lexicalLimit = lexicalLimit
        self.trigramLimit = trigramLimit
        self.maximumCandidates = maximumCandidates
    }
}

extension HybridOptions {
    /// Reads the member `hybrid` of a query; a member that is null has its default.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/validationError``, naming the member: an unknown name, another type or
    ///   a number out of its range.
    package init(json: JSONValue) throws(KelterError) {
        self.init()
        guard let members = json.members else {
            throw queryError("hybrid", "The value is not an object.", fix: "Give a JSON object or leave it out.")
        }
        for (name, value) in members {
            switch name {
            case "alpha": alpha = try Self.number(value, name) ?? alpha
            case "min_sim": minimumSimilarity = try Self.number(value, name) ?? minimumSimilarity
            case "top_k": topK = try Self.integer(value, name, in: 1...10) ?? topK
            case "vec_limit": vectorLimit = try Self.integer(value, name, in: 0...1000) ?? vectorLimit
            case "lex_limit": lexicalLimit = try Self.integer(value, name, in: 0...1000) ?? lexicalLimit
            case "trgm_limit": trigramLimit = try Self.number(value, name) ?? trigramLimit
            case "max_candidates": maximumCandidates = try Self.integer(value, name, in: 1...2000) ?? maximumCandidates
            default:
                throw queryError(
                    "hybrid.\(shortened(name))",
                    "A query has no such option.",
                    fix: "Use alpha, min_sim, top_k, vec_limit, lex_limit, trgm_limit and max_candidates."
                )
            }
        }
    }

    private static func number(_ value: JSONValue, _ name: String) throws(KelterError) -> Double? {
        if value == .null { return nil }
        guard let number = value.double, (0...1).contains(number) else {
            let allowed = "a number from 0 to 1"
            throw queryError("hybrid.\(name)", "The value is not \(allowed).", fix: "Give \(allowed).")
        }
        return number
    }

    private static func integer(
        _ value: JSONValue,
        _ name: String,
        in range: ClosedRange<Int>
    ) throws(KelterError) -> Int? {
        if value == .null { return nil }
        // 5.0 is the same number as 5; JSON has one kind only.
        guard let number = value.double.flatMap({ Int(exactly: $0) }), range.contains(number) else {
            let allowed = "a whole number from \(range.lowerBound) to \(range.upperBound)"
            throw queryError("hybrid.\(name)", "The value is not \(allowed).", fix: "Give \(allowed).")
        }
        return number
    }
}

/// The refusal of a member of a query.
func queryError(_ subject: String, _ message: String, fix: String) -> KelterError {
    KelterError(.validationError, message, subject: subject, fix: fix)
}
