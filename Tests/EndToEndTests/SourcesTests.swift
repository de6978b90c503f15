import Foundation
import Glibc
import KelterLocal
import KelterModel
import KelterStore
import KelterTestSupport
import Testing

/// Where documents come from besides directories, and what is odd among files.
@Suite("Sources of documents")
struct SourcesTests {
    @Test("the records of a JSON Lines file are documents with metadata, and a bad one costs only itself")
    func records() async throws {
        try await World.with { world in
            let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
            let path = try world.write(
                "records.jsonl",
                """
                {"text": "Die Pumpe läuft.", "external_id": "pumpe", "metadata": {"title": "Pumpe", "room": 7}}
                {"text": "Das Ventil ist zu.", "metadata": {"external_id": "ventil", "collection_id": "\(collection)"}}
                {"text": "# Kessel\\n\\nDer Kessel ist heiß.", "metadata": {"media_type": "text/markdown"}}

                {"text": 5}
                {"text": "kaputt"
                {"text": "Falsch.", "metadata": {"tags": "keine Liste"}}
                """
            )
            let result = try await world.kelter("ingest", path, "--json")
            let report = try result.json
            #expect(result.exitCode == 1 && report["found"]?.int == 6 && report["balanced"] == .bool(true))
            #expect(report["outcomes"]?["inserted"]?.int == 3)
            let failures = report["failures"]?.array?.map {
                "\($0["external_id"]?.string ?? "") \($0["code"]?.string ?? "")"
            }
            #expect(
                failures?.sorted() == [
                    "records.jsonl#5 INGEST_RECORD_INVALID", "records.jsonl#6 INGEST_RECORD_INVALID",
                    "records.jsonl#7 invalid_metadata",
                ]
            )
            let rows = try await world.rows(
                """
                SELECT external_id, coalesce(title, '-'), coalesce(collection_id::text, '-'), media_type,
                    metadata ->> 'room' FROM rag.documents ORDER BY external_id
                """
            )
            #expect(
                rows == [
                    ["pumpe", "Pumpe", "-", "text/plain", "7"],
                    ["records.jsonl#3", "Kessel", "-", "text/markdown", nil],
                    ["ventil", "-", collection, "text/plain", nil],
                ]
            )
            // Again, with one text changed.
            var text = try String(contentsOfFile: path, encoding: .utf8)
            text = text.replacingOccurrences(of: "läuft", with: "steht")
            try world.write("records.jsonl", text)
            let again = try await world.kelter("ingest", path, "--json").json
            #expect(again["outcomes"]?["replaced"]?.int == 1 && again["outcomes"]?["unchanged"]?.int == 2)
            try await IndependentCheck(world).run()
        }
    }

    @Test("attachments of mail are documents of their own, in the collection of their message")
    func mail() async throws {
        try await World.with { world in
            let collection = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
            let message = """
                Subject: Die Pumpe
                Content-Type: multipart/mixed; boundary=b

                --b

                Anbei das Protokoll.
                --b
                Content-Disposition: attachment; filename=protokoll.md
                Content-Transfer-Encoding: base64

                IyBQcm90b2tvbGwKCkRpZSBQdW1wZSBsw6R1ZnQu
                --b
                Content-Disposition: attachment; filename=film.webm
                Content-Transfer-Encoding: base64

                GkXfowAA
                --b--
                """
            try world.write("a/pumpe.eml", message)
            try world.write(
                "a/pumpe.eml.meta.json",
                #"{"external_id": "post-1", "title": "Brief", "collection_id": "\#(collection)", "room": 7}"#
            )
            try world.write("b.mbox", "From x\nSubject: Eins\n\nErste Nachricht.\n\nFrom y\n" + message)
            let result = try await world.kelter("ingest", world.documents, "--json")
            let report = try result.json
            #expect(result.exitCode == 1 && report["found"]?.int == 7 && report["balanced"] == .bool(true))
            #expect(report["outcomes"]?["inserted"]?.int == 5)
            let failures = report["failures"]?.array?.map {
                "\($0["external_id"]?.string ?? "") \($0["code"]?.string ?? "")"
            }
            #expect(
                failures?.sorted() == [
                    "a/pumpe.eml/film.webm unsupported_media_type", "b.mbox/2.eml/film.webm unsupported_media_type",
                ]
            )
            let rows = try await world.rows(
                """
                SELECT external_id, title, coalesce(collection_id::text, '-'), media_type, metadata ->> 'room',
                    metadata ->> 'attached_to' FROM rag.documents ORDER BY external_id
                """
            )
            #expect(
                rows == [
                    ["a/pumpe.eml/protokoll.md", "Protokoll", collection, "text/markdown", "7", "a/pumpe.eml"],
                    ["b.mbox/1.eml", "Eins", "-", "message/rfc822", nil, nil],
                    ["b.mbox/2.eml", "Die Pumpe", "-", "message/rfc822", nil, nil],
                    ["b.mbox/2.eml/protokoll.md", "Protokoll", "-", "text/markdown", nil, "b.mbox/2.eml"],
                    ["post-1", "Brief", collection, "message/rfc822", "7", nil],
                ]
            )
            // As they are.
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(again["outcomes"]?["unchanged"]?.int == 5)
            try await IndependentCheck(world).run()
        }
    }

    @Test("what had to be repaired in a document is in its metadata, and stays there until its content is another")
    func repairs() async throws {
        try await World.with { world in
            try world.write("seite.txt", "<!DOCTYPE html><nav>Start</nav><main><p>Die Pumpe läuft.</p></main>")
            try world.write("gut.txt", "Das Ventil ist zu.")
            func stored() async throws -> [[String?]] {
                try await world.rows(
                    "SELECT external_id, metadata -> 'parser_repairs', metadata ->> 'room' FROM rag.documents ORDER BY 1"
                )
            }
            try await world.succeed("ingest", world.documents)
            let counts = #"{"boilerplate_removed": 5, "media_type_contradicted": 1}"#
            #expect(try await stored() == [["gut.txt", nil, nil], ["seite.txt", counts, nil]])
            try world.write("seite.txt.meta.json", #"{"room": 7}"#)
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(report["outcomes"]?["updated"]?.int == 1)
            #expect(try await stored() == [["gut.txt", nil, nil], ["seite.txt", counts, "7"]])
            try world.write("seite.txt", "Die Pumpe steht.")
            try await world.succeed("ingest", world.documents)
            #expect(try await stored() == [["gut.txt", nil, nil], ["seite.txt", nil, "7"]])
            try await IndependentCheck(world).run()
        }
    }

    @Test("patterns and lists choose files; a list may name what is not there")
    func lists() async throws {
        try await World.with { world in
            for name in ["a/eins.txt", "a/b/zwei.txt", "a/b/drei.md", "c/vier.txt"] {
                try world.write(name, "Inhalt von \(name).")
            }
            let pattern = try await world.kelter("ingest", world.documents + "/a/**/*.txt", "--json").json
            #expect(pattern["outcomes"]?["inserted"]?.int == 2)
            let list = FileManager.default.temporaryDirectory.appending(path: "kelter-\(UUID().uuidString).list").path
            defer { try? FileManager.default.removeItem(atPath: list) }
            let names = ["a/b/drei.md", "c/vier.txt", "c/fehlt.txt"].map { "\(world.documents)/\($0)" }
            try names.joined(separator: "\n").write(toFile: list, atomically: true, encoding: .utf8)
            let result = try await world.kelter("ingest", "--files-from", list, "--json")
            let report = try result.json
            #expect(result.exitCode == 1 && report["outcomes"]?["inserted"]?.int == 2)
            #expect(report["failures"]?[0]?["code"]?.string == "missing_file")
            #expect(report["failures"]?[0]?["external_id"]?.string == names[2])
            // The list is in the ledger: what has ended is known by it.
            let run = try #require(report["run_id"]?.string)
            #expect(try await world.kelter("ingest", "--resume", run, "--json").json["outcomes"] == report["outcomes"])
            // None of them says what is gone.
            for inputs in [["--files-from", list], [world.documents + "/a/*.txt"], [names[0]]] {
                for option in ["--sync", "--watch"] {
                    let refused = try await KelterProcess.run(
                        ["ingest", option] + inputs,
                        environment: world.environment
                    )
                    #expect(refused.exitCode == 2 && refused.messages.contains(option))
                }
            }
        }
    }

    @Test("odd files have a defined outcome each, and cost nothing else")
    func oddFiles() async throws {
        try await World.with { world in
            try world.write("gut.txt", "Ein guter Text.")
            try world.write("leer.txt", "")
            let long = String(repeating: "n", count: 251) + ".txt"
            try world.write(long, "Ein langer Name.")
            // A path of which no part is too long for the file system, but the whole is for an index.
            let deep = (0..<9).map { _ in String(repeating: "t", count: 240) }.joined(separator: "/")
            try world.write(deep + "/tief.txt", "Ein tiefer Text.")
            try world.write("zeile\numbruch.txt", "Ein Name mit Umbruch.")
            // An accent without a letter, which makes one character with the slash before it.
            try world.write("\u{301}akzent.txt", "Ein Name mit Akzent.")
            try world.write(".versteckt", "x")
            for (name, target) in [("schleife", "."), ("verweis.txt", "gut.txt"), ("tot.txt", "/nirgends")] {
                try FileManager.default.createSymbolicLink(
                    atPath: world.documents + "/" + name,
                    withDestinationPath: target
                )
            }
            #expect(mkfifo(world.documents + "/rohr", 0o600) == 0)
            let name = (Array(world.documents.utf8) + [0x2F, 0x62, 0xFF, 0]).map { CChar(bitPattern: $0) }
            close(open(name, O_CREAT | O_WRONLY, 0o600))
            try world.write("geschlossen.txt", "Ein Geheimnis.")
            try world.write("zu/innen.txt", "Ein Geheimnis.")
            chmod(world.documents + "/geschlossen.txt", 0)
            chmod(world.documents + "/zu", 0)
            defer { chmod(world.documents + "/zu", 0o700) }
            let report = try await world.kelter("ingest", world.documents, "--json").json
            #expect(report["balanced"] == .bool(true))
            func list(_ key: String, _ code: String) -> [String: String] {
                (report[key]?.array ?? []).reduce(into: [:]) {
                    $0[$1["external_id"]?.string ?? ""] = $1[code]?.string
                }
            }
            var failures = list("failures", "code")
            // Root may read everything.
            if geteuid() == 0 {
                #expect(report["outcomes"]?["inserted"]?.int == 5 && report["outcomes"]?["duplicate"]?.int == 1)
            } else {
                #expect(failures.removeValue(forKey: "geschlossen.txt") == "INGEST_FILE_UNREADABLE")
                #expect(failures.removeValue(forKey: "zu") == "INGEST_FILE_UNREADABLE")
                #expect(report["outcomes"]?["inserted"]?.int == 4)
            }
            // Its name is too long for the ledger as well: a digest stands for the rest.
            let tooLong = try #require(failures.keys.first { $0.hasPrefix("tttt") })
            #expect(failures.removeValue(forKey: tooLong) == "STORE_REJECTED", "\(failures)")
            #expect(failures.count == 1 && failures.values.first == "INGEST_FILE_NAME_NOT_UTF8")
            #expect(
                list("skipped", "reason") == [
                    "leer.txt": "no_text", ".versteckt": "hidden", "schleife": "symbolic_link",
                    "verweis.txt": "symbolic_link", "tot.txt": "symbolic_link", "rohr": "not_a_regular_file",
                ]
            )
            let names = try await world.rows("SELECT external_id FROM rag.documents")
            #expect(names.contains([long]) && names.contains(["zeile\numbruch.txt"]))
            #expect(names.contains(["\u{301}akzent.txt"]))
            try await IndependentCheck(world).run()
        }
    }

    @Test("two paths with the same bytes are one document with two sources; a move embeds nothing")
    func severalSources() async throws {
        try await World.with { world in
            try world.write("a/plan.txt", "Der Plan für den Umbau.")
            try world.write("b/kopie.txt", "Der Plan für den Umbau.")
            try world.write("c/anders.txt", "Etwas ganz anderes.")
            func sync(_ expected: [String: Int], _ documents: Int, sources: Int) async throws {
                let sent = world.endpoint.log.texts.count
                let report = try await world.kelter(
                    "ingest",
                    world.documents,
                    "--sync",
                    "--max-delete",
                    "100%",
                    "--json"
                ).json
                for (outcome, count) in expected {
                    #expect(report["outcomes"]?[outcome]?.int == count, "\(outcome): \(report)")
                }
                #expect(report["balanced"] == .bool(true))
                #expect(
                    try await world.count("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL") == documents
                )
                #expect(try await world.count("SELECT count(*) FROM rag.sources") == sources)
                if expected["inserted"] == nil { #expect(world.endpoint.log.texts.count == sent) }
            }
            try await sync(["inserted": 2, "duplicate": 1], 2, sources: 3)
            // One path goes: the document stays, under the other's name.
            try FileManager.default.removeItem(atPath: world.documents + "/a/plan.txt")
            try await sync(["deleted": 1, "unchanged": 1], 2, sources: 2)
            #expect(try await world.rows("SELECT external_id FROM rag.documents ORDER BY 1")[0] == ["b/kopie.txt"])
            // A move.
            try FileManager.default.moveItem(
                atPath: world.documents + "/c/anders.txt",
                toPath: world.documents + "/b/bewegt.txt"
            )
            try await sync(["deleted": 1, "duplicate": 1], 2, sources: 2)
            // The last one goes.
            try FileManager.default.removeItem(atPath: world.documents + "/b/kopie.txt")
            try await sync(["deleted": 1, "unchanged": 1], 1, sources: 1)
            try await IndependentCheck(world).run()
        }
    }

    @Test("what has not changed is not read when its size, times and number are trusted")
    func trusted() async throws {
        try await World.with { world in
            for number in 0..<600 { try world.write("d\(number % 3)/\(number).txt", "Text Nummer \(number).") }
            try world.write(
                "d0/0.txt.meta.json",
                #"{"title": "Null", "external_id": "null", "zimmer": 7.50, "amt": {"z": 1, "a": 2}}"#
            )
            try await world.succeed("ingest", world.documents)
            // Files that have just been written are not remembered yet.
            let stamps = "SELECT count(*) FROM rag.file_stamps"
            try await Task.sleep(for: .milliseconds(2100))
            func again(_ options: String...) async throws -> JSONValue {
                let arguments = ["ingest", world.documents, "--sync", "--json"] + options
                let result = try await KelterProcess.run(arguments, environment: world.environment)
                let report = try result.json
                #expect(report["balanced"] == .bool(true), "\(result.messages)")
                return try #require(report["outcomes"])
            }
            #expect(try await again()["unchanged"]?.int == 600)
            #expect(try await world.count(stamps) == 600)
            // Whoever reads a file now reads something else. Nobody does: the stamps say otherwise.
            try await world.database.store.runScript(
                "UPDATE rag.file_stamps SET hash = '\\x00' || substr(hash, 2) WHERE path = 'd1/1.txt'"
            )
            // But for one whose content seems to be missing: it is read, and remembered as it is.
            #expect(try await again()["unchanged"]?.int == 600)
            #expect(
                try await world.count("SELECT count(*) FROM rag.file_stamps WHERE substr(hash, 1, 1) = '\\x00'") < 20
            )
            #expect(try await again("--no-trust-mtime")["unchanged"]?.int == 600)
            // A new title, a new text, a file that is gone, and one with the times of before.
            try world.write(
                "d0/0.txt.meta.json",
                #"{"title": "Nichts", "external_id": "null", "zimmer": 7.50, "amt": {"z": 1, "a": 2}}"#
            )
            try world.write("d2/2.txt", "Ein neuer Text.")
            try FileManager.default.removeItem(atPath: world.documents + "/d0/3.txt")
            let path = world.documents + "/d1/4.txt"
            var status = stat()
            #expect(stat(path, &status) == 0)
            try world.write("d1/4.txt", "Text Nummer 5.")
            #expect(utimensat(AT_FDCWD, path, [status.st_atim, status.st_mtim], 0) == 0)
            let changed = try await again()
            #expect(changed["updated"]?.int == 1 && changed["replaced"]?.int == 1 && changed["duplicate"]?.int == 1)
            #expect(changed["deleted"]?.int == 1 && changed["unchanged"]?.int == 596)
            #expect(try await world.count(stamps) == 599)
            #expect(try await world.rows("SELECT title FROM rag.documents WHERE external_id = 'null'") == [["Nichts"]])
            try await IndependentCheck(world).run()
        }
    }

    /// Makes the same archive with Python's own modules in each format; one name begins with an accent.
    private static let archiveScript = """
        import io, sys, tarfile, zipfile
        directory = sys.argv[1]
        members = {
            "handbuch/\\u0301anlage.md": "# Anlage\\n\\nDie Anlage wird täglich geprüft.",
            "handbuch/\\u0301anlage.md.meta.json": '{"title": "Anlage 7", "external_id": "NAME-anlage"}',
            "handbuch/pumpe.txt": "Die Pumpe NAME hat zwei Ventile.",
            "groß/" + "t" * 150 + "/lang.txt": "Die Leitung NAME ist lang. " * 9000,
            ".versteckt": "x",
            "rest.meta.json": "{}",
        }
        def made(name):
            return {key: value.replace("NAME", name).encode() for key, value in members.items()}
        with zipfile.ZipFile(directory + "/a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for key, value in made("a").items(): archive.writestr(key, value)
        for name, mode, form in [("b.tar", "w", tarfile.GNU_FORMAT), ("c.tar.gz", "w:gz", tarfile.PAX_FORMAT)]:
            with tarfile.open(directory + "/" + name, mode, format=form) as archive:
                for key, value in made(name[0]).items():
                    info = tarfile.TarInfo(key)
                    info.size = len(value)
                    archive.addfile(info, io.BytesIO(value))
        """

    @Test("the files of archives are items with their sidecars, and are found again")
    func archives() async throws {
        try await World.with { world in
            try world.write("lose.txt", "Eine lose Datei.")
            try world.write("kaputt.zip", "PK, aber kein Archiv")
            let made = try ChildProcess.run(["python3", "-c", Self.archiveScript, world.documents])
            #expect(made.status == 0, "\(made.output)")
            let first = try await world.kelter("ingest", world.documents, "--sync", "--json")
            let report = try first.json
            #expect(first.exitCode == 1 && report["balanced"] == .bool(true), "\(first.messages)")
            // The same Markdown file in three archives is one document with three sources.
            #expect(
                report["outcomes"]?["inserted"]?.int == 8 && report["outcomes"]?["duplicate"]?.int == 2,
                "\(report)"
            )
            #expect(report["failures"]?.array?.map { $0["code"]?.string } == ["ARCHIVE_INVALID"])
            #expect(report["failures"]?[0]?["external_id"]?.string == "kaputt.zip")
            let skipped = (report["skipped"]?.array ?? []).map {
                "\($0["external_id"]?.string ?? "") \($0["reason"]?.string ?? "")"
            }
            let expected = ["a.zip", "b.tar", "c.tar.gz"].flatMap {
                ["\($0)/.versteckt hidden", "\($0)/rest.meta.json orphan_sidecar"]
            }
            #expect(skipped.sorted() == expected)
            let long = "groß/" + String(repeating: "t", count: 150) + "/lang.txt"
            let names = try await world.rows(#"SELECT external_id FROM rag.sources ORDER BY external_id COLLATE "C""#)
            #expect(
                names.map { $0[0] } == [
                    "a-anlage", "a.zip/\(long)", "a.zip/handbuch/pumpe.txt", "b-anlage", "b.tar/\(long)",
                    "b.tar/handbuch/pumpe.txt", "c-anlage", "c.tar.gz/\(long)", "c.tar.gz/handbuch/pumpe.txt",
                    "lose.txt",
                ]
            )
            #expect(
                try await world.rows("SELECT title FROM rag.documents WHERE external_id = 'a-anlage'") == [["Anlage 7"]]
            )
            let again = try await world.kelter("ingest", world.documents, "--json").json
            #expect(again["outcomes"]?["unchanged"]?.int == 8 && again["outcomes"]?["duplicate"]?.int == 2)
            #expect(again["embedding_inputs"]?.int == 0)
            for name in ["c.tar.gz", "kaputt.zip"] {
                try FileManager.default.removeItem(atPath: world.documents + "/" + name)
            }
            let options = ["ingest", world.documents, "--sync", "--max-delete", "40%", "--json", "--include", "*.md"]
            // Files of archives are chosen by their own names.
            let chosen = try await KelterProcess.run(
                Array(options.filter { $0 != "--sync" }),
                environment: world.environment
            )
            #expect(try chosen.json["found"]?.int == 4, "\(chosen.output)")
            let synced = try await KelterProcess.run(Array(options.dropLast(2)), environment: world.environment).json
            #expect(synced["outcomes"]?["deleted"]?.int == 3, "\(synced)")
            try await IndependentCheck(world).run()
        }
    }

    @Test("a watched directory is kept in step, and Ctrl-C ends that in order")
    func watched() async throws {
        try await World.with { world in
            for number in 0..<20 { try world.write("d/\(number).txt", "Text Nummer \(number).") }
            let process = try KelterProcess(
                ["ingest", world.documents, "--watch", "--watch-interval", "1", "--json"],
                environment: world.environment
            )
            let live = "SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL"
            let ended = "SELECT count(*) FROM rag.runs WHERE status = 'succeeded'"
            try await waitUntil("the first batch") { try await world.count(ended) == 1 }
            #expect(try await world.count(live) == 20)
            try world.write("d/neu.txt", "Ein neuer Text.")
            try world.write("d/1.txt", "Ein anderer Text.")
            try FileManager.default.removeItem(atPath: world.documents + "/d/2.txt")
            try await waitUntil("the second batch") { try await world.count(ended) == 2 }
            #expect(try await world.count(live) == 20)
            #expect(try await world.count("SELECT count(*) FROM rag.sources WHERE external_id = 'd/neu.txt'") == 1)
            // Nothing happens where nothing changes; what a guard refuses waits for the next change.
            for number in 3..<15 { try FileManager.default.removeItem(atPath: world.documents + "/d/\(number).txt") }
            try await waitUntil("the refusal") { process.messagesSoFar.contains("SYNC_REFUSED") }
            try await Task.sleep(for: .milliseconds(2500))
            #expect(try await world.count("SELECT count(*) FROM rag.runs") == 3)
            process.send(SIGINT)
            let result = try await process.finish()
            #expect(result.exitCode == 0, "\(result.messages)")
            #expect(try result.json["batches"]?.int == 3)
            try await IndependentCheck(world).run()
        }
    }
}
