/// Items with these keys are embedded with this profile.
package struct RoutingRule: Equatable, Sendable {
    /// The name of the profile.
    package let profile: String
    /// Where the rule stands, such as `Config/routing.yaml:12`.
    package let place: String
    /// The values that each key may have, in the form of ``RouteKey/canonical(_:)``; never empty.
    let values: [RouteKey: Set<String>]
    /// The strongest of the rule's keys.
    let strongest: RouteKey

    /// Validates a rule.
    ///
    /// - Parameters:
    ///   - profile: The name of the profile.
    ///   - values: The values that each key may have, as they are written; all keys must match.
    ///   - place: Where the rule stands, for messages.
    /// - Throws: ``KelterError`` with ``ErrorCode/routeInvalid`` for a rule without keys, and for a key without a value
    ///   or with a malformed one.
    package init(profile: String, values: [RouteKey: [String]], place: String) throws(KelterError) {
        guard let strongest = RouteKey.allCases.first(where: { values[$0] != nil }) else {
            throw KelterError(
                .routeInvalid,
                "The rule has no key, so that it would match everything.",
                subject: place,
                fix: "Give it a key, or name the profile in RAG_DEFAULT_EMBEDDING_PROFILE."
            )
        }
        var canonical: [RouteKey: Set<String>] = [:]
        for key in RouteKey.allCases {
            guard let texts = values[key] else { continue }
            guard !texts.isEmpty else {
                throw KelterError(
                    .routeInvalid,
                    "The list of \(key.rawValue) is empty, so that the rule would match nothing.",
                    subject: place,
                    fix: "Give a value or leave the key out."
                )
            }
            for text in texts {
                do throws(KelterError) {
                    canonical[key, default: []].insert(try key.canonical(text))
                } catch {
                    throw error.about(place)
                }
            }
        }
        self.profile = profile
        self.place = place
        self.values = canonical
        self.strongest = strongest
    }

    /// The sum of the keys' weights: of two rules that match an item the one with the greater sum wins.
    var weight: Int { values.keys.reduce(0) { $0 + $1.weight } }

    /// Whether an item has one of the values of every key.
    func matches(_ keys: RouteKeys) -> Bool {
        values.allSatisfy { key, allowed in keys.values[key].map(allowed.contains) ?? false }
    }

    /// Whether an item could match this rule and another one with the same keys.
    func overlaps(_ other: RoutingRule) -> Bool {
        values.allSatisfy { key, allowed in other.values[key].map { !allowed.isDisjoint(with: $0) } ?? false }
    }
}

/// Rules, arranged so that finding the winner takes no longer the more rules there are for single collections.
struct RuleTable: Sendable {
    /// Rules with the same keys, of which at most one matches an item.
    private struct Group {
        let weight: Int
        let strongest: RouteKey
        /// The rules by each value of their strongest key.
        var rules: [String: [RoutingRule]] = [:]
    }

    /// The strongest first.
    private var groups: [Group] = []

    /// A table without rules.
    init() {}

    /// Arranges rules.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/routeConflict`` for two rules with the same keys that can match the
    ///   same item, naming both.
    init(_ rules: [RoutingRule]) throws(KelterError) {
        var byWeight: [Int: Group] = [:]
        for rule in rules {
            var group =
                byWeight.removeValue(forKey: rule.weight) ?? Group(weight: rule.weight, strongest: rule.strongest)
            for value in (rule.values[rule.strongest] ?? []).sorted() {
                if let earlier = group.rules[value]?.first(where: rule.overlaps) {
                    throw Self.conflict(rule, earlier)
                }
                group.rules[value, default: []].append(rule)
            }
            byWeight[rule.weight] = group
        }
        groups = byWeight.values.sorted { $0.weight > $1.weight }
    }

    /// The most specific rule that matches an item.
    func rule(for keys: RouteKeys) -> RoutingRule? {
        for group in groups {
            guard let value = keys.values[group.strongest], let candidates = group.rules[value] else { continue }
            if let rule = candidates.first(where: { $0.matches(keys) }) { return rule }
        }
        return nil
    }

    private static func conflict(_ rule: RoutingRule, _ earlier: RoutingRule) -> KelterError {
        let keys = RouteKey.allCases.filter { rule.values[$0] != nil }.map(\.rawValue).joined(separator: ", ")
        return KelterError(
            .routeConflict,
            "The rule \(rule.profile == earlier.profile ? "repeats" : "contradicts") that of \(earlier.place): "
                + "both have the keys \(keys) and can match the same item.",
            subject: rule.place,
            fix: "Remove one of the two, or a value from one of them."
        )
    }
}
