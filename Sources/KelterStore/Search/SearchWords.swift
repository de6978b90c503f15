/// The words of a question, in the forms the lexical indexes understand.
struct SearchWords: Sendable, Equatable {
    /// `tsquery` texts by text search configuration.
    let german: String
    let english: String
    let simple: String
    /// The words that carry meaning, for trigrams; empty when there are none.
    let plain: String

    /// Turns a conjunction of words into "any of them", so that a question finds texts that lack one of its words.
    ///
    /// A query with a negation stays as it is: "not x" alone would match nearly everything.
    static func anyOf(_ query: String) -> String {
        query.utf8.contains(UInt8(ascii: "!")) ? query : query.split(separator: " & ").joined(separator: " | ")
    }

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
