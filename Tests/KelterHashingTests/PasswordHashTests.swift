import KelterHashing
import KelterModel
import Testing

@Suite("Password hashes")
struct PasswordHashTests {
    /// By Python 3.11's `hashlib.pbkdf2_hmac`, and the same from Django 5.2.19's `PBKDF2PasswordHasher().encode`.
    @Test(
        "Python's and Django's vectors match, are printed as read, and refuse another password",
        arguments: [
            (
                "correct horse battery staple",
                "pbkdf2_sha256$1000$aB3dE6gH9jK2mN5pQ8sT1v$KaaxFRBXIF5/1DUSWy8WQBswEPExkczgAY3pSJKLNj8="
            ),
            ("Fäßchen-Öl 🍇", "pbkdf2_sha256$20$seasalt$cxGFjTYXQBZvN7LBLaJwGdwuhGIi9r1n4huzaoRx5DQ="),
            ("", "pbkdf2_sha256$1$seasalt2$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMnE="),
            ("Passwört", "pbkdf2_sha256$3$Salz-ü$tDMs5YlNAUPFodlgktADMumrzC1vyN7NYp2DSFvzL5Y="),
            ("a\u{0}b", "pbkdf2_sha256$5$seasalt$MrgLQSRK3R/CqCMPJDoIf3dTukxaQqiU346kgtBR9mE="),
            // Longer than SHA-256's block, which HMAC hashes first.
            (String(repeating: "x", count: 200), "pbkdf2_sha256$7$Zz$Z1vMrItFrrxZybeEbG2yOg+N+NIPanw26nEuNOCegp0="),
        ]
    )
    func vectors(password: String, encoded: String) throws {
        let hash = try #require(PasswordHash(encoded: encoded))
        #expect(hash.matches(password))
        #expect(!hash.matches(password + "x"))
        #expect(Array(hash.encoded.utf8) == Array(encoded.utf8))
    }

    @Test("Django's make_password with its own settings matches")
    func django() throws {
        let encoded = "pbkdf2_sha256$1000000$Vtt1ySneRYId7jsPFTm7tu$iSsxsFf0iXOMYSVqwseaA2q372YSPWcqHRiDTPz47is="
        #expect(try #require(PasswordHash(encoded: encoded)).matches("lètmein"))
        #expect(PasswordHash.defaultIterations == 1_000_000)
    }

    @Test("canonically equivalent passwords differ, as in Django")
    func normalisation() throws {
        let salt = "pbkdf2_sha256$100$0123456789012345678901$"
        let composed = try #require(PasswordHash(encoded: salt + "XjpGx+7eChJGl7LY2HLFf0C1fsBrWphr0Lt7vNugWdk="))
        let decomposed = try #require(PasswordHash(encoded: salt + "QknsnXnfzY+zgn1uR7cO2cxCZjXuKEqvUyXAoeIeYoo="))
        #expect(composed.matches("é") && !composed.matches("e\u{301}"))
        #expect(decomposed.matches("e\u{301}") && !decomposed.matches("é"))
    }

    @Test("a made hash matches its password only, also after storing", arguments: ["", "Schlüssel", "a$b", " a "])
    func roundTrip(password: String) throws {
        let hash = try PasswordHash(password: password, iterations: 10)
        let stored = try #require(PasswordHash(encoded: hash.encoded))
        #expect(hash.matches(password) && stored.matches(password))
        #expect(!stored.matches(password + " ") && !stored.matches(password.uppercased() + "?"))
        #expect(stored.encoded == hash.encoded)
    }

    @Test("hashes have Django's form, and each its own salt")
    func salts() throws {
        let salts = try (0..<50).map { _ in
            let fields = try PasswordHash(password: "same", iterations: 1).encoded.split(separator: "$")
            try #require(fields.count == 4)
            #expect(fields[0] == "pbkdf2_sha256" && fields[1] == "1" && fields[3].count == 44)
            #expect(fields[2].utf8.count == 22)
            #expect(fields[2].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) })
            return fields[2]
        }
        #expect(Set(salts).count == 50)
        // Each of 62 letters is missing from 1 100 with a probability of 2e-8.
        #expect(Set(salts.joined()).count == 62)
    }

    @Test(
        "other texts are no hashes",
        arguments: [
            "", "$", "$$$", "!", "!aB3dE6gH9jK2mN5pQ8sT1v", "secret",
            "pbkdf2_sha1$1$salt$\(digest)", "PBKDF2_SHA256$1$salt$\(digest)", " pbkdf2_sha256$1$salt$\(digest)",
            "argon2$1$salt$\(digest)", "bcrypt_sha256$$2b$12$abc", "md5$salt$0123456789abcdef0123456789abcdef",
            "pbkdf2_sha256$1$salt", "pbkdf2_sha256$1$\(digest)", "pbkdf2_sha256$1$salt$", "pbkdf2_sha256$1$$\(digest)",
            "pbkdf2_sha256$1$sa$lt$\(digest)", "pbkdf2_sha256$1$salt$\(digest)$",
            "pbkdf2_sha256$0$salt$\(digest)", "pbkdf2_sha256$-1$salt$\(digest)", "pbkdf2_sha256$+1$salt$\(digest)",
            "pbkdf2_sha256$01$salt$\(digest)", "pbkdf2_sha256$1 $salt$\(digest)", "pbkdf2_sha256$$salt$\(digest)",
            "pbkdf2_sha256$1e3$salt$\(digest)", "pbkdf2_sha256$0x1$salt$\(digest)", "pbkdf2_sha256$١$salt$\(digest)",
            "pbkdf2_sha256$10000001$salt$\(digest)", "pbkdf2_sha256$99999999999999999999$salt$\(digest)",
            // White space, no padding, base64url, 31 and 33 bytes, stray bits in the last digit, padding inside.
            "pbkdf2_sha256$1$salt$\(digest)\n", "pbkdf2_sha256$1$salt$ \(digest)",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMnE",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMs_nE=",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMg==",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMnEA",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMnF=",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsM==A",
            "pbkdf2_sha256$1$salt$\(String(repeating: "=", count: 44))",
            "pbkdf2_sha256$1$salt$APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMü=",
        ]
    )
    func malformed(text: String) {
        #expect(PasswordHash(encoded: text) == nil)
    }

    private static let digest = "APClfiMMiXsoP558QIwyaC4K82I6uEogz22UXBMsMnE="

    @Test("the bounds of the iterations are read")
    func bounds() {
        #expect(PasswordHash(encoded: "pbkdf2_sha256$1$s$\(Self.digest)") != nil)
        #expect(PasswordHash(encoded: "pbkdf2_sha256$10000000$s$\(Self.digest)") != nil)
    }

    @Test("iterations out of range are refused", arguments: [Int.min, -1, 0, 10_000_001, Int.max])
    func iterations(count: Int) throws {
        let error = try #require(throws: KelterError.self) { try PasswordHash(password: "a", iterations: count) }
        #expect(error.code == .settingInvalid)
    }

    @Test("a description shows neither salt nor digest")
    func description() throws {
        let hash = try #require(PasswordHash(encoded: "pbkdf2_sha256$1$seasalt2$\(Self.digest)"))
        var dumped = ""
        dump(hash, to: &dumped)
        for text in ["\(hash)", String(reflecting: hash), String(reflecting: [hash]), dumped] {
            #expect(text.contains("pbkdf2_sha256$1$…"))
            #expect(!text.contains("seasalt2") && !text.contains("APCl"))
        }
        #expect(Mirror(reflecting: hash).children.isEmpty)
    }
}
