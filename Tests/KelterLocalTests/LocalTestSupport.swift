import Glibc
import KelterModel
import Testing

@testable import KelterLocal

/// A home for one test, removed with everything in it.
final class TemporaryHome: Sendable {
    let path: String
    let paths: LocalPaths

    /// Makes the directory; the parts are this machine's, filled by `make deps`, unless others are given.
    init(parts: String? = nil) throws {
        var template = Array("/tmp/kelter-home-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try #require(chmod(path, 0o755) == 0)
        paths = LocalPaths(home: path, parts: parts ?? Self.machineParts)
    }

    deinit {
        // What a failed test left running.
        if let pid = PostgresCluster.runningPostmaster(directory: paths.postgresDirectory) { kill(pid, SIGQUIT) }
        let state = EmbeddingEndpointState(paths: paths)
        if state.isAlive, let record = state.read() { kill(record.pid, SIGKILL) }
        _ = try? ChildProcess.run(["rm", "-rf", path])
    }

    static var machineParts: String {
        LocalPaths.defaultParts(
            environment: ["KELTER_PARTS", "XDG_DATA_HOME", "HOME"].reduce(into: [:]) { environment, name in
                environment[name] = getenv(name).map { String(cString: $0) }
            }
        )
    }
}

/// The built `kelter`, which stands beside the test bundle.
func kelterExecutable() throws -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    try #require(count > 0)
    let bundle = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let executable = bundle.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/kelter"
    try #require(access(executable, X_OK) == 0, "build the product `kelter` first")
    return executable
}

/// Runs a query with the embedded psql; the rows, without decoration.
func query(_ sql: String, at url: String) throws -> String {
    let psql = try PostgresInstallation(parts: TemporaryHome.machineParts).program("psql")
    let (status, output) = try ChildProcess.run([psql, url, "--no-psqlrc", "-tAc", sql])
    try #require(status == 0, "\(output)")
    return trimmed(output)
}

/// One HTTP exchange with a loopback server; the status and the JSON answer.
func exchange(_ method: String, _ url: String, _ body: String = "") throws -> (status: Int, body: JSONValue) {
    let rest = url.dropFirst("http://127.0.0.1:".count)
    let port = try #require(UInt16(rest.prefix { $0 != "/" }))
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    let status = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(status == 0)
    let path = rest.drop { $0 != "/" }
    let head =
        "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    let request = Array((head + body).utf8)
    try #require(send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 { answer += buffer[..<count] }
    let text = String(decoding: answer, as: UTF8.self)
    let code = try #require(Int(text.split(separator: " ").dropFirst().first ?? ""))
    let end = try #require(text.utf8.indices.first { text.utf8[$0...].starts(with: "\r\n\r\n".utf8) })
    return (code, try JSONReader.read(Array(text.utf8[end...].dropFirst(4))))
}
