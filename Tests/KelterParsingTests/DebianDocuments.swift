import CZlib
import Foundation
import Testing

/// A document of a Debian package that comes as HTML, as PDF and as plain text.
enum DebianDocument: String, CaseIterable {
    case faq, faqDE, developersReference, developersReferenceDE, policy, reference, referenceDE

    private var directory: String {
        switch self {
        case .faq: "/usr/share/doc/debian/FAQ"
        case .faqDE: "/usr/share/doc/debian/FAQ/de"
        case .developersReference: "/usr/share/developers-reference"
        case .developersReferenceDE: "/usr/share/developers-reference/de"
        case .policy: "/usr/share/doc/debian-policy"
        case .reference, .referenceDE: "/usr/share/debian-reference"
        }
    }

    /// The pages, one or many.
    var pages: [String] {
        get throws {
            let (folder, suffix) =
                switch self {
                case .faq: (directory, ".en.html")
                case .faqDE: (directory, ".de.html")
                case .policy: (directory + "/policy.html", ".html")
                case .reference: (directory, ".en.html")
                case .referenceDE: (directory, ".de.html")
                case .developersReference, .developersReferenceDE: (directory, ".html")
                }
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            return names.filter { $0.hasSuffix(suffix) }.sorted().map { folder + "/" + $0 }
        }
    }

    var pdf: String {
        switch self {
        case .faq: directory + "/debian-faq.en.pdf.gz"
        case .faqDE: "/usr/share/doc/debian/FAQ/debian-faq.de.pdf.gz"
        case .developersReference, .developersReferenceDE: directory + "/developers-reference.pdf"
        case .policy: directory + "/policy.pdf.gz"
        case .reference: directory + "/debian-reference.en.pdf"
        case .referenceDE: directory + "/debian-reference.de.pdf"
        }
    }

    /// The words of the edition in plain text; `withLinks` also the targets of links, which HTML does not show.
    func words(withLinks: Bool) throws -> [UInt64] {
        let path =
            switch self {
            case .faq: directory + "/debian-faq.en.txt.gz"
            case .faqDE: "/usr/share/doc/debian/FAQ/debian-faq.de.txt.gz"
            case .developersReference, .developersReferenceDE: directory + "/developers-reference.txt.gz"
            case .policy: directory + "/policy.txt.gz"
            case .reference: directory + "/debian-reference.en.txt.gz"
            case .referenceDE: directory + "/debian-reference.de.txt.gz"
            }
        var text = try unzipped(path)
        if !withLinks { text = Self.withoutLinks(text) }
        return wordHashes(text)
    }

    private func unzipped(_ path: String) throws -> [UInt8] {
        let file = try #require(gzopen(path, "rb"), "\(path) is not there: run make deps-test.")
        defer { gzclose(file) }
        var bytes = [UInt8](repeating: 0, count: 16 << 20)
        let count = gzread(file, &bytes, UInt32(bytes.count))
        return Array(bytes.prefix(max(0, Int(count))))
    }

    /// The text without the targets of links, which stand in parentheses behind the words that are linked.
    private static func withoutLinks(_ text: [UInt8]) -> [UInt8] {
        let parts = text.split(separator: UInt8(ascii: "("), omittingEmptySubsequences: false)
        return parts.dropFirst().reduce(into: Array(parts[0])) { kept, part in
            kept.append(UInt8(ascii: " "))
            let isLink = ["http", "ftp:", "mailto"].contains { part.starts(with: Array($0.utf8)) }
            kept += isLink ? part.drop { $0 != UInt8(ascii: ")") } : part
        }
    }
}

/// The words of a text in their order, each as its hash: letters and digits.
///
/// What UTF-8 begins with C2 or E2 are signs: U+0080 to U+00BF, U+2000 to U+2FFF.
func wordHashes(_ text: [UInt8]) -> [UInt64] {
    var words: [UInt64] = []
    var hash: UInt64 = 0
    text.withUnsafeBufferPointer { text in
        var signBytes = 0
        for byte in text {
            if byte == 0xC2 || byte == 0xE2 { signBytes = byte == 0xC2 ? 2 : 3 }
            signBytes -= 1
            if signBytes < 0, (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || byte >= 0x80 {
                // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
                hash = ((hash == 0 ? 0xCBF2_9CE4_8422_2325 : hash) ^ UInt64(byte)) &* 0x100_0000_01B3
            } else if hash != 0 {
                words.append(hash)
                hash = 0
            }
        }
    }
    return hash == 0 ? words : words + [hash]
}

/// How much of a reference is in a text, and in which order.
struct WordComparison {
    private let reference: [UInt64]
    private var counts: [UInt64: Int] = [:]
    private var inOrder = 0
    private var compared = 0

    init(_ reference: [UInt64]) {
        self.reference = reference
    }

    /// Adds the words of a part of the text.
    mutating func add(_ words: [UInt64]) {
        for word in words { counts[word, default: 0] += 1 }
        let places = Self.placesOfSingleWords(reference)
        let own = Self.placesOfSingleWords(words).filter { places[$0.key] != nil }
        let sequence = own.sorted { $0.value < $1.value }.compactMap { places[$0.key] }
        inOrder += Self.longestIncreasing(sequence)
        compared += sequence.count
    }

    /// The share of the reference's words that the text has, each as often.
    var recall: Double {
        var left = counts
        var found = 0
        for word in reference {
            guard let count = left[word], count > 0 else { continue }
            left[word] = count - 1
            found += 1
        }
        return Double(found) / Double(max(1, reference.count))
    }

    /// Of the words that stand once in both, the share that stands in the same order.
    var order: Double { Double(inOrder) / Double(max(1, compared)) }

    private static func placesOfSingleWords(_ words: [UInt64]) -> [UInt64: Int] {
        var places: [UInt64: Int] = [:]
        for (index, word) in words.enumerated() { places[word] = places[word] == nil ? index : -1 }
        return places.filter { $0.value >= 0 }
    }

    private static func longestIncreasing(_ values: [Int]) -> Int {
        var ends: [Int] = []
        for value in values {
            var (low, high) = (0, ends.count)
            while low < high {
                let middle = (low + high) / 2
                if ends[middle] < value { low = middle + 1 } else { high = middle }
            }
            if low == ends.count { ends.append(value) } else { ends[low] = value }
        }
        return ends.count
    }
}
