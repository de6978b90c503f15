/// The strength of a place at which a chunk may end, the weakest first.
enum BreakStrength: Int8, Comparable {
    case character, word, clause, sentence, block

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The smallest part of a document that chunks are made of: a sentence, a line or a heading, or a part of an over-long one.
///
/// The pieces of a block cover it without gaps; white space between two belongs to the first.
struct Piece {
    /// Bytes of the document's text.
    var range: Range<Int>
    /// Tokens of the piece's normalised text, special tokens not included.
    var tokens: Int
    /// Index of the block.
    var block: Int
    /// What it begins at.
    var before: BreakStrength
    /// What it ends at.
    var after: BreakStrength

    /// Whether it is a whole sentence, line or heading.
    var isWhole: Bool { before >= .sentence && after >= .sentence }
}
