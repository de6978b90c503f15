import KelterModel

/// A value sent beside a statement in PostgreSQL's binary format, never inside its text.
///
/// Formats: the `…recv` functions of the types in PostgreSQL's `src/backend/utils/adt`; arrays as in `array_recv`.
enum Parameter: Sendable {
    case text(String?)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case uuid(RowID?)
    case json(JSONValue)
    case bytes([UInt8])
    case texts([String?])
    case uuids([RowID?])
    case ints([Int?])
    case bools([Bool])
    case jsons([JSONValue])
    case hashes([ContentHash])
    case reals([Float])
    /// A pgvector value; its type is inferred from the cast in the statement.
    case vector([Float])
    /// An array of pgvector values, whose element type has another identifier in each database.
    case vectors([[Float]?], type: UInt32)

    /// The object identifier of the parameter's type, fixed in `pg_type.dat`; 0 lets the server infer it.
    var type: UInt32 {
        switch self {
        case .text: 25
        case .int: 20
        case .double: 701
        case .bool: 16
        case .uuid: 2950
        case .json: 3802
        case .bytes: 17
        case .texts: 1009
        case .uuids: 2951
        case .ints: 1016
        case .bools: 1000
        case .jsons: 3807
        case .hashes: 1001
        case .reals: 1021
        case .vector, .vectors: 0
        }
    }

    /// Appends the value and returns whether there is one; `false` is SQL's NULL.
    func write(to buffer: inout BinaryBuffer) -> Bool {
        switch self {
        case .text(let value):
            guard let value else { return false }
            buffer.append(value)
        case .int(let value): buffer.append(Int64(value))
        case .double(let value): buffer.append(value.bitPattern)
        case .bool(let value): buffer.append(UInt8(value ? 1 : 0))
        case .uuid(let value):
            guard let value else { return false }
            buffer.append(value)
        case .json(let value): buffer.append(json: value)
        case .bytes(let value): buffer.append(value)
        case .texts(let values):
            Self.write(values, elementType: 25, to: &buffer) { $1.append($0) }
        case .uuids(let values):
            Self.write(values, elementType: 2950, to: &buffer) { $1.append($0) }
        case .ints(let values):
            Self.write(values, elementType: 20, to: &buffer) { $1.append(Int64($0)) }
        case .bools(let values):
            Self.write(values, elementType: 16, to: &buffer) { $1.append(UInt8($0 ? 1 : 0)) }
        case .jsons(let values):
            Self.write(values, elementType: 3802, to: &buffer) { $1.append(json: $0) }
        case .hashes(let values):
            Self.write(values, elementType: 17, to: &buffer) { $1.append($0.bytes) }
        case .reals(let values):
            Self.write(values, elementType: 700, to: &buffer) { $1.append($0.bitPattern) }
        case .vector(let values): buffer.append(vector: values)
        case .vectors(let vectors, let type):
            Self.write(vectors, elementType: type, to: &buffer) { $1.append(vector: $0) }
        }
        return true
    }

    /// One dimension with lower bound 1: dimensions, has-nulls, element type, length, bound, then the elements.
    private static func write<Element>(
        _ elements: [Element?],
        elementType: UInt32,
        to buffer: inout BinaryBuffer,
        write: (Element, inout BinaryBuffer) -> Void
    ) {
        buffer.append(Int32(elements.isEmpty ? 0 : 1))
        buffer.append(Int32(elements.contains { $0 == nil } ? 1 : 0))
        buffer.append(elementType)
        guard !elements.isEmpty else { return }
        buffer.append(Int32(truncatingIfNeeded: elements.count))
        buffer.append(Int32(1))
        for element in elements {
            guard let element else {
                buffer.appendNull()
                continue
            }
            buffer.appendField { write(element, &$0) }
        }
    }
}
