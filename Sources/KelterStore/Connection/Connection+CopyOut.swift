import CLibPQ

extension Connection {
    /// Receives the output of a COPY piece by piece.
    ///
    /// - Parameters:
    ///   - sql: `COPY … TO STDOUT`.
    ///   - receive: Takes a piece, which is a whole line of a text format; valid during the call only.
    /// - Throws: ``DatabaseFailure``. When `receive` throws, the session is closed: nothing else would stop the server.
    func copyOut(
        _ sql: String,
        _ receive: (UnsafeRawBufferPointer) throws(DatabaseFailure) -> Void
    ) throws(DatabaseFailure) {
        try beginCopy(sql, PGRES_COPY_OUT)
        do throws(DatabaseFailure) {
            try receivePieces(receive)
        } catch {
            close()
            throw error
        }
        _ = try finish()
    }

    private func receivePieces(
        _ receive: (UnsafeRawBufferPointer) throws(DatabaseFailure) -> Void
    ) throws(DatabaseFailure) {
        var hasCancelled = false
        while true {
            var piece: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &piece, 1)
            switch length {
            case 0: try waitForInput(&hasCancelled)
            case -1: return
            case ..<0: throw lost()
            default:
                defer { PQfreemem(piece) }
                // A server that is faster than the receiver is never waited for, where a cancellation would be seen.
                try checkSignal()
                try receive(UnsafeRawBufferPointer(start: piece, count: Int(length)))
            }
        }
    }
}
