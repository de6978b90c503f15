import KelterModel
import Synchronization
import Testing

@testable import KelterPipeline

/// A value that concurrent tasks of a test change.
private final class Shared<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) {
        state = Mutex(value)
    }

    var value: Value { state.withLock { $0 } }

    func change(_ body: (inout Value) -> Void) {
        state.withLock { body(&$0) }
    }
}

@Suite struct ConcurrencyTests {
    @Test func `Blocking calls run side by side and return their values`() async {
        let threads = IOThreads(count: 4)
        let sum = await withTaskGroup(of: Int.self) { group in
            for number in 0..<200 { group.addTask { await threads.run { number } } }
            return await group.reduce(0, +)
        }
        #expect(sum == 199 * 200 / 2)
    }

    @Test func `A budget is never exceeded and large shares get their turn`() async {
        let budget = Budget(total: 10)
        let used = Shared((now: 0, most: 0))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<300 {
                let share = number % 7 == 0 ? 50 : number % 4
                group.addTask {
                    await budget.with(share) {
                        let amount = min(share, 10)
                        used.change {
                            $0.now += amount
                            $0.most = max($0.most, $0.now)
                        }
                        await Task.yield()
                        used.change { $0.now -= amount }
                    }
                }
            }
        }
        #expect(used.value.now == 0)
        #expect(used.value.most == 10)
    }

    @Test func `Items with the same bytes follow each other in the order they were found`() async throws {
        let claims = ContentClaims()
        let hash = try #require(ContentHash(bytes: [UInt8](repeating: 7, count: 32)))
        let other = try #require(ContentHash(bytes: [UInt8](repeating: 8, count: 32)))
        let key = ContentKey(collection: nil, hash: hash)
        let order = Shared<[Int]>([])
        let tickets = (0..<50).map { _ in claims.enqueue([key]) }
        let free = claims.enqueue([ContentKey(collection: nil, hash: other)])
        #expect(await free.wait() == false)
        claims.release(free)
        await withTaskGroup(of: Void.self) { group in
            for (number, ticket) in tickets.enumerated().reversed() {
                group.addTask {
                    #expect(await ticket.wait() == (number > 0))
                    order.change { $0.append(number) }
                    claims.release(ticket)
                }
            }
        }
        #expect(order.value == Array(0..<50))
        #expect(await claims.enqueue([key]).wait() == false)
    }

    @Test(arguments: [(0, 3), (1, 3), (2, 3), (10, 3), (10, 1), (256, 2)])
    func `Shares cover everything in order`(count: Int, number: Int) {
        let shares = Array(0..<count).shares(number)
        #expect(shares.flatMap { $0 } == Array(0..<count))
        #expect(shares.count == min(count, number) && shares.allSatisfy { !$0.isEmpty })
    }
}
