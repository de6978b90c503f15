import Glibc
package import KelterLocal
import KelterModel

/// The embedded PostgreSQL of this test process: started on first use, gone with the process, whatever ends it.
package enum TestServer {
    /// The parts directory of this machine, filled by `make deps`.
    package static var partsDirectory: String { paths.parts }

    /// The paths of this machine's parts with a home that no test shares.
    package static var paths: LocalPaths {
        LocalPaths(
            environment: ["KELTER_PARTS", "XDG_DATA_HOME", "HOME"].reduce(into: [:]) { environment, name in
                environment[name] = getenv(name).map { String(cString: $0) }
            }
        )
    }

    /// The superuser's connection string for the database `kelter`; make a database of your own from it.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` before `make deps`, or
    ///   ``ErrorCode/serviceStartFailed``.
    package static func postgresURL() async throws -> String {
        try await server.value
    }

    private static let server = Task {
        let server = try await GuardedServer.start(in: try makeTemporaryDirectory(), removesDirectory: true)
        return server.url
    }

    /// A new directory in `/tmp` that PostgreSQL's account can pass through.
    package static func makeTemporaryDirectory() throws -> String {
        var template = Array("/tmp/kelter-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw KelterError(.serviceStartFailed, "Cannot make a directory in /tmp.")
        }
        // PostgreSQL's account must get through; its own directories below are closed to others.
        chmod(template, 0o755)
        return template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
