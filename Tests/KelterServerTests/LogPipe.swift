import Glibc

/// Takes what is written to a pipe during a call.
func written(_ body: (Int32) throws -> Void) rethrows -> String {
    var ends: [Int32] = [-1, -1]
    // A pipe holds 64 KiB, more than any test writes.
    pipe(&ends)
    defer { close(ends[0]) }
    do {
        defer { close(ends[1]) }
        try body(ends[1])
    }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = read(ends[0], &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}
