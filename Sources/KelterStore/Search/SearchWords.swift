import KelterModel

/// The words of a question, in the forms the lexical indexes understand.
struct SearchWords: Sendable, Equatable {
    /// `tsquery` texts by text search configuration.
    struct Queries: Sendable, Equatable {
        let german: String
        let english: String
        let simple: String

        /// Binds the queries and returns a condition on chunks `c` and an expression for the query of a chunk's own
        /// configuration.
        func bind(in statement: inout Statement) -> (condition: String, choice: String) {
            let german = statement.bind(.text(german)) + "::text::tsquery"
            let english = statement.bind(.text(english)) + "::text::tsquery"
            let simple = statement.bind(.text(simple)) + "::text::tsquery"
            let (isGerman, isEnglish) = (
                "c.lexical = 'pg_catalog.german'::regconfig", "c.lexical = 'pg_catalog.english'::regconfig"
            )
            return (
                """
                (\(isGerman) AND c.tsv @@ \(german) OR \(isEnglish) AND c.tsv @@ \(english)
                    OR NOT \(isGerman) AND NOT \(isEnglish) AND c.tsv @@ \(simple))
                """,
                "CASE WHEN \(isGerman) THEN \(german) WHEN \(isEnglish) THEN \(english) ELSE \(simple) END"
            )
        }
    }

    /// Texts with any of the words.
    let anyOf: Queries
    /// Texts with a word that begins with the same four letters as one of the words; the longer alike, the higher.
    let beginnings: Queries
    /// The words that carry meaning, for trigrams; empty when there are none or when a word is excluded.
    let plain: String
    /// Whether the question has no words at all.
    let isEmpty: Bool
}

extension SearchWords {
    /// The question without what PostgreSQL cannot read or would misread.
    ///
    /// NUL is no character of a text, and a dash that stands alone would exclude the word behind it.
    static func cleaned(_ text: String) -> String {
        text.split { $0.isWhitespace || $0 == "\0" }.filter { !$0.allSatisfy { $0 == "-" } }.joined(separator: " ")
    }

    /// Reads a cleaned question, the statement's only parameter.
    ///
    /// In an unstemmed text, words that either language ignores say nothing either. Dates and identifiers have parts that
    /// are read as negative numbers; quoted, they are not taken for exclusions when the words are read again.
    static let sql = """
        SELECT websearch_to_tsquery('pg_catalog.german', $1)::text,
            websearch_to_tsquery('pg_catalog.english', $1)::text,
            websearch_to_tsquery('pg_catalog.simple', w.words)::text,
            \(beginnings("to_tsvector('pg_catalog.german', $1)")),
            \(beginnings("to_tsvector('pg_catalog.english', $1)")),
            \(beginnings("to_tsvector('pg_catalog.simple', w.words)")),
            coalesce(w.words, lower($1))
        FROM (SELECT string_agg(CASE WHEN lexeme LIKE '-%' THEN '"' || lexeme || '"' ELSE lexeme END, ' ') AS words FROM unnest(to_tsvector('pg_catalog.simple', $1))
            WHERE to_tsvector('pg_catalog.german', lexeme) <> ''::tsvector
                AND to_tsvector('pg_catalog.english', lexeme) <> ''::tsvector) w
        """

    /// The first 4, 6, 8, 10 and 12 letters of each lexeme as one query; quoted as the documentation of `tsquery` asks.
    private static func beginnings(_ vector: String) -> String {
        #"""
        (SELECT string_agg(
                '''' || replace(replace(left(lexeme, letters), '\', '\\'), '''', '''''') || ''':*', ' | '
                ORDER BY lexeme, letters
            ) FROM unnest(\#(vector)), generate_series(4, least(length(lexeme), 12), 2) letters)
        """#
    }

    /// Reads the answer of ``sql``.
    init(_ rows: borrowing Rows) {
        let texts = (0..<7).map { rows.text(0, $0) ?? "" }
        anyOf = Queries(
            german: Self.disjunction(texts[0]),
            english: Self.disjunction(texts[1]),
            simple: Self.disjunction(texts[2])
        )
        beginnings = Queries(german: texts[3], english: texts[4], simple: texts[5])
        isEmpty = texts[6].isEmpty
        // Letters know no exclusion: they would find what is not wanted.
        plain = texts[..<3].contains(where: Self.hasExclusion) ? "" : texts[6]
    }

    /// Turns a conjunction of words into "any of them", so that a question finds texts that lack one of its words.
    ///
    /// A query with an exclusion stays as it is: "not x" alone would match nearly everything.
    private static func disjunction(_ query: String) -> String {
        hasExclusion(query) ? query : query.split(separator: " & ").joined(separator: " | ")
    }

    private static func hasExclusion(_ query: String) -> Bool {
        query.utf8.contains(UInt8(ascii: "!"))
    }
}
