import KelterModel

/// Memory that grows while values are written into it in PostgreSQL's binary format: network byte order.
///
/// Written through a raw pointer because appending byte by byte to an array costs more than the COPY itself.
struct BinaryBuffer: ~Copyable {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    /// The bytes written so far.
    private(set) var count = 0

    init(capacity: Int = 256) {
        self.capacity = max(capacity, 16)
        memory = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        memory.deallocate()
    }

    /// Forgets the content and keeps the memory.
    mutating func removeAll() {
        count = 0
    }

    /// The bytes written so far; valid during the call only.
    borrowing func withBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body(UnsafeRawBufferPointer(start: memory, count: count))
    }

    private mutating func reserve(_ bytes: Int) {
        guard count + bytes > capacity else { return }
        let grown = max(capacity * 2, count + bytes)
        let replacement = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
        replacement.copyMemory(from: memory, byteCount: count)
        memory.deallocate()
        (memory, capacity) = (replacement, grown)
    }

    mutating func append<Number: FixedWidthInteger>(_ value: Number) {
        reserve(MemoryLayout<Number>.size)
        memory.storeBytes(of: value.bigEndian, toByteOffset: count, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    mutating func append(_ id: RowID) {
        append(id.high)
        append(id.low)
    }

    mutating func append(bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        if let base = bytes.baseAddress { (memory + count).copyMemory(from: base, byteCount: bytes.count) }
        count += bytes.count
    }

    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(bytes: $0) }
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// A `jsonb` value: version 1, then the text.
    mutating func append(json: JSONValue) {
        append(UInt8(1))
        append(json.bytes(indented: false))
    }

    /// A pgvector value: dimension and an unused word of 16 bits each, then float4 (`vector_recv` in pgvector).
    mutating func append(vector: [Float]) {
        append(Int16(truncatingIfNeeded: vector.count))
        append(Int16(0))
        reserve(vector.count * 4)
        for (index, value) in vector.enumerated() {
            memory.storeBytes(of: value.bitPattern.bigEndian, toByteOffset: count + index * 4, as: UInt32.self)
        }
        count += vector.count * 4
    }

    /// A length word of -1: NULL as a field of COPY or an element of an array.
    mutating func appendNull() {
        append(Int32(-1))
    }

    /// A length word and the bytes that `write` appends.
    mutating func appendField(_ write: (inout BinaryBuffer) -> Void) {
        let start = count
        append(Int32(0))
        write(&self)
        let length = Int32(truncatingIfNeeded: count - start - 4)
        memory.storeBytes(of: length.bigEndian, toByteOffset: start, as: Int32.self)
    }
}
