import KelterModel

/// The text search configurations that chunks are indexed with.
enum TextSearchConfiguration: String, Sendable, CaseIterable {
    case german, english, simple

    /// The configuration for a BCP 47 language tag.
    init(language: String?) {
        switch language.map({ lowercasedASCII($0).prefix { $0 != "-" && $0 != "_" } }) {
        case "de": self = .german
        case "en": self = .english
        default: self = .simple
        }
    }

    /// A SQL expression that turns a column with the name into a `regconfig` without a catalogue look-up per row.
    static func expression(_ column: String) -> String {
        """
        CASE \(column) WHEN 'german' THEN 'pg_catalog.german'::regconfig \
        WHEN 'english' THEN 'pg_catalog.english'::regconfig ELSE 'pg_catalog.simple'::regconfig END
        """
    }
}
