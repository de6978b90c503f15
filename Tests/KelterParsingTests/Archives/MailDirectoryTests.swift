import Foundation
import KelterModel
import KelterParsing
import Testing

@Suite("Attachments and mailboxes")
struct MailDirectoryTests {
    private func contents(_ text: String, _ name: String, _ limits: ArchiveLimits = .init()) throws -> [String] {
        try ArchiveSamples.with(Array(text.utf8), name) { path in
            let format = try #require(ArchiveFormat(fileName: name))
            do {
                let archive = try Archive(path: path, format: format, limits: limits)
                return try archive.entries().map { entry in
                    guard case .member(let member) = entry else { return "\(entry)" }
                    // As another process reads it.
                    let again = try #require(ArchiveMember(member.json))
                    var bytes: [UInt8] = []
                    try archive.read(again) { bytes.append(contentsOf: $0) }
                    return "\(member.name): \(String(decoding: bytes, as: UTF8.self).prefix(40))"
                }
            } catch let error as KelterError {
                return [error.code.rawValue]
            }
        }
    }

    @Test("What is attached to a message is found, also in one that was forwarded, and lies below it")
    func attachments() throws {
        #expect(
            try contents(MailTests.message, "a.eml") == [
                "Preis €.txt: D\u{FFFD}nne", "Langer Name.md: # Titel\n\nText\n",
                "scan.eml: Subject: Innen\nContent-Type: multipart/m", "scan.eml/_x_tief.txt: Tief\n",
            ]
        )
        #expect(try contents("To: x\n\nText", "a.eml") == [])
        #expect(try contents("Nur Text", "a.eml") == [])
        #expect(try contents("", "a.eml") == [])
    }

    @Test("The messages of a mailbox are divided at their first lines", arguments: ["\n", "\r\n"])
    func mailbox(lineEnd: String) throws {
        let mail = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment\n\nx\n--b--\n"
        let text =
            "From a@b Mon\nSubject: A\n\nText\nFrom here on\n\nFrom c@d Tue\nSubject: B\n\(mail)\nFrom e@f\nTo: C\n"
            .replacingOccurrences(of: "\n", with: lineEnd)
        #expect(
            try contents(text, "a.mbox").map { $0.split(separator: lineEnd)[0] }
                == ["1.eml: From a@b Mon", "2.eml: From c@d Tue", "2.eml/part-1: x", "3.eml: From e@f"]
        )
        // Around the border of the pieces that are read.
        for padding in 65_500..<65_540 {
            let text = "From a\n\n" + String(repeating: "x", count: padding) + "\n\nFrom b\n\ny\n"
            #expect(try contents(text, "a.mbox").count == 2)
        }
    }

    @Test("What is no mailbox, or holds too much, has a code")
    func limits() throws {
        #expect(try contents("Subject: x\n\ny", "a.mbox") == ["ARCHIVE_INVALID"])
        var limits = ArchiveLimits()
        limits.entries = 2
        let text = String(repeating: "From a\n\nx\n\n", count: 3)
        #expect(try contents(text, "a.mbox", limits) == ["ARCHIVE_LIMIT"])
        #expect(try contents(MailTests.message, "a.eml", limits) == ["ARCHIVE_LIMIT"])
    }
}
