import Glibc
import KelterModel
import Testing

@testable import KelterSettings

@Suite struct EndpointSettingsTests {
    private static let key = "-----BEGIN PRIVATE KEY-----\nZ2VoZWlt\n-----END PRIVATE KEY-----\n"
    private static let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    private static let base = ["LITELLM_BASE_URL": "https://llm.example/v1"]

    /// A directory of its own for files of one test.
    private struct Files {
        let directory: String

        init() throws {
            var template = Array("/tmp/kelter-settings-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            directory = template.withUnsafeBufferPointer {
                String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }

        /// Writes a file and returns its path.
        func make(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
            let path = directory + "/" + name
            let file = try #require(fopen(path, "w"))
            fputs(text, file)
            fclose(file)
            try #require(chmod(path, mode) == 0)
            return path
        }

        func remove(_ names: String...) {
            for name in names { unlink(directory + "/" + name) }
            rmdir(directory)
        }
    }

    private func failure(_ environment: [String: String]) -> KelterError? {
        do throws(KelterError) {
            _ = try Settings(environment: environment)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["sk-geheim", "sk-geheim\n", "sk-geheim\r\n", "sk-geheim\n\n"])
    func `The key may be in a file, with a line end behind it`(text: String) throws {
        let files = try Files()
        defer { files.remove("key") }
        let path = try files.make("key", text)
        let settings = try Settings(environment: ["LITELLM_MASTER_KEY_FILE": path])
        #expect(settings.endpointKey == "sk-geheim" && settings.endpoint.key == "sk-geheim")
        #expect(settings.explained.contains { $0.name == "LITELLM_MASTER_KEY_FILE" && $0.value == path })
        #expect(!settings.explained.contains { $0.value?.contains("geheim") == true })
    }

    @Test func `The key may be given once`() throws {
        let error = try #require(
            failure(["LITELLM_MASTER_KEY": "sk-geheim", "LITELLM_MASTER_KEY_FILE": "/nonexistent"])
        )
        #expect(error.code == .settingInvalid && error.subject == "LITELLM_MASTER_KEY_FILE")
        #expect(error.message.contains("LITELLM_MASTER_KEY and") && !error.description.contains("geheim"))
    }

    @Test(
        arguments: [
            0o604, 0o602, 0o606, 0o620, 0o660, 0o644, 0o777, 0o600, 0o400, 0o640, 0o440, 0o700, 0o601,
        ] as [mode_t]
    )
    func `A secret that others can read or write, or its group can write, is refused`(mode: mode_t) throws {
        let files = try Files()
        defer { files.remove("key", "client.pem") }
        let isOpen = ![0o600, 0o400, 0o640, 0o440, 0o700, 0o601].contains(mode)
        let path = try files.make("key", "sk-geheim\n", mode: mode)
        let error = failure(["LITELLM_MASTER_KEY_FILE": path])
        #expect((error != nil) == isOpen)
        if let error {
            #expect(error.code == .settingInvalid && error.subject == "LITELLM_MASTER_KEY_FILE")
            #expect(error.message.contains(path) && error.fix == "Run chmod 600 \(path).")
            #expect(!error.description.contains("geheim"))
        }
        let both = try files.make("client.pem", Self.certificate + Self.key, mode: mode)
        #expect((failure(Self.base.merging(["LITELLM_CLIENT_CERT_FILE": both]) { $1 }) != nil) == isOpen)
    }

    @Test(arguments: [
        ("", "no key"), ("\n", "no key"), ("sk geheim", "more"), ("sk-geheim\nsk-zwei\n", "more"),
        ("sk-gehei\u{E4}", "more"),
    ])
    func `A file with anything but a key is refused without a word of it`(text: String, words: String) throws {
        let files = try Files()
        defer { files.remove("key") }
        let error = try #require(failure(["LITELLM_MASTER_KEY_FILE": try files.make("key", text)]))
        #expect(error.code == .settingInvalid && error.message.contains(words))
        #expect(!error.description.contains("gehei"))
    }

    @Test(arguments: [
        "LITELLM_MASTER_KEY_FILE", "LITELLM_CA_FILE", "LITELLM_CLIENT_CERT_FILE", "LITELLM_CLIENT_KEY_FILE",
    ])
    func `A file that cannot be read is refused, whatever is in its place`(name: String) throws {
        let files = try Files()
        defer { files.remove("pipe", "client.pem") }
        let pipe = files.directory + "/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        var environment = Self.base
        if name == "LITELLM_CLIENT_KEY_FILE" {
            environment["LITELLM_CLIENT_CERT_FILE"] = try files.make("client.pem", Self.certificate)
        }
        for path in ["/nonexistent/file", files.directory, pipe, "/dev/zero"] {
            let error = failure(environment.merging([name: path]) { $1 })
            #expect(error?.code == .settingInvalid && error?.subject == name)
            #expect(error?.message.contains("\(path) cannot be read") == true, "\(String(describing: error))")
        }
    }

    @Test func `A key put into the variable for its file is not shown`() throws {
        let error = try #require(failure(["LITELLM_MASTER_KEY_FILE": "sk-geheim"]))
        #expect(error.subject == "LITELLM_MASTER_KEY_FILE" && !error.description.contains("geheim"))
        let pem = failure(Self.base.merging(["LITELLM_CLIENT_KEY_FILE": Self.key]) { $1 })
        #expect(pem?.subject == "LITELLM_CLIENT_KEY_FILE" && pem?.description.contains("Z2VoZWlt") == false)
    }

    @Test func `Certificates and their key are read from PEM`() throws {
        let files = try Files()
        defer { files.remove("ca.pem", "client.pem", "client.key", "both.pem", "locked.key", "old.key") }
        let authorities = try files.make("ca.pem", "# a comment\n" + Self.certificate, mode: 0o644)
        let certificate = try files.make("client.pem", Self.certificate, mode: 0o644)
        let key = try files.make("client.key", Self.key)
        let both = try files.make("both.pem", Self.certificate + Self.key)
        let locked = try files.make(
            "locked.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
        let old = try files.make(
            "old.key",
            "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\nMIIB\r\n-----END RSA PRIVATE KEY-----\r\n"
        )
        func settings(_ more: [String: String]) throws -> EndpointSettings {
            try Settings(environment: Self.base.merging(more) { $1 }).endpoint
        }
        let two = try settings([
            "LITELLM_CA_FILE": authorities, "LITELLM_CLIENT_CERT_FILE": certificate, "LITELLM_CLIENT_KEY_FILE": key,
        ])
        #expect(two.caFile == authorities && two.clientCertificateFile == certificate && two.clientKeyFile == key)
        #expect(try settings(["LITELLM_CLIENT_CERT_FILE": both]).clientKeyFile == nil)
        let wrong = [
            (["LITELLM_CA_FILE": key], "LITELLM_CA_FILE", "no certificate"),
            (["LITELLM_CLIENT_CERT_FILE": certificate], "LITELLM_CLIENT_CERT_FILE", "no private key"),
            (["LITELLM_CLIENT_CERT_FILE": key], "LITELLM_CLIENT_CERT_FILE", "no certificate"),
            (
                ["LITELLM_CLIENT_CERT_FILE": certificate, "LITELLM_CLIENT_KEY_FILE": certificate],
                "LITELLM_CLIENT_KEY_FILE", "no private key"
            ),
            (
                ["LITELLM_CLIENT_CERT_FILE": certificate, "LITELLM_CLIENT_KEY_FILE": locked],
                "LITELLM_CLIENT_KEY_FILE", "passphrase"
            ),
            (
                ["LITELLM_CLIENT_CERT_FILE": certificate, "LITELLM_CLIENT_KEY_FILE": old],
                "LITELLM_CLIENT_KEY_FILE", "passphrase"
            ),
            (["LITELLM_CLIENT_KEY_FILE": key], "LITELLM_CLIENT_KEY_FILE", "not allowed"),
        ]
        for (more, subject, words) in wrong {
            let error = failure(Self.base.merging(more) { $1 })
            #expect(error?.code == .settingInvalid && error?.subject == subject)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        }
    }

    @Test(arguments: [nil, "http://llm.example"])
    func `Certificates without an https address would have no effect`(base: String?) throws {
        let files = try Files()
        defer { files.remove("ca.pem") }
        let authorities = try files.make("ca.pem", Self.certificate)
        var environment = ["LITELLM_CA_FILE": authorities]
        environment["LITELLM_BASE_URL"] = base
        let error = failure(environment)
        #expect(error?.subject == "LITELLM_CA_FILE" && error?.fix?.contains("https://") == true)
    }

    @Test func `A path with other characters is quoted in the command that repairs it`() throws {
        let files = try Files()
        defer { files.remove("it's a key") }
        let path = try files.make("it's a key", "sk-geheim", mode: 0o644)
        let error = try #require(failure(["LITELLM_MASTER_KEY_FILE": path]))
        #expect(error.fix == #"Run chmod 600 '\#(files.directory)/it'\''s a key'."#)
    }
}
