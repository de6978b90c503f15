import Glibc
import KelterModel

/// A file that a setting names: a key, or certificates in PEM.
///
/// What is in it never reaches a message. A file with a secret must be closed to others, and to its group for writing:
/// who can change it can redirect what is paid with the key.
struct SettingFile {
    /// What stands for a secret in an explanation.
    static let mask = "********"
    /// The most bytes of a file: 8 MiB, some forty times the usual bundle of authorities.
    private static let maximumBytes = 8 << 20

    /// The permissions that open a secret: others' to read and write, and the group's to write.
    ///
    /// The group may read: orchestrators hand secrets to a user without rights of its own by its group.
    private static let openMode = S_IROTH | S_IWOTH | S_IWGRP

    private let setting: String
    private let path: String

    /// Names a file; nothing is read yet.
    init(_ setting: String, _ path: String) {
        self.setting = setting
        self.path = path
    }

    /// A path as it may be shown; a value that does not begin like one may be the key itself, put into the wrong variable.
    static func shown(_ path: String) -> String {
        path.hasPrefix("/") || path.hasPrefix(".") ? path : mask
    }
}

extension SettingFile {
    /// The text of a file with a secret, without the line end behind it.
    ///
    /// - Returns: One word of printable ASCII.
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    func secret() throws(KelterError) -> String {
        var (bytes, isOpen) = try read()
        if isOpen { throw open }
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw invalid(
                bytes.isEmpty ? "has no key in it" : "has more in it than one key",
                fix: "Write the key alone into it, in one line and without spaces."
            )
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Requires a certificate in PEM (RFC 7468).
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    func requireCertificate() throws(KelterError) {
        // PEM of OpenSSL's own kind says TRUSTED CERTIFICATE.
        guard Self.hasLine(try read().bytes, ending: "CERTIFICATE-----") else {
            throw invalid("has no certificate in it", fix: "Name a file with certificates in PEM.")
        }
    }

    /// Requires a private key in PEM that needs no passphrase, in a file that is closed to others.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/settingInvalid``.
    func requirePrivateKey() throws(KelterError) {
        let (bytes, isOpen) = try read()
        guard Self.hasLine(bytes, ending: "PRIVATE KEY-----") else {
            throw invalid(
                "has no private key in it",
                fix: "Name a file with the key in PEM in LITELLM_CLIENT_KEY_FILE."
            )
        }
        if isOpen { throw open }
        // The one is PKCS #8, the other the older way, which has its own header field.
        guard !Self.hasLine(bytes, ending: "ENCRYPTED PRIVATE KEY-----"), !Self.hasLine(bytes, ending: ",ENCRYPTED")
        else {
            throw invalid(
                "has a passphrase",
                fix: "Name a file with the key without one, for instance after openssl pkey."
            )
        }
    }

    private static func hasLine(_ bytes: [UInt8], ending: String) -> Bool {
        let ending = Array(ending.utf8)
        return bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }).contains {
            $0.suffix(ending.count) == ending[...]
        }
    }

    /// The bytes of the file, and whether others may get at them.
    private func read() throws(KelterError) -> (bytes: [UInt8], isOpen: Bool) {
        // A pipe nobody writes to must not hold the process up.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw unreadable("it is no regular file")
        }
        guard status.st_size <= Self.maximumBytes else { throw unreadable("it is too long") }
        return (try bytes(of: descriptor), status.st_mode & Self.openMode != 0)
    }

    private func bytes(of descriptor: Int32) throws(KelterError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= Self.maximumBytes {
            let count = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                if count > 0 { bytes.append(contentsOf: buffer[..<count]) }
                return count
            }
            if count == 0 { return bytes }
            if count < 0, errno != EINTR { throw unreadable(String(cString: strerror(errno))) }
        }
        throw unreadable("it is too long")
    }

    private var open: KelterError {
        invalid("holds a secret and is open to other users", fix: "Run chmod 600 \(shellWord).")
    }

    private func unreadable(_ reason: String) -> KelterError {
        invalid("cannot be read: \(reason)", fix: "Name a file that this user may read.")
    }

    /// The path, to be pasted into a command.
    private var shellWord: String {
        let isPlain = path.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || "/._-".utf8.contains($0)
        }
        return isPlain ? path : "'" + path.replacing("'", with: #"'\''"#) + "'"
    }

    private func invalid(_ what: String, fix: String) -> KelterError {
        let shown = Self.shown(path)
        let file = shown == Self.mask ? "The file it names" : "The file \(shortened(shown))"
        return KelterError(.settingInvalid, "\(file) \(what).", subject: setting, fix: fix)
    }
}
