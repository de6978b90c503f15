import Foundation
import KelterModel
import KelterParsing

/// What libFuzzer's bytes are taken for; the raw value is the name by which a target is chosen.
enum FuzzTarget: String, CaseIterable {
    case txt, md, rst, adoc, html, xml, csv, json, jsonl, swift, rtf, eml, mbox, zip, pdf, docx, xlsx, pptx, odt, epub

    /// Parses the bytes; a broken promise of the document ends the process, as a finding.
    ///
    /// - Parameter bytes: A file; for office documents and books the part that has the text.
    func run(_ bytes: [UInt8]) {
        do throws(KelterError) {
            let file = file(bytes)
            if self == .mbox || self == .zip { try readMembers(of: file) }
            let result = try Self.parser.parse(file, name: "a.\(self == .zip ? "docx" : rawValue)")
            let broken = violations(of: result.document)
            precondition(broken.isEmpty, "\(broken)")
        } catch {
            precondition(error.code != .internalError, "\(error)")
        }
    }

    private static let parser = DocumentParser(pdfium: ProcessInfo.processInfo.environment["KELTER_PDFIUM"])

    /// The whole file around the part.
    private func file(_ bytes: [UInt8]) -> [UInt8] {
        let text = String(decoding: bytes, as: UTF8.self)
        return switch self {
        case .docx: OfficeSamples.word(text, styles: text, footnotes: text)
        case .xlsx: OfficeSamples.workbook([("A", text)], strings: [text], styles: text)
        case .pptx: OfficeSamples.presentation([(shapes: text, notes: text)])
        case .odt: OfficeSamples.openDocument("<office:text>\(text)</office:text>", type: "text")
        case .epub: book(text)
        default: bytes
        }
    }

    private func book(_ chapter: String) -> [UInt8] {
        OfficeSamples.package([
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", #"<container><rootfile full-path="a.opf"/></container>"#),
            (
                "a.opf",
                #"<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>"#
                    + #"<spine><itemref idref="a"/></spine></package>"#
            ),
            ("a.xhtml", chapter),
        ])
    }

    private func readMembers(of file: [UInt8]) throws(KelterError) {
        let path = "/dev/shm/kelter-fuzz-\(getpid()).\(rawValue)"
        guard let format = ArchiveFormat(fileName: path),
            FileManager.default.createFile(atPath: path, contents: Data(file))
        else { return }
        defer { try? FileManager.default.removeItem(atPath: path) }
        let archive = try Archive(path: path, format: format)
        for case .member(let member) in try archive.entries() {
            precondition(ArchiveMember(member.json) == member)
            var count = 0
            do throws(KelterError) { try archive.read(member) { count += $0.count } } catch { continue }
            precondition(count == member.size)
        }
    }

    /// What the fuzzer begins with.
    var seeds: [[UInt8]] {
        switch self {
        case .txt, .swift:
            texts([Samples.plainText, "\u{FEFF}a\r\nb\u{0}\u{202E}c"]) + [[0xFF, 0xFE, 0x41, 0, 0xE4, 0]]
        case .md: texts([Samples.markdown])
        case .rst:
            texts([
                "==\nA\n==\n\nB\n-\n- c\n\n  1. d::\n\n      e\n\n.. note:: f\n   :x: y\n\n   g `h <i>`_ :j:`k`\n\n+--+\n|l |\n+==+\n"
                    + "\n=  =\nm  n\n=  =\n\nt\n  u\n:v: w\n.. [1] x\n| y\n"
            ])
        case .adoc:
            texts([
                "= A\n:b: c\n\n== D {b}\n\n* e\n** f +\ng\n\n[cols=2]\n|===\n|h\n2+a|i\n|===\n\n----\nj\n----\n____\nk\n____\nl:: m\n\n"
                    + "n\n---\n*o* <<p,q>> link:r[s]\n"
            ])
        case .html:
            texts([Samples.html, "<main><table><caption>a</caption><tr><th>b<tr><td>c</table></main><nav>d</nav>"])
        case .epub: texts([Samples.html])
        case .xml:
            texts([
                "<?xml version='1.0' encoding='utf-8'?><!DOCTYPE a [<!ENTITY b 'c'>]><a x='1'><b>&b;&amp;</b><![CDATA[d]]></a>"
            ])
        case .csv: texts(["Name;Ort\n\"a;\"\"b\"\"\n\";c\n1,5;x\n", "a,b\tc|d\n"])
        case .json: texts([#"{"a": [1, -2.5e3, true, null, "\u00e4\ud83d\ude00"], "b": {"c": {}}}"#])
        case .jsonl: texts(["{\"a\": 1}\n[2]\n\n\"x\"\n"])
        case .rtf:
            texts([
                #"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset204 A;}}{\stylesheet{\s1 heading 1;}}\pard\s1 T\'e4\par\u-10179?"#
                    + #"\u-8704?\pard{\listtext 1}\ilvl1 a\par\trowd\trhdr\intbl b\cell c\cell\row\pard{\footnote d}{\v e}\bin3 }}}f}"#
            ])
        case .eml, .mbox:
            texts([
                """
                From x
                Subject: =?utf-8?B?w6Q=?= =?iso-8859-1?q?=E4?=
                Content-Type: multipart/mixed; boundary="b"

                --b
                Content-Type: text/html; charset=iso-8859-1
                Content-Transfer-Encoding: quoted-printable

                <p>=E4=
                --b
                Content-Disposition: attachment; filename*0*=utf-8''%C3%A4; filename*1=.txt
                Content-Transfer-Encoding: base64

                YWJj
                --b--

                From y

                z
                """
            ])
        case .docx:
            texts([
                #"<w:p><w:pPr><w:pStyle w:val="a"/><w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>"#
                    + #"<w:tbl><w:tr><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"#
            ])
        case .xlsx: texts([#"<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" s="1"><v>45000.5</v></c></row>"#])
        case .pptx: texts([#"<p:sp><p:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></p:txBody></p:sp>"#])
        case .odt:
            texts([
                #"<text:h text:outline-level="1">a</text:h><text:list><text:list-item><text:p>b</text:p></text:list-item></text:list>"#
            ])
        case .zip: files("office")
        case .pdf: files("pdf")
        }
    }

    private func texts(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    /// The sample documents of a directory.
    private func files(_ name: String) -> [[UInt8]] {
        let directory = "Samples/" + name
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { !$0.hasSuffix(".json") }.compactMap {
            FileManager.default.contents(atPath: directory + "/" + $0).map { [UInt8]($0) }
        }
    }
}
