import KelterModel

/// What tells the model of a vector space from another one under the same name.
///
/// A gateway's name for a model may be pointed at another model at any time. The vectors of some fixed probe texts, kept
/// beside the name, show that.
struct ModelFingerprint: Sendable {
    /// The space's row, as far as it goes.
    struct Stamp: Sendable {
        let model: String
        /// `nil` in a space that an older version stamped.
        let fingerprint: String?
        let since: String
        let reference: [Float]
    }

    let space: VectorSpaceModel
    /// The vectors of the probe texts, all of the space's dimension.
    let reference: [[Float]]

    /// Checks the vectors of the probe texts.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/vectorDimensionMismatch`` or ``ErrorCode/embeddingInvalid``.
    init(schema: SQLIdentifier, reference: [[Float]], dimension: Int) throws(KelterError) {
        var withDirection = 0
        for vector in reference {
            if try UnitVector(normalising: vector, dimension: dimension) != .empty { withDirection += 1 }
        }
        guard withDirection > 0, withDirection == reference.count else {
            throw KelterError(
                .embeddingInvalid,
                "The endpoint returned no vector with a direction for a probe text.",
                subject: "EMBEDDINGS_MODEL_PRIMARY",
                fix: "Check the model behind the endpoint."
            )
        }
        space = VectorSpaceModel(schema: schema)
        self.reference = reference
    }

    /// The numbers of all vectors, one after the other.
    private var numbers: [Float] { reference.flatMap { $0 } }

    /// The fingerprint as an SQL expression of ``hashed``: the first 32 hexadecimal digits of its SHA-256.
    private static func expression(_ parameter: String) -> String {
        "left(encode(sha256(\(parameter)), 'hex'), 32)"
    }

    /// What the fingerprint is made from: the numbers as float32 in network order.
    private var hashed: Parameter {
        .bytes(
            numbers.flatMap { number in
                (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> UInt32(24 - 8 * $0)) }
            }
        )
    }

    static func read(_ schema: SQLIdentifier, on connection: isolated Connection) throws(DatabaseFailure) -> Stamp? {
        let rows = try connection.query(
            "SELECT model, fingerprint, \(Store.timestamp("since")), reference FROM \(schema).vector_space"
        )
        guard rows.count > 0 else { return nil }
        return Stamp(
            model: rows.text(0, 0) ?? "",
            fingerprint: rows.text(0, 1),
            since: rows.text(0, 2) ?? "",
            reference: rows.reals(0, 3) ?? []
        )
    }

    /// The smallest cosine of the angle between a vector and the stored one of the same probe text; 0 when the stored
    /// ones are of other texts or another width.
    func similarity(to stored: [Float]) -> Double {
        guard stored.count == numbers.count else { return 0 }
        var smallest = 1.0
        var position = 0
        for vector in reference {
            var (product, own, other) = (0.0, 0.0, 0.0)
            for value in vector {
                let (a, b) = (Double(value), Double(stored[position]))
                product += a * b
                own += a * a
                other += b * b
                position += 1
            }
            smallest = min(smallest, other > 0 ? product / (own * other).squareRoot() : 0)
        }
        return smallest
    }

    /// Enters the row of a space that has none; does nothing where another session is faster.
    ///
    /// - Returns: The fingerprint, when it was entered.
    func insert(_ model: String, on connection: isolated Connection) throws(DatabaseFailure) -> String? {
        let rows = try connection.query(
            """
            INSERT INTO \(space.schema).vector_space (model, fingerprint, reference)
            VALUES ($1, \(Self.expression("$2")), $3) ON CONFLICT DO NOTHING RETURNING fingerprint
            """,
            [.text(model), hashed, .reals(numbers)]
        )
        return rows.count == 0 ? nil : rows.text(0, 0)
    }

    /// Completes the row that an older version has entered; does nothing where another session is faster.
    ///
    /// - Returns: The fingerprint, when it was set.
    func complete(_ model: String, on connection: isolated Connection) throws(DatabaseFailure) -> String? {
        let rows = try connection.query(
            """
            UPDATE \(space.schema).vector_space SET fingerprint = \(Self.expression("$2")), reference = $3
            WHERE model = $1 AND fingerprint IS NULL RETURNING fingerprint
            """,
            [.text(model), hashed, .reals(numbers)]
        )
        return rows.count == 0 ? nil : rows.text(0, 0)
    }

    /// Sets another fingerprint, which counts from now on.
    ///
    /// - Returns: The fingerprint, when there was a row that this role may change.
    func replace(_ model: String, on connection: isolated Connection) throws(DatabaseFailure) -> String? {
        let rows = try connection.query(
            """
            UPDATE \(space.schema).vector_space SET fingerprint = \(Self.expression("$2")), reference = $3, since = now()
            WHERE model = $1 RETURNING fingerprint
            """,
            [.text(model), hashed, .reals(numbers)]
        )
        return rows.count == 0 ? nil : rows.text(0, 0)
    }
}
