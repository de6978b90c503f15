/// Inputs that are in no request yet, in classes of similar length.
///
/// A model pads the texts of a request to the longest of them, so texts of similar length belong together. A class holds
/// lengths within a factor of two. Nothing waits for its class to fill: requests begin with the oldest input and go on
/// with the nearest classes.
struct InputQueue {
    typealias Instant = ContinuousClock.Instant
    typealias CallerID = UInt64

    /// One input of a caller.
    struct Entry: Equatable {
        let caller: CallerID
        let index: Int
        let tokens: Int
        let since: Instant
    }

    /// First in, first out; the array is moved down now and then, so that each step stays cheap.
    private struct Class {
        private var entries: [Entry] = []
        private var head = 0
        private(set) var tokens = 0

        var count: Int { entries.count - head }
        var first: Entry? { head < entries.count ? entries[head] : nil }

        mutating func append(_ entry: Entry) {
            entries.append(entry)
            tokens += entry.tokens
        }

        mutating func removeFirst() {
            tokens -= entries[head].tokens
            head += 1
            if head > 256, head * 2 > entries.count {
                entries.removeFirst(head)
                head = 0
            }
        }

        mutating func remove(_ caller: CallerID) {
            entries = entries[head...].filter { $0.caller != caller }
            head = 0
            tokens = entries.reduce(0) { $0 + $1.tokens }
        }
    }

    private var classes: [Class] = Array(repeating: Class(), count: 16)
    private(set) var count = 0
    private(set) var tokens = 0

    /// The input that has waited longest.
    var oldest: Entry? {
        classes.compactMap(\.first).min { ($0.since, $0.caller, $0.index) < ($1.since, $1.caller, $1.index) }
    }

    mutating func append(_ entry: Entry) {
        classes[Self.number(entry.tokens)].append(entry)
        count += 1
        tokens += entry.tokens
    }

    /// Takes a caller's inputs out.
    mutating func remove(_ caller: CallerID) {
        for index in classes.indices where classes[index].count > 0 { classes[index].remove(caller) }
        count = classes.reduce(0) { $0 + $1.count }
        tokens = classes.reduce(0) { $0 + $1.tokens }
    }

    mutating func removeAll() {
        self = Self()
    }

    /// Takes the inputs of a request out.
    ///
    /// - Parameters:
    ///   - maximum: The most inputs.
    ///   - maximumTokens: The most tokens, a longer first input aside.
    ///   - mustTakeOldest: Whether the oldest input has waited long enough; otherwise a class that fills a request by
    ///     itself goes first.
    /// - Returns: At least one input, if there is any.
    mutating func take(maximum: Int, maximumTokens: Int, mustTakeOldest: Bool) -> [Entry] {
        guard let oldest else { return [] }
        let own = Self.number(oldest.tokens)
        func isFull(_ number: Int) -> Bool {
            classes[number].count >= maximum || classes[number].tokens >= maximumTokens
        }
        let start = mustTakeOldest || isFull(own) ? own : classes.indices.first(where: isFull) ?? own
        var entries: [Entry] = []
        var sum = 0
        for number in classes.indices.sorted(by: { (abs($0 - start), $0) < (abs($1 - start), $1) }) {
            while let entry = classes[number].first {
                guard entries.count < maximum, entries.isEmpty || sum + entry.tokens <= maximumTokens else {
                    count -= entries.count
                    tokens -= sum
                    return entries
                }
                classes[number].removeFirst()
                entries.append(entry)
                sum += entry.tokens
            }
        }
        count -= entries.count
        tokens -= sum
        return entries
    }

    /// The class of a length: up to 32 tokens, to 64, to 128 and so on.
    private static func number(_ tokens: Int) -> Int {
        let bits = Int.bitWidth - (max(tokens, 1) - 1).leadingZeroBitCount
        return min(max(0, bits - 5), 15)
    }
}
