/// A number for every scalar, in two levels: most blocks of 128 scalars are like another.
struct ScalarTable<Value: FixedWidthInteger & Sendable>: Sendable {
    /// The different block that stands at each place.
    private let blocks: [UInt16]
    /// The values of the different blocks, one after the other.
    private let values: [Value]

    /// Planes that hold characters: in planes 4 to 13 no scalar is assigned.
    static var planes: [Int] { [0, 1, 2, 3, 14, 15, 16] }

    /// Makes the table by asking for the value of each scalar in some planes; that of all others is zero.
    init(planes: [Int] = Self.planes, _ value: (Unicode.Scalar) -> Value) {
        var blocks = [UInt16](repeating: 0, count: 0x11_0000 / 128)
        var values = [Value](repeating: 0, count: 128)
        var known: [[Value]: UInt16] = [values: 0]
        var block = values
        for plane in planes {
            for index in plane * 512..<(plane + 1) * 512 {
                for offset in 0..<128 {
                    block[offset] = Unicode.Scalar(UInt32(index * 128 + offset)).map(value) ?? 0
                }
                if let number = known[block] {
                    blocks[index] = number
                } else {
                    blocks[index] = UInt16(known.count)
                    known[block] = blocks[index]
                    values += block
                }
            }
        }
        self.blocks = blocks
        self.values = values
    }

    /// The table as pointers, for the time of a closure.
    struct View {
        private let blocks: UnsafePointer<UInt16>
        private let values: UnsafePointer<Value>
        /// The values of the scalars below 128.
        private let ascii: UnsafePointer<Value>

        fileprivate init(_ blocks: UnsafePointer<UInt16>, _ values: UnsafePointer<Value>) {
            self.blocks = blocks
            self.values = values
            ascii = values + Int(blocks[0]) << 7
        }

        /// The value of a scalar below 128.
        @inline(__always)
        subscript(ascii byte: UInt8) -> Value { ascii[Int(byte)] }

        /// The value of a scalar, zero for a number that is none.
        @inline(__always)
        subscript(scalar: UInt32) -> Value {
            scalar < 0x11_0000 ? values[Int(blocks[Int(scalar >> 7)]) << 7 | Int(scalar & 127)] : 0
        }
    }

    /// Gives a view of the table to a closure.
    func withView<Result>(_ body: (View) -> Result?) -> Result? {
        blocks.withUnsafeBufferPointer { blocks in
            values.withUnsafeBufferPointer { values in
                guard let blocks = blocks.baseAddress, let values = values.baseAddress else { return nil }
                return body(View(blocks, values))
            }
        }
    }
}

extension Unicode.Scalar.Properties {
    /// Whether the scalar was assigned in a version of Unicode, given by its major number, or before.
    func isAssigned(upTo major: Int) -> Bool {
        age.map { $0.major <= major } ?? false
    }
}
