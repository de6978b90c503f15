import KelterModel

extension DocumentBuilder {
    /// Whether appending a text would show something: more than white space, no-break spaces and soft hyphens.
    static func shows(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var position = 0
        while position < bytes.count {
            if WhiteSpace.isASCII(bytes[position]) {
                position += 1
            } else if bytes[position] == 0xC2, position + 1 < bytes.count, [0xA0, 0xAD].contains(bytes[position + 1]) {
                position += 2
            } else {
                return true
            }
        }
        return false
    }

    /// Appends running text: white space is collapsed, no-break spaces become spaces, soft hyphens vanish.
    ///
    /// Rendered text shows soft hyphens only at line ends, and search must find the word. The style counts only if this
    /// text begins a new block.
    func append(_ bytes: UnsafeBufferPointer<UInt8>, _ style: BlockStyle) {
        guard !hasFailed else { return }
        let count = bytes.count
        var position = 0
        while position < count {
            let byte = bytes[position]
            if WhiteSpace.isASCII(byte) {
                pendingSpace = true
                position += 1
                continue
            }
            if byte == 0xC2, position + 1 < count, bytes[position + 1] == 0xA0 || bytes[position + 1] == 0xAD {
                if bytes[position + 1] == 0xA0 { pendingSpace = true }
                position += 2
                continue
            }
            let end = endOfRun(bytes, from: position)
            prepare(style)
            text.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[position..<end]))
            position = end
        }
    }

    /// The end of the bytes that can be copied as they are; single spaces between words are part of them.
    @inline(__always)
    private func endOfRun(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var position = start
        while position < bytes.count {
            let byte = bytes[position]
            if byte > 0x20 {
                if byte == 0xC2, position + 1 < bytes.count,
                    bytes[position + 1] == 0xA0 || bytes[position + 1] == 0xAD
                {
                    break
                }
            } else if byte == 0x20 {
                guard position + 1 < bytes.count, bytes[position + 1] > 0x20, bytes[position + 1] != 0xC2 else { break }
            } else if WhiteSpace.isASCII(byte) {
                break
            }
            position += 1
        }
        return position
    }

    /// Writes what is pending before a visible character, and opens a block when none is open.
    private func prepare(_ style: BlockStyle) {
        var isLineStart = false
        if let open {
            if open.kind == .table {
                if pendingRow {
                    text.append(0x0A)
                    isLineStart = true
                }
            } else if pendingBreak {
                text.append(0x0A)
                isLineStart = true
            }
        } else {
            begin(style)
            isLineStart = true
        }
        if pendingBars > 0 {
            // Empty cells keep their place, so that values stay under their column's name.
            for bar in 0..<pendingBars { text.append(bar == 0 && isLineStart ? "|" : " |") }
            text.append(0x20)
        } else if pendingSpace, !isLineStart {
            text.append(0x20)
        }
        pendingSpace = false
        pendingBreak = false
        pendingRow = false
        pendingBars = 0
    }

    /// A line break inside a block; a second one in a row ends it, as pages without paragraphs mean it.
    func breakLine() {
        guard let open else { return }
        switch open.kind {
        case .heading, .table: pendingSpace = true
        case .code: text.append(0x0A)
        case .paragraph, .listItem, .quote:
            if pendingBreak { endBlock() } else { pendingBreak = true }
        }
    }

    /// Begins a row of a table.
    func beginRow() {
        pendingRow = open != nil
        pendingBars = 0
        hasCell = false
    }

    /// Begins a cell of a table.
    func beginCell() {
        if hasCell { pendingBars += 1 }
        hasCell = true
    }

    /// Appends text as it stands; blank lines before the first visible character are left out.
    func appendVerbatim(_ bytes: UnsafeBufferPointer<UInt8>, _ style: BlockStyle) {
        guard !hasFailed else { return }
        var position = 0
        if open == nil {
            while position < bytes.count {
                let length = WhiteSpace.length(in: bytes, at: position)
                if length == 0 { break }
                if bytes[position] == 0x0A {
                    indentation.removeAll(keepingCapacity: true)
                } else {
                    indentation.append(contentsOf: bytes[position..<position + length])
                }
                position += length
            }
            guard position < bytes.count else { return }
            begin(style)
        }
        text.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[position...]))
    }
}
