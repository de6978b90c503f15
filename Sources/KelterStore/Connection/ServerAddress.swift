import CLibPQ
import KelterModel

/// Where a connection URL points to, in words that may be logged.
struct ServerAddress: Sendable, CustomStringConvertible {
    /// Host and database, such as `localhost:5432/rag`; never a user's password.
    let description: String

    /// Reads a PostgreSQL URL or `key=value` string without connecting.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    init(_ url: String) throws(KelterError) {
        let values = try Self.parameters(url)
        let host = values["host"] ?? values["hostaddr"] ?? "local socket"
        let port = values["port"].map { ":" + $0 } ?? ""
        description = host + port + "/" + (values["dbname"] ?? values["user"] ?? "")
    }

    /// The parameters that a PostgreSQL URL or `key=value` string sets, by libpq's names; a password may be among them.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``; libpq's own words may quote the password and are
    ///   left out.
    static func parameters(_ url: String) throws(KelterError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        let options = PQconninfoParse(url, &message)
        defer {
            PQconninfoFree(options)
            if let message { PQfreemem(message) }
        }
        guard let options else {
            throw KelterError(
                .settingInvalid,
                "The value is not a PostgreSQL connection URL.",
                subject: "RAG_DATABASE_URL",
                fix: "Write it as postgresql://user:password@host:5432/database."
            )
        }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }
}
