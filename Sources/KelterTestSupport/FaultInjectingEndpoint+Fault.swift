extension FaultInjectingEndpoint {
    /// One way of going wrong.
    package enum Fault: Sendable {
        /// Another status than 200, with header fields such as `Retry-After`.
        case status(Int, headers: [(name: String, value: String)] = [], body: String = "{}")
        case tooFewItems
        case tooManyItems
        case duplicateIndex
        /// Items in another order, each with its right index: no fault for a client that reads `index`.
        case shuffledItems
        case indexOutOfRange
        case missingIndex
        /// One number too few: in this item, or in all.
        case wrongWidth(item: Int?)
        /// Base64 of float64 numbers.
        case float64
        /// Base64 of big-endian float32 numbers.
        case bigEndian
        /// Base64 whose bytes are no whole number of float32.
        case oddLength
        /// Base64 with a character that is none of its alphabet.
        case invalidBase64
        /// NaN in base64, null among numbers.
        case notANumber(item: Int)
        /// No vector at all: null.
        case nullVector(item: Int)
        /// Infinity in base64, 1e999 among numbers; with or without a minus sign.
        case infinity(item: Int, isNegative: Bool = false)
        case zeroVector(item: Int)
        /// The right reply's first bytes as a whole body.
        case cutJSON(after: Int)
        /// The connection ends after so many bytes of the body.
        case cutConnection(after: Int)
        /// The right reply with a semicolon in the place of its first colon.
        case malformedJSON
        /// The right reply as another media type, or, if it is empty, as none.
        case contentType(String)
        /// Status 200 with an error object.
        case errorBody
        /// A page, called HTML or something else.
        case html(as: String = "text/html")
        case endless
        /// The right reply in pieces.
        case drip(bytes: Int, pause: Duration)
        case redirect(to: String = "http://127.0.0.1:9/embeddings")
        case hang
        case reset
        case noReply
    }

    /// Which request meets which fault; requests count from 0 in the order of arrival.
    package struct Script: Sendable {
        let fault: @Sendable (Int) -> Fault?

        package init(_ fault: @escaping @Sendable (Int) -> Fault?) {
            self.fault = fault
        }

        package static let none = Self { _ in nil }

        /// Faults of single requests.
        package static func at(_ faults: [Int: Fault]) -> Self {
            Self { faults[$0] }
        }

        /// The same fault for all requests of a range.
        package static func requests(_ range: some RangeExpression<Int> & Sendable, _ fault: Fault) -> Self {
            Self { range.contains($0) ? fault : nil }
        }

        /// One of some faults for a part of all requests, chosen by request number and seed.
        package static func fraction(_ fraction: Double, seed: UInt64, of faults: [Fault]) -> Self {
            Self { number in
                var generator = SplitMix64(state: seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
                guard !faults.isEmpty, Double(generator.next() >> 11) * 0x1p-53 < fraction else { return nil }
                return faults[Int(generator.next() % UInt64(faults.count))]
            }
        }
    }
}
