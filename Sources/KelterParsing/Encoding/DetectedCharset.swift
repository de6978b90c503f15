import CLibUchardet

/// The charset of a text that is not UTF-8 and declares none, guessed by uchardet from the frequencies of its characters.
///
/// Nothing is guessed for a text that is UTF-8 but for a few broken places, or that is too short to tell.
///
/// - Parameter bytes: The text.
/// - Returns: A label that ``CharsetConverter`` takes.
func detectedCharset(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= 8, !isBrokenUTF8(bytes), let detector = uchardet_new() else { return nil }
    defer { uchardet_delete(detector) }
    // More than this tells no more.
    let sample = bytes.prefix(256 << 10)
    let status = sample.withUnsafeBytes { bytes in
        uchardet_handle_data(detector, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
    }
    uchardet_data_end(detector)
    guard status == 0, let name = uchardet_get_charset(detector).map({ String(cString: $0) }), !name.isEmpty else {
        return nil
    }
    // The euro sign of ISO 8859-15 is the sign for any currency in the others, which nobody writes.
    let isLatin1 = ["WINDOWS-1252", "ISO-8859-1"].contains(name)
    if isLatin1, bytes.contains(0xA4), !bytes.contains(where: { 0x80..<0xA0 ~= $0 }) { return "ISO-8859-15" }
    return name
}

/// Whether of the sequences above ASCII at least as many are valid UTF-8 as are not: then it is UTF-8 that was damaged.
private func isBrokenUTF8(_ bytes: [UInt8]) -> Bool {
    var (valid, invalid) = (0, 0)
    var position = 0
    while position < bytes.count, valid + invalid < 10_000 {
        let byte = bytes[position]
        guard byte >= 0x80 else {
            position += 1
            continue
        }
        let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 0
        let end = min(position + length, bytes.count)
        // One that the end of the text cuts counts as valid.
        if length > 0, bytes[(position + 1)..<max(position + 1, end)].allSatisfy({ $0 & 0xC0 == 0x80 }),
            end - position > 1
        {
            valid += 1
            position = end
        } else {
            invalid += 1
            position += 1
        }
    }
    return valid >= invalid
}

/// UTF-16 or UTF-32 without a byte order mark, told by where its NUL bytes stand: text in Latin letters has one or three
/// in every character, always in the same place.
///
/// - Parameter bytes: The beginning of a file.
/// - Returns: Bytes of a character and their order; `nil` for other files.
func unmarkedWideEncoding(_ bytes: [UInt8]) -> (width: Int, isBigEndian: Bool)? {
    let sample = bytes.prefix(4096)
    for width in [4, 2] {
        let characters = sample.count / width
        guard characters >= 4, bytes.count % width == 0 else { continue }
        var zeros = [Int](repeating: 0, count: width)
        for index in 0..<characters * width where sample[index] == 0 { zeros[index % width] += 1 }
        let (few, most) = (characters / 20, characters * 7 / 10)
        if zeros[0] <= few, zeros.dropFirst().allSatisfy({ $0 >= most }) { return (width, false) }
        if zeros[width - 1] <= few, zeros.dropLast().allSatisfy({ $0 >= most }) { return (width, true) }
    }
    return nil
}
