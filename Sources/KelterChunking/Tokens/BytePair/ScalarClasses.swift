/// The classes of scalars that the split patterns of byte pair encodings tell apart.
///
/// They are those of Unicode 16, which the published implementation was built with: there a scalar of a later version
/// belongs to ``other``. Such scalars are known by their age, whatever version the standard library has.
enum ScalarClasses {
    /// Neither white space nor letter, number or mark.
    static let other: UInt8 = 0
    /// White space but the line ends of ``newline``.
    static let space: UInt8 = 1
    /// Carriage return or line feed.
    static let newline: UInt8 = 2
    static let number: UInt8 = 3
    /// A capital or titlecase letter.
    static let upper: UInt8 = 4
    /// A small letter.
    static let lower: UInt8 = 5
    /// A modifier or another letter without case.
    static let caseless: UInt8 = 6
    static let mark: UInt8 = 7

    /// The class of each scalar, made when it is first used.
    static let table = ScalarTable<UInt8>(planes: [0, 1, 2, 3, 14]) { scalar in
        // Unicode 17 made this small letter a caseless one.
        if scalar.value == 0x295 { return lower }
        let properties = scalar.properties
        if scalar == "\r" || scalar == "\n" { return newline }
        if properties.isWhitespace { return space }
        let kind: UInt8
        switch properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: kind = upper
        case .lowercaseLetter: kind = lower
        case .modifierLetter, .otherLetter: kind = caseless
        case .nonspacingMark, .spacingMark, .enclosingMark: kind = mark
        case .decimalNumber, .letterNumber, .otherNumber: kind = number
        default: return other
        }
        return properties.isAssigned(upTo: 16) ? kind : other
    }
}
