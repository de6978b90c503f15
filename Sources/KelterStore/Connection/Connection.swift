import CLibPQ
import Glibc
import KelterModel

/// One session with PostgreSQL, on a thread of its own.
///
/// The methods are synchronous: a closure that is isolated to the connection runs several statements without leaving
/// the thread, and cannot wait for anything else while a transaction is open.
actor Connection {
    private nonisolated let executor: ThreadExecutor
    private nonisolated let wakeUp: WakeDescriptor
    private let configuration: StoreConfiguration
    private let notices = NoticeLog()
    var handle: OpaquePointer?
    private var signal: CancellationSignal?
    /// Set by a transaction that wants to know its fate when the connection breaks during COMMIT.
    var transactionID: String?
    /// Whether this session has its staging table.
    var hasStagingTable = false
    /// The object identifier of pgvector's type in this database, once it was asked for.
    var vectorType: UInt32?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(configuration: StoreConfiguration) throws(DatabaseFailure) {
        self.configuration = configuration
        executor = try ThreadExecutor()
        do throws(DatabaseFailure) {
            wakeUp = try WakeDescriptor()
        } catch {
            executor.stop()
            throw error
        }
    }

    isolated deinit {
        PQfinish(handle)
        executor.stop()
    }

    /// Whether the session can be used again.
    var isUsable: Bool { handle != nil && PQstatus(handle) == CONNECTION_OK }

    /// Ends the session; the thread ends with the last reference.
    func close() {
        PQfinish(handle)
        handle = nil
    }

    /// Runs one use of the connection; cancelling `signal` makes the statement under way end early.
    func use<Value: Sendable>(
        _ signal: CancellationSignal,
        _ body: @Sendable (isolated Connection) throws(DatabaseFailure) -> Value
    ) -> Result<Value, DatabaseFailure> {
        signal.attach(wakeUp)
        self.signal = signal
        defer {
            // A transaction left open would lend its tenant to the next use, one left failed would refuse it.
            if isUsable, PQtransactionStatus(handle) != PQTRANS_IDLE { rollBack() }
            self.signal = nil
        }
        do throws(DatabaseFailure) {
            try connect()
            return .success(try body(self))
        } catch {
            return .failure(error)
        }
    }

    /// Server messages of severity WARNING since the last call.
    func takeWarnings() -> [String] {
        notices.take()
    }
}

extension Connection {
    private func connect() throws(DatabaseFailure) {
        guard handle == nil else { return }
        // What stands before `dbname` is a default that the URL may override; what follows it is not.
        let settings: [(String, String)] = [
            ("connect_timeout", "10"), ("keepalives_idle", "60"), ("tcp_user_timeout", "60000"),
            ("fallback_application_name", "kelter"), ("dbname", configuration.url), ("client_encoding", "UTF8"),
        ]
        let keywords = settings.map { strdup($0.0) } + [nil]
        let values = settings.map { strdup($0.1) } + [nil]
        defer { for pointer in keywords + values { free(pointer) } }
        let new = PQconnectdbParams(keywords.map { UnsafePointer($0) }, values.map { UnsafePointer($0) }, 1)
        guard PQstatus(new) == CONNECTION_OK else {
            let reason = Self.sentence(PQerrorMessage(new))
            PQfinish(new)
            throw .connection(reason)
        }
        handle = new
        // The log lives as long as the connection, which finishes the handle before it goes.
        PQsetNoticeProcessor(new, NoticeLog.receive, Unmanaged.passUnretained(notices).toOpaque())
        do throws(DatabaseFailure) {
            // Tables are always named with their schema; `public` holds the extensions' types and operators.
            try run(
                "SET search_path TO public, pg_temp; SET client_min_messages TO warning; "
                    + "SET standard_conforming_strings TO on; "
                    + "SET statement_timeout TO \(configuration.statementTimeoutMilliseconds)"
            )
        } catch {
            close()
            throw error
        }
    }

    /// Runs statements without parameters, several if separated by semicolons, and ignores their answers.
    func run(_ sql: String) throws(DatabaseFailure) {
        try checkSignal()
        try send { PQsendQuery($0, sql) }
        _ = try finish()
    }

    /// Gives up the open transaction, also for a cancelled task; a session that cannot even do that is closed.
    func rollBack() {
        signal = nil
        guard isUsable else { return }
        do throws(DatabaseFailure) {
            try run("ROLLBACK")
        } catch {
            close()
        }
    }

    /// Runs one statement with parameters and returns its rows.
    ///
    /// - Parameters:
    ///   - sql: The statement, with `$1`, `$2` … for the parameters.
    ///   - parameters: The values, sent in binary.
    ///   - resultFormat: 1 for binary rows, 0 for text.
    /// - Returns: The rows, valid as long as they are held.
    /// - Throws: ``DatabaseFailure``.
    func query(
        _ sql: String,
        _ parameters: [Parameter] = [],
        resultFormat: CInt = 1
    ) throws(DatabaseFailure) -> Rows {
        try checkSignal()
        var buffer = BinaryBuffer(capacity: 1024)
        var spans: [(offset: Int, length: Int)?] = []
        for parameter in parameters {
            let start = buffer.count
            spans.append(parameter.write(to: &buffer) ? (start, buffer.count - start) : nil)
        }
        let types = parameters.map(\.type)
        let lengths = spans.map { CInt(truncatingIfNeeded: $0?.length ?? 0) }
        let formats = [CInt](repeating: 1, count: spans.count)
        try buffer.withBytes { (bytes) throws(DatabaseFailure) in
            // An empty value still needs an address: a null pointer would be NULL.
            let values = spans.map { span in
                span.flatMap { bytes.baseAddress?.advanced(by: $0.offset).assumingMemoryBound(to: CChar.self) }
            }
            let count = CInt(truncatingIfNeeded: spans.count)
            try send { PQsendQueryParams($0, sql, count, types, values, lengths, formats, resultFormat) }
        }
        guard let rows = try finish() else { throw lost() }
        return Rows(rows)
    }

    /// Runs one statement with parameters for its effect and returns the number of rows it touched.
    @discardableResult
    func execute(_ sql: String, _ parameters: [Parameter] = []) throws(DatabaseFailure) -> Int {
        try query(sql, parameters).affected
    }

    /// Whether there is a table or view of this name, which may be qualified.
    func hasTable(_ name: String) throws(DatabaseFailure) -> Bool {
        try query("SELECT to_regclass($1) IS NOT NULL", [.text(name)]).bool(0, 0) == true
    }
}

extension Connection {
    func checkSignal() throws(DatabaseFailure) {
        if signal?.isCancelled == true { throw .interrupted }
    }

    /// The failure of a connection that broke, which is not used again.
    func lost() -> DatabaseFailure {
        let reason = handle.map { Self.sentence(PQerrorMessage($0)) } ?? "the connection is closed"
        close()
        return .connection(reason)
    }

    func send(_ command: (OpaquePointer) -> CInt) throws(DatabaseFailure) {
        guard let handle, command(handle) == 1 else { throw lost() }
    }

    /// Waits for all answers; returns the last one, which the caller clears.
    func finish() throws(DatabaseFailure) -> OpaquePointer? {
        var last: OpaquePointer?
        var failure: DatabaseFailure?
        while true {
            try waitForResult()
            guard let result = PQgetResult(handle) else { break }
            PQclear(last)
            last = result
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: break
            default: failure = failure ?? Self.failure(result)
            }
        }
        guard let failure else { return last }
        PQclear(last)
        if case .server(let state, let message) = failure {
            if state == "57014", signal?.isCancelled == true { throw .interrupted }
            if DatabaseFailure.endsSession(state) || !isUsable {
                close()
                throw .connection(message)
            }
        } else if !isUsable {
            close()
        }
        throw failure
    }

    /// Blocks until an answer is complete, asking the server to cancel once the signal says so.
    func waitForResult() throws(DatabaseFailure) {
        var hasCancelled = false
        while PQisBusy(handle) == 1 { try waitForInput(&hasCancelled) }
    }

    /// Blocks until the server has sent something, asking it once to cancel when the signal says so.
    func waitForInput(_ hasCancelled: inout Bool) throws(DatabaseFailure) {
        var descriptors = [
            pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeUp.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&descriptors, 2, -1) >= 0 else {
            if errno == EINTR { return }
            throw lost()
        }
        if descriptors[1].revents != 0 {
            wakeUp.wait()
            if signal?.isCancelled == true, !hasCancelled {
                hasCancelled = true
                cancelStatement()
            }
        }
        if descriptors[0].revents != 0, PQconsumeInput(handle) != 1 { throw lost() }
    }

    private func cancelStatement() {
        guard let cancel = PQgetCancel(handle) else { return }
        defer { PQfreeCancel(cancel) }
        // A request that fails leaves the statement to finish by itself or by its timeout.
        var reason = [CChar](repeating: 0, count: 256)
        _ = PQcancel(cancel, &reason, CInt(reason.count))
    }

    static func failure(_ result: OpaquePointer) -> DatabaseFailure {
        // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY are character macros, which Swift does not import.
        let message = sentence(PQresultErrorField(result, CInt(UInt8(ascii: "M"))))
        guard let state = PQresultErrorField(result, CInt(UInt8(ascii: "C"))) else {
            return .connection(sentence(PQresultErrorMessage(result)))
        }
        return .server(sqlState: String(cString: state), message: message)
    }

    /// libpq's words on one line, without a period at the end.
    private static func sentence(_ message: UnsafePointer<CChar>?) -> String {
        guard let message else { return "no reason given" }
        let lines = String(cString: message).split(whereSeparator: \.isNewline).map { trimmed(String($0)) }
        let text = lines.joined(separator: " ")
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }
}
