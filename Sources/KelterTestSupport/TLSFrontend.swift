import Glibc
import KelterLocal
package import KelterModel

/// TLS in front of a plain server on the loopback interface, as a reverse proxy does it; a Python program of its own.
///
/// What arrives decrypted goes to the server behind it byte for byte, and only after a handshake that has succeeded: a
/// server that has got nothing shows that nothing was sent.
package final class TLSFrontend: Sendable {
    /// The versions a front end may be held to.
    package enum Version: String, Sendable {
        case oldest = "TLSv1_1"
        case tls12 = "TLSv1_2"
        case tls13 = "TLSv1_3"
    }

    /// `https://127.0.0.1:PORT`.
    package let origin: String
    private let pid: pid_t
    private let input: Int32

    /// Begins to serve on a free port, until ``stop()`` or the end of this process.
    ///
    /// - Parameters:
    ///   - port: The port of the plain server.
    ///   - certificates: Where the files are.
    ///   - server: The certificate that is shown.
    ///   - requiresClient: Whether clients must show a certificate of the authority.
    ///   - version: The only version of TLS that is spoken; default 1.2 and 1.3.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed``.
    package init(
        port: UInt16,
        certificates: TestCertificates,
        server: TestCertificates.Server = .good,
        requiresClient: Bool = false,
        version: Version? = nil
    ) async throws(KelterError) {
        let path = certificates.directory + "/" + server.rawValue
        let arguments = [
            "python3", "-I", "-c", Self.program, path + ".pem", path + ".key", String(port),
            requiresClient ? certificates.authority : "", version?.rawValue ?? "",
        ]
        (pid, input, origin) = try await Self.start(arguments)
    }

    /// Ends the program and waits for it.
    package func stop() {
        close(input)
        ChildProcess.wait(for: pid)
    }

    @concurrent private static func start(
        _ arguments: [String]
    ) async throws(KelterError) -> (pid: pid_t, input: Int32, origin: String) {
        let source = try ChildProcess.makePipe()
        let sink = try ChildProcess.makePipe()
        let pid = try ChildProcess.spawn(arguments, input: source.reader, output: sink.writer, error: STDERR_FILENO)
        close(source.reader)
        close(sink.writer)
        defer { close(sink.reader) }
        // The port is one short line, written at once.
        let line = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
            let count = read(sink.reader, buffer.baseAddress, buffer.count)
            return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
        }
        guard let port = UInt16(trimmed(line)) else {
            close(source.writer)
            ChildProcess.wait(for: pid)
            throw KelterError(.serviceStartFailed, "The tests' TLS server does not start.", subject: "python3")
        }
        return (pid, source.writer, "https://127.0.0.1:\(port)")
    }

    /// One thread a connection, which handles both directions, as an SSL object is not for two threads.
    private static let program = """
        import select, socket, ssl, sys, threading

        certificate, key, port, authority, version = sys.argv[1:6]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority)
        if version:
            if version == "TLSv1_1":
                context.set_ciphers("ALL:@SECLEVEL=0")
            import warnings
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)

        def serve(connection):
            client = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with client:
                client.settimeout(10)
                try:
                    client.do_handshake()
                except OSError:
                    # An unread rest would make the kernel send a reset, which can overtake the alert.
                    try:
                        socket.socket.shutdown(client, socket.SHUT_WR)
                        while socket.socket.recv(client, 65536):
                            pass
                    except OSError:
                        pass
                    return
                with socket.create_connection(("127.0.0.1", int(port))) as server:
                    try:
                        while True:
                            ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                            for source in ready:
                                data = source.recv(65536)
                                if not data:
                                    return
                                (server if source is client else client).sendall(data)
                    except OSError:
                        pass

        def accept():
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
        """
}
