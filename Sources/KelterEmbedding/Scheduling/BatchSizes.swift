/// How many inputs a request may have: the setting, less what the endpoint has shown it cannot take.
struct BatchSizes {
    /// Full requests in a row after which a cap learned from a timeout is raised by one.
    static let patience = 32

    /// The setting, lowered for good when a request was refused whole and its halves were not.
    private(set) var hard: Int
    /// Halved by timeouts, raised slowly by success: a slow endpoint and a moment's hiccup look alike.
    private var soft: Int
    private var successes = 0
    /// Open divisions of refused requests: the larger half's size, and how many halves were accepted.
    private var splits: [Int: (larger: Int, accepted: Int)] = [:]
    private var nextSplit = 0

    init(configured: Int) {
        hard = configured
        soft = configured
    }

    var current: Int { min(hard, soft) }

    /// A request of this size did not end in time.
    mutating func timedOut(_ count: Int) {
        soft = max(1, min(soft, count / 2))
        successes = 0
    }

    /// A request was answered.
    mutating func succeeded(_ count: Int, split: Int?) {
        if let split, var halves = splits[split] {
            halves.accepted += 1
            splits[split] = halves.accepted < 2 ? halves : nil
            if halves.accepted == 2 { hard = min(hard, halves.larger) }
        }
        guard count >= soft, soft < hard else { return }
        successes += 1
        if successes >= Self.patience {
            successes = 0
            soft += 1
        }
    }

    /// A refused request is divided; the number of the division, which both halves carry.
    mutating func divided(larger: Int) -> Int {
        nextSplit += 1
        splits[nextSplit] = (larger, 0)
        return nextSplit
    }

    /// A half was not accepted: its refused whole was not refused for its size alone.
    mutating func refusedAgain(_ split: Int) {
        splits[split] = nil
    }
}
