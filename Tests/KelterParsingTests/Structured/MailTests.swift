import KelterModel
import KelterParsing
import Testing

@Suite("Mail")
struct MailTests {
    @Test("A message gives its subject, its header and the better one of its texts")
    func message() throws {
        let document = try parse(Self.message)
        #expect(
            outline(document) == [
                "heading1: Angebot für Öl",
                "paragraph: From: \"Weiß, Anna\" <anna@example.org>\nTo: Büro <buero@example.org>\n"
                    + "Date: Tue, 3 Feb 2026 10:00:00 +0100\nAttachments: Preis €.txt, Langer Name.md, scan.eml",
                "heading2: Angebot für Öl > Hallo",
                "paragraph: Anbei das Angebot für Öl.",
            ]
        )
        #expect(document.title == "Angebot für Öl")
        #expect(document.repairs[.attachmentsApart] == 3)
        #expect(violations(of: document) == [])
    }

    @Test(
        "Plain texts keep their paragraphs, and what is quoted is a quotation",
        arguments: [
            (
                "Subject: A\n\nEins\nzwei\n\ndrei\n> alt\n>> älter\n\nEnde",
                ["heading1: A", "paragraph: Eins\nzwei", "paragraph: drei", "quote: alt\nälter", "paragraph: Ende"]
            ),
            ("From: a\r\n b\r\nX: y\r\n\r\nText", ["paragraph: From: a b", "paragraph: Text"]),
            (
                "Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?iso-8859-1?B?4Q==?= x =?utf-8?q?_?= =?utf-8*de?q?=C3?= =?utf-8?q?=A4?=\n\nT",
                ["heading1: Grüßeá x ä", "paragraph: T"]
            ),
            (
                "To: x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DF=\ne=20",
                ["paragraph: To: x", "paragraph: Grüße"]
            ),
            (
                "To: x\nContent-Type: text/html\nContent-Transfer-Encoding: BASE64\n\nPGI+\nYTwvYj48cD5i",
                ["paragraph: To: x", "paragraph: a", "paragraph: b"]
            ),
            (
                "To: x\nContent-Type: multipart/mixed; boundary=b\n\nVorspann\n--b\n\nEins\n--bb\n--b\nContent-Type: text/plain\n\nZwei",
                ["paragraph: To: x", "paragraph: Eins\n--bb", "paragraph: Zwei"]
            ),
            (
                "To: x\nContent-Type: multipart/alternative; boundary=\"b\"\n\n--b\nContent-Type: text/html\n\n<p>H\n--b\nContent-Type: text/plain\n\nP\n--b--\nRest",
                ["paragraph: To: x", "paragraph: H"]
            ),
            ("Subject: A\0B\u{202E}\nTo: \r\0\n\nC\0D", ["heading1: AB", "paragraph: CD"]),
            (
                "To: x\nContent-Type: a/\0b\nContent-Disposition: attachment\n\nx",
                ["paragraph: To: x\nAttachments: a/b"]
            ),
            (
                "To: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nP\n--b\nContent-Type: text/html\n\n<img>\n--b--",
                ["paragraph: To: x", "paragraph: P"]
            ),
            ("To: x\nContent-Type: multipart/mixed\n\nohne Grenze", ["paragraph: To: x", "paragraph: ohne Grenze"]),
        ] as [(String, [String])]
    )
    func texts(mail: String, expected: [String]) throws {
        let document = try parse(mail)
        #expect(outline(document) == expected)
        #expect(violations(of: document) == [])
    }

    @Test("A file that is no message is read as plain text, and a mailbox is not read at once")
    func other() throws {
        let document = try parse("Nur ein Text: so.\n\nZwei")
        #expect(outline(document) == ["paragraph: Nur ein Text: so.", "paragraph: Zwei"])
        #expect(document.repairs[.readAsPlainText] == 1)
        let error = failure { _ = try DocumentParser().parse(Array("From x\n".utf8), name: "a.mbox") }
        #expect(error?.code == .unsupportedMediaType)
        #expect(error?.fix?.contains("kelter ingest") == true)
    }

    @Test("Parts that are nested without end, and boundaries without number, cost nothing")
    func bombs() throws {
        let nested = (0..<5_000).map { "Content-Type: multipart/mixed; boundary=b\($0)\n\n--b\($0)\n" }.joined()
        let wide = "Content-Type: multipart/mixed; boundary=b\n\n" + String(repeating: "--b\n\nx\n", count: 50_000)
        for text in [nested, wide] { #expect(violations(of: try parse("To: x\n" + text)) == []) }
    }

    private func parse(_ text: String) throws -> ParsedDocument {
        try DocumentParser().parse(Array(text.utf8), name: "a.eml").document
    }

    /// A message with an alternative, a picture that is shown, three attachments and a signature.
    static let message = """
        Received: by example.org
        From: =?utf-8?Q?=22Wei=C3=9F=2C_Anna=22?= <anna@example.org>
        To: =?iso-8859-1?q?B=FCro?= <buero@example.org>
        Date: Tue, 3 Feb 2026 10:00:00 +0100
        Subject: =?utf-8?B?QW5nZWJvdCBmw7w=?=
         =?utf-8?B?ciDDlmw=?=
        MIME-Version: 1.0
        Content-Type: multipart/signed; boundary=S

        --S
        Content-Type: multipart/mixed; boundary="M M"

        --M M
        Content-Type: multipart/alternative; boundary=A

        --A
        Content-Type: text/plain

        Anbei nur Text.
        --A
        Content-Type: multipart/related; boundary=R

        --R
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        <h2>Hallo</h2><p>Anbei das Angebot f=C3=BCr =
        =C3=96l.</p>
        --R
        Content-Type: image/png; name=logo.png
        Content-ID: <logo>

        PNG
        --R--
        --A--
        --M M
        Content-Type: text/plain; charset=iso-8859-15
        Content-Disposition: attachment; filename="=?iso-8859-15?Q?Preis_=A4.txt?="
        Content-Transfer-Encoding: base64

        RPxu
        bmU=
        --M M
        Content-Type: text/markdown
        Content-Disposition: attachment; filename*0*=utf-8''Langer%20; filename*1="Name.md"
        Content-Transfer-Encoding: quoted-printable

        # Titel=0A
        Text
        --M M
        Content-Type: message/rfc822; name="scan.eml"

        Subject: Innen
        Content-Type: multipart/mixed; boundary=I

        --I

        Innerer Text
        --I
        Content-Disposition: attachment; filename="../x/tief.txt"

        Tief
        --I--

        --M M--
        --S
        Content-Type: application/pgp-signature; name=signature.asc

        XXX
        --S--
        """
}
