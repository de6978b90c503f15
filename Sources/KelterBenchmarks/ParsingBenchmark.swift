import Foundation
import KelterLocal
import KelterModel
import KelterParsing

/// Parses the files of a directory in this process, one after the other, and tells what each format costs.
struct ParsingBenchmark {
    let directory: String
    let parser: DocumentParser

    /// One format's files.
    private struct Measure {
        var files = 0
        var failed = 0
        var bytes = 0
        var textBytes = 0
        var seconds = 0.0
    }

    init(directory: String) {
        self.directory = directory
        parser = DocumentParser(pdfium: LocalPaths(environment: ProcessInfo.processInfo.environment).pdfium)
    }

    func run() throws(KelterError) {
        var measures: [String: Measure] = [:]
        for path in try paths(directory).sorted() {
            guard let bytes = FileManager.default.contents(atPath: path).map({ [UInt8]($0) }) else { continue }
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let format = name.split(separator: ".").last.map(String.init) ?? ""
            let start = Self.processorTime
            var (text, failed) = (0, 0)
            do throws(KelterError) {
                text = try parser.parse(bytes, name: name).document.text.count
            } catch {
                failed = 1
            }
            var measure = measures[format] ?? Measure()
            measure.seconds += Self.processorTime - start
            measure.files += 1
            measure.failed += failed
            measure.bytes += bytes.count
            measure.textBytes += text
            measures[format] = measure
        }
        print("format  files  failed      MB  MB of text  CPU s    MB/s")
        for (format, measure) in measures.sorted(by: { $0.key < $1.key }) {
            let megabytes = Double(measure.bytes) / 1e6
            let columns = [
                "\(measure.files)".padded(6), "\(measure.failed)".padded(7), megabytes.text(2).padded(7),
                (Double(measure.textBytes) / 1e6).text(2).padded(11), measure.seconds.text(3).padded(6),
                (megabytes / max(measure.seconds, 1e-9)).text(1).padded(7),
            ]
            print(format + String(repeating: " ", count: max(0, 6 - format.count)), columns.joined(separator: " "))
        }
        print("peak memory: \(Self.usage.ru_maxrss / 1024) MiB")
    }

    private func paths(_ directory: String) throws(KelterError) -> [String] {
        guard let names = FileManager.default.enumerator(atPath: directory)?.compactMap({ $0 as? String }) else {
            throw KelterError(
                .missingFile,
                "It is no directory.",
                subject: directory,
                fix: "Name a directory of documents."
            )
        }
        var isDirectory: ObjCBool = false
        return names.map { directory + "/" + $0 }.filter {
            FileManager.default.fileExists(atPath: $0, isDirectory: &isDirectory) && !isDirectory.boolValue
                && !$0.hasSuffix(".meta.json")
        }
    }

    private static var usage: rusage {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return usage
    }

    private static var processorTime: Double {
        let usage = usage
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension Double {
    fileprivate func text(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}
