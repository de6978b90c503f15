import KelterModel

/// A rule or an item of the brute-force search, as plain indices: five keys in the order of their strength.
struct OracleRule {
    /// The values allowed for each key; `nil` where the rule does not have the key.
    var allowed: [Set<Int>?]

    static func random(using generator: inout SeededGenerator) -> OracleRule {
        OracleRule(
            allowed: (0..<5).map { _ in
                guard Bool.random(using: &generator) else { return nil }
                return Set(
                    (0..<Int.random(in: 1...2, using: &generator)).map { _ in Int.random(in: 0..<3, using: &generator) }
                )
            }
        )
    }

    var hasKey: Bool { allowed.contains { $0 != nil } }

    func matches(_ item: [Int?]) -> Bool {
        zip(allowed, item).allSatisfy { allowed, value in
            guard let allowed else { return true }
            guard let value else { return false }
            return allowed.contains(value)
        }
    }

    /// Key by key from the strongest: the first key that only one of the two has decides.
    func beats(_ other: OracleRule) -> Bool {
        for (own, others) in zip(allowed, other.allowed) where (own != nil) != (others != nil) { return own != nil }
        return false
    }

    func hasKeys(of other: OracleRule) -> Bool {
        zip(allowed, other.allowed).allSatisfy { ($0 != nil) == ($1 != nil) }
    }

    /// Whether some complete item matches both, found by trying all of them.
    func meets(_ other: OracleRule) -> Bool {
        Self.completeItems.contains { matches($0) && other.matches($0) }
    }

    /// All items that have all five keys, with three values each.
    static let completeItems: [[Int?]] = (0..<243).map { number in
        [number % 3, number / 3 % 3, number / 9 % 3, number / 27 % 3, number / 81]
    }
}

/// The texts behind the indices.
enum OracleText {
    static let tenants = ["acme", "Globex", "initech"]
    static let keys: [RouteKey] = [.collection, .workflow, .process, .docClass, .tenant]

    static func collection(_ index: Int) -> RowID { RowID(high: 7, low: UInt64(index)) }

    static func value(_ key: Int, _ index: Int) -> String {
        switch key {
        case 0: collection(index).description
        case 4: tenants[index]
        default: "v\(index)"
        }
    }

    static func rule(_ rule: OracleRule, profile: String, line: Int) throws -> RoutingRule {
        var values: [RouteKey: [String]] = [:]
        for (key, allowed) in rule.allowed.enumerated() {
            if let allowed { values[keys[key]] = allowed.sorted().map { value(key, $0) } }
        }
        return try RoutingRule(profile: profile, values: values, place: "routing.yaml:\(line)")
    }

    static func keys(_ item: [Int?]) throws -> RouteKeys {
        RouteKeys(
            tenant: try Tenant(item[4].map { tenants[$0] } ?? "none-of-them"),
            collection: item[0].map(collection),
            workflow: item[1].map { "v\($0)" },
            process: item[2].map { "V\($0) " },
            docClass: item[3].map { " v\($0)" }
        )
    }
}
