import Glibc
import KelterLocal
import KelterModel

/// Certificates for TLS on the loopback interface, made by the `openssl` command in a directory of their own.
///
/// One authority has signed the servers' and the client's certificates, another has signed nothing that is used. All keys
/// are of the curve P-256, so that making them takes no time.
package struct TestCertificates: Sendable {
    /// The directory with the files.
    package let directory: String

    /// The authority of all servers and of ``client``.
    package var authority: String { directory + "/authority.pem" }
    /// An authority that has nothing to do with them.
    package var otherAuthority: String { directory + "/other.pem" }
    /// A client's certificate; its key is ``clientKey``.
    package var client: String { directory + "/client.pem" }
    package var clientKey: String { directory + "/client.key" }
    /// The client's certificate and key in one file.
    package var clientWithKey: String { directory + "/both.pem" }
    /// A client's certificate with its key, signed by ``otherAuthority``.
    package var strangerWithKey: String { directory + "/stranger-both.pem" }
    /// The client's key with a passphrase.
    package var lockedKey: String { directory + "/locked.key" }

    /// The certificates a server may show.
    package enum Server: String, Sendable {
        /// For 127.0.0.1 and localhost, valid for a day.
        case good = "server"
        /// For another host.
        case otherName = "elsewhere"
        /// For 127.0.0.1, until yesterday.
        case expired
    }

    /// The certificates of this process: made on first use, gone with the process, whatever ends it.
    ///
    /// - Returns: Where the files are.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` without `openssl`.
    package static func shared() async throws -> Self {
        try await files.value
    }

    private static let files = Task { try await make() }

    @concurrent private static func make() async throws -> Self {
        var template = Array("/tmp/kelter-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw KelterError(.serviceStartFailed, "Cannot make a directory in /tmp.")
        }
        let directory = template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        // A child that waits for the end of this process, which is the end of its input, removes the directory.
        let pipe = try ChildProcess.makePipe()
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(null)
            close(pipe.reader)
        }
        _ = try ChildProcess.spawn(
            ["sh", "-c", "read -r _; rm -rf \"$1\"", "sh", directory],
            input: pipe.reader,
            output: null,
            error: null,
            newSession: true
        )
        let (status, output) = try ChildProcess.run(["sh", "-ec", script, "sh", directory])
        guard status == 0 else {
            throw KelterError(.serviceStartFailed, "The tests' certificates cannot be made: \(output.suffix(300))")
        }
        return Self(directory: directory)
    }

    private static let script = """
        cd "$1"
        umask 077
        key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
        authority() {
            key "$1"
            openssl req -x509 -new -key "$1.key" -subj "/CN=Kelter test authority $1" -days 2 -out "$1.pem"
        }
        # Name, authority, subject alternative name, days.
        signed() {
            key "$1"
            printf 'subjectAltName=%s\\n' "$3" >"$1.ext"
            openssl req -new -key "$1.key" -subj "/CN=Kelter test $1" -out "$1.csr"
            openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -extfile "$1.ext" \\
                -days "$4" -out "$1.pem"
        }
        authority authority
        authority other
        signed server authority IP:127.0.0.1,DNS:localhost 1
        signed elsewhere authority DNS:elsewhere.example 1
        signed expired authority IP:127.0.0.1,DNS:localhost -1
        signed client authority DNS:client.example 1
        signed stranger other DNS:client.example 1
        cat client.pem client.key >both.pem
        cat stranger.pem stranger.key >stranger-both.pem
        openssl pkcs8 -topk8 -in client.key -passout pass:geheim -out locked.key
        """
}
