import CLibPQ
import KelterModel

/// The answer of one statement, in binary format.
///
/// Lives inside one use of a connection.
///
/// Columns are read by position with the type the statement gives them; a NULL is `nil`.
struct Rows: ~Copyable {
    private let result: OpaquePointer

    /// Takes over a `PGresult`.
    init(_ result: OpaquePointer) {
        self.result = result
    }

    deinit {
        PQclear(result)
    }

    /// The number of rows returned.
    var count: Int { Int(PQntuples(result)) }

    /// The number of columns.
    var columns: Int { Int(PQnfields(result)) }

    /// The number of rows a statement without answer inserted, updated or deleted.
    var affected: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }

    private func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer? {
        let (row, column) = (CInt(truncatingIfNeeded: row), CInt(truncatingIfNeeded: column))
        guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else { return nil }
        return UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column)))
    }

    /// A `text` or `varchar` value.
    func text(_ row: Int, _ column: Int) -> String? {
        bytes(row, column).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A `smallint`, `integer` or `bigint` value.
    func int(_ row: Int, _ column: Int) -> Int? {
        guard let value = bytes(row, column) else { return nil }
        return switch value.count {
        case 2: Int(Int16(bigEndian: value.loadUnaligned(as: Int16.self)))
        case 4: Int(Int32(bigEndian: value.loadUnaligned(as: Int32.self)))
        case 8: Int(Int64(bigEndian: value.loadUnaligned(as: Int64.self)))
        default: nil
        }
    }

    /// A `boolean` value.
    func bool(_ row: Int, _ column: Int) -> Bool? {
        bytes(row, column).map { $0.first == 1 }
    }

    /// A `real` or `double precision` value.
    func double(_ row: Int, _ column: Int) -> Double? {
        guard let value = bytes(row, column) else { return nil }
        return switch value.count {
        case 4: Double(Float(bitPattern: UInt32(bigEndian: value.loadUnaligned(as: UInt32.self))))
        case 8: Double(bitPattern: UInt64(bigEndian: value.loadUnaligned(as: UInt64.self)))
        default: nil
        }
    }

    /// A `uuid` value.
    func uuid(_ row: Int, _ column: Int) -> RowID? {
        guard let value = bytes(row, column), value.count == 16 else { return nil }
        return RowID(
            high: UInt64(bigEndian: value.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: value.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }

    /// A `bytea` value of 32 bytes.
    func hash(_ row: Int, _ column: Int) -> ContentHash? {
        bytes(row, column).flatMap { ContentHash(bytes: $0) }
    }

    /// A `bytea` value.
    func data(_ row: Int, _ column: Int) -> [UInt8]? {
        bytes(row, column).map { Array($0) }
    }

    /// A `jsonb` value.
    func json(_ row: Int, _ column: Int) -> JSONValue? {
        guard let value = bytes(row, column), value.first == 1 else { return nil }
        return try? JSONReader.read(Array(value.dropFirst()))
    }

    /// A `real[]` value of one dimension without NULL: five words of header, then length and bits of each element.
    func reals(_ row: Int, _ column: Int) -> [Float]? {
        guard let value = bytes(row, column), value.count >= 20 else { return nil }
        return (0..<(value.count - 20) / 8).map { index in
            Float(bitPattern: UInt32(bigEndian: value.loadUnaligned(fromByteOffset: 24 + index * 8, as: UInt32.self)))
        }
    }

    /// Whether the value is NULL.
    func isNull(_ row: Int, _ column: Int) -> Bool {
        bytes(row, column) == nil
    }

    /// A pgvector value.
    func vector(_ row: Int, _ column: Int) -> [Float]? {
        guard let value = bytes(row, column), value.count >= 4 else { return nil }
        let count = (value.count - 4) / 4
        return (0..<count).map { index in
            Float(bitPattern: UInt32(bigEndian: value.loadUnaligned(fromByteOffset: 4 + index * 4, as: UInt32.self)))
        }
    }
}

extension Connection {
    /// Runs one statement without parameters and returns its rows as text; a NULL is `nil`.
    func textRows(_ sql: String) throws(DatabaseFailure) -> [[String?]] {
        let rows = try query(sql, resultFormat: 0)
        return (0..<rows.count).map { row in (0..<rows.columns).map { rows.text(row, $0) } }
    }
}
