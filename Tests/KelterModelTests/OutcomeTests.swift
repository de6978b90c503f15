import KelterModel
import Testing

@Suite("Outcomes")
struct OutcomeTests {
    @Test("the names are those of the contract, in its order")
    func names() {
        #expect(
            Outcome.allCases.map(\.rawValue)
                == ["inserted", "replaced", "updated", "unchanged", "duplicate", "deleted", "skipped", "failed"]
        )
    }

    @Test("every outcome has its own severity and a failure is the worst")
    func severity() {
        #expect(Set(Outcome.allCases.map(\.severity)).count == Outcome.allCases.count)
        #expect(Outcome.allCases.max { $0.severity < $1.severity } == .failed)
        #expect(Outcome.allCases.min { $0.severity < $1.severity } == .unchanged)
    }

    @Test("everything but deletions accounts for what was found")
    func accounted() {
        var counts = OutcomeCounts()
        #expect(counts.accounted == 0)
        for (index, outcome) in Outcome.allCases.enumerated() { counts[outcome] = 1 << index }
        #expect(counts.accounted == 0b1111_1111 - counts[.deleted])
        #expect(counts[.deleted] == 0b10_0000)
    }

    @Test("counting up and back to zero equals never counting")
    func zero() {
        var counts = OutcomeCounts()
        counts[.failed] += 1
        #expect(counts != OutcomeCounts())
        counts[.failed] -= 1
        #expect(counts == OutcomeCounts())
        #expect(counts[.failed] == 0)
    }

    @Test("the JSON object has every outcome, zeros too")
    func json() {
        var counts = OutcomeCounts()
        counts[.inserted] = 14
        counts[.duplicate] = 2
        #expect(
            counts.json.compactText
                == #"{"inserted":14,"replaced":0,"updated":0,"unchanged":0,"duplicate":2,"deleted":0,"skipped":0,"failed":0}"#
        )
    }

    @Test("a run's states are those of the contract")
    func statuses() {
        #expect(
            RunStatus.allCases.map(\.rawValue) == [
                "queued", "running", "succeeded", "partial", "failed", "interrupted",
            ]
        )
    }
}
