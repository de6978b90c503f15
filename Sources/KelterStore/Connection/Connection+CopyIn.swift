import CLibPQ
import KelterModel

extension Connection {
    /// Sends rows by binary COPY, in pieces of about 128 KiB.
    ///
    /// - Parameters:
    ///   - sql: `COPY … FROM STDIN (FORMAT binary)`.
    ///   - count: How many rows follow.
    ///   - write: Appends the field count and the fields of one row.
    /// - Throws: ``DatabaseFailure``; the session is usable again unless the connection broke.
    func copy(
        _ sql: String,
        count: Int,
        _ write: (Int, inout BinaryBuffer) -> Void
    ) throws(DatabaseFailure) {
        try beginCopy(sql, PGRES_COPY_IN)
        do throws(DatabaseFailure) {
            try sendRows(count: count, write)
        } catch {
            // The first failure is the one to report; the server's complaint about the broken COPY is not.
            if PQputCopyEnd(handle, "the client gave up") == 1 { _ = try? finish() }
            throw error
        }
        guard PQputCopyEnd(handle, nil) == 1 else { throw lost() }
        _ = try finish()
    }

    /// Brings the session into a COPY, in the direction that the status names.
    func beginCopy(_ sql: String, _ direction: ExecStatusType) throws(DatabaseFailure) {
        try checkSignal()
        try send { PQsendQuery($0, sql) }
        try waitForResult()
        guard let answer = PQgetResult(handle) else { throw lost() }
        guard PQresultStatus(answer) == direction else {
            let failure = Self.failure(answer)
            PQclear(answer)
            _ = try finish()
            throw failure
        }
        PQclear(answer)
    }

    private func sendRows(count: Int, _ write: (Int, inout BinaryBuffer) -> Void) throws(DatabaseFailure) {
        var buffer = BinaryBuffer(capacity: 192 * 1024)
        buffer.append(Self.copySignature)
        for index in 0..<count {
            write(index, &buffer)
            if buffer.count >= 128 * 1024 {
                try checkSignal()
                try sendCopyData(&buffer)
            }
        }
        buffer.append(Int16(-1))
        try sendCopyData(&buffer)
    }

    /// The header of binary COPY: signature, flags, length of the header extension.
    private static let copySignature =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [UInt8](repeating: 0, count: 8)

    private func sendCopyData(_ buffer: inout BinaryBuffer) throws(DatabaseFailure) {
        let code = buffer.withBytes { bytes in
            PQputCopyData(
                handle,
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                CInt(truncatingIfNeeded: bytes.count)
            )
        }
        guard code == 1 else { throw lost() }
        buffer.removeAll()
    }
}
