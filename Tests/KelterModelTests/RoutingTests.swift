import KelterModel
import Testing

@Suite("Routing")
struct RoutingTests {
    private func profile(_ name: String, space: String = "rag") -> EmbeddingProfile {
        EmbeddingProfile(name: name, model: "model of \(space)", dimension: 8, tokenizer: .bytes, vectorSpace: space)
    }

    private func rule(_ profile: String, line: Int = 1, _ values: [RouteKey: [String]]) throws -> RoutingRule {
        try RoutingRule(profile: profile, values: values, place: "routing.yaml:\(line)")
    }

    private func error(
        _ profiles: [EmbeddingProfile],
        default name: String = "standard",
        rules: [RoutingRule] = [],
        places: [String: String] = [:]
    ) -> KelterError? {
        do throws(KelterError) {
            _ = try Routing(profiles: profiles, default: name, rules: rules, places: places)
            return nil
        } catch {
            return error
        }
    }

    @Test("of two rules that match, the first key that only one of them has decides, for all sets of keys")
    func specificityOfPairs() throws {
        let item: [Int?] = [0, 0, 0, 0, 0]
        for left in 1..<32 {
            for right in 1..<32 where left != right {
                let rules = [left, right].map { bits in
                    OracleRule(allowed: (0..<5).map { bits >> $0 & 1 == 1 ? [0] : nil })
                }
                let routing = try Routing(
                    profiles: [profile("standard"), profile("left"), profile("right")],
                    default: "standard",
                    rules: [
                        try OracleText.rule(rules[0], profile: "left", line: 1),
                        try OracleText.rule(rules[1], profile: "right", line: 2),
                    ]
                )
                let winner = routing.explain(for: try OracleText.keys(item))
                #expect(winner.profile == (rules[0].beats(rules[1]) ? "left" : "right"), "\(left) \(right)")
            }
        }
    }

    @Test("the winner among random rules is that of a brute-force search, whatever keys the item has")
    func oracle() throws {
        var generator = SeededGenerator(seed: 20_261_125)
        var winners = 0
        for _ in 0..<60 {
            var rules: [OracleRule] = []
            while rules.count < 25 {
                let rule = OracleRule.random(using: &generator)
                guard rule.hasKey, !rules.contains(where: { $0.hasKeys(of: rule) && $0.meets(rule) }) else { continue }
                rules.append(rule)
            }
            let names = (0..<rules.count).map { "p\($0)" }
            let routing = try Routing(
                profiles: [profile("standard")] + names.map { profile($0) },
                default: "standard",
                rules: try rules.enumerated().map { try OracleText.rule($1, profile: names[$0], line: $0) }
            )
            for known in 0..<32 {
                let item = (0..<5).map { known >> $0 & 1 == 1 ? Int.random(in: 0..<3, using: &generator) : nil }
                let matching = rules.indices.filter { rules[$0].matches(item) }
                let winner = matching.first { candidate in
                    matching.allSatisfy { $0 == candidate || rules[candidate].beats(rules[$0]) }
                }
                #expect((winner == nil) == matching.isEmpty)
                let keys = try OracleText.keys(item)
                let explained = routing.explain(for: keys)
                #expect(explained.profile == winner.map { names[$0] } ?? "standard")
                #expect(explained.rule == winner.map { "routing.yaml:\($0)" })
                #expect(try routing.profile(for: keys).name == explained.profile)
                if winner != nil { winners += 1 }
            }
        }
        #expect(winners > 500)
    }

    @Test("two rules conflict exactly when they have the same keys and some item matches both")
    func conflicts() throws {
        var generator = SeededGenerator(seed: 7)
        var found = 0
        for _ in 0..<2000 {
            let first = OracleRule.random(using: &generator)
            var second = OracleRule.random(using: &generator)
            // Two random sets of keys are seldom equal.
            if Bool.random(using: &generator) {
                second.allowed = first.allowed.map { $0 == nil ? nil : [Int.random(in: 0..<3, using: &generator)] }
            }
            guard first.hasKey, second.hasKey else { continue }
            let error = error(
                [profile("standard")],
                rules: [
                    try OracleText.rule(first, profile: "standard", line: 3),
                    try OracleText.rule(second, profile: "standard", line: 9),
                ]
            )
            let isConflict = first.hasKeys(of: second) && first.meets(second)
            #expect((error != nil) == isConflict)
            guard let error else { continue }
            found += 1
            #expect(error.code == .routeConflict && error.subject == "routing.yaml:9")
            #expect(error.message.contains("routing.yaml:3") && error.fix != nil)
        }
        #expect(found > 50)
    }

    @Test("a rule that contradicts another is told from one that repeats it")
    func repetition() throws {
        let rules = [try rule("a", line: 1, [.process: ["x", "y"]]), try rule("b", line: 2, [.process: ["Y "]])]
        let profiles = [profile("standard"), profile("a"), profile("b")]
        #expect(error(profiles, rules: rules)?.message.contains("contradicts") == true)
        let repeated = [rules[0], try rule("a", line: 2, [.process: ["Y "]])]
        #expect(error(profiles, rules: repeated)?.message.contains("repeats") == true)
    }

    @Test("values are compared as a sidecar stores them, tenants by their row and collections as UUIDs")
    func comparison() throws {
        let uuid = "6f1c1d9e-0d5a-4b7e-9a53-2f1f6f0f7c11"
        let profiles = ["standard", "tenant", "collection", "process", "class", "workflow"].map { profile($0) }
        let routing = try Routing(
            profiles: profiles,
            default: "standard",
            rules: [
                try rule("tenant", [.tenant: [" ACME"]]), try rule("collection", [.collection: [uuid.uppercased()]]),
                try rule("process", [.process: [" ÜBERSETZUNG"]]), try rule("class", [.docClass: ["NDA "]]),
                try rule("workflow", [.workflow: [" Intake "]]),
            ]
        )
        func route(_ keys: RouteKeys) throws -> String { try routing.profile(for: keys).name }
        let (acme, other) = (try Tenant("acme"), try Tenant("other"))
        #expect(try route(RouteKeys(tenant: acme)) == "tenant")
        #expect(try route(RouteKeys(tenant: try Tenant(acme.rowID.description))) == "tenant")
        #expect(try route(RouteKeys(tenant: other)) == "standard")
        #expect(try route(RouteKeys(tenant: other, collection: CollectionID(uuid))) == "collection")
        #expect(try route(RouteKeys(tenant: other, workflow: "Intake")) == "workflow")
        #expect(try route(RouteKeys(tenant: other, workflow: "intake")) == "standard")
        #expect(try route(RouteKeys(tenant: other, process: " ")) == "standard")
        var sidecar = Sidecar()
        sidecar.docClass = "nda"
        #expect(try route(RouteKeys(tenant: other, collection: nil, sidecar: sidecar)) == "class")
        sidecar.process = "übersetzung"
        #expect(try route(RouteKeys(tenant: other, collection: nil, sidecar: sidecar)) == "process")
        sidecar.workflowID = "Intake"
        #expect(try route(RouteKeys(tenant: other, collection: nil, sidecar: sidecar)) == "workflow")
        let all = RouteKeys(tenant: other, collection: CollectionID(uuid), sidecar: sidecar)
        #expect(try route(all) == "collection")
    }

    @Test(
        "a rule without keys, without values or with a bad value is refused with its place",
        arguments: [
            [:], [.process: []], [.process: [" "]], [.collection: ["6f1c"]], [.tenant: ["a b"]],
            [.docClass: ["nda"], .tenant: ["acme", ""]],
        ] as [[RouteKey: [String]]]
    )
    func badRules(values: [RouteKey: [String]]) {
        let error = #expect(throws: KelterError.self) { try rule("standard", line: 12, values) }
        #expect(error?.code == .routeInvalid && error?.subject == "routing.yaml:12" && error?.fix != nil)
    }

    @Test("a name given by the caller beats the rules, and an unknown one is refused with a list")
    func explicitName() throws {
        let routing = try Routing(
            profiles: [profile("standard"), profile("legal", space: "rag_legal")],
            default: "standard",
            rules: [try rule("legal", [.tenant: ["acme"]])]
        )
        let keys = RouteKeys(tenant: try Tenant("acme"))
        #expect(try routing.profile(for: keys).name == "legal")
        #expect(try routing.profile(for: keys, named: "standard").name == "standard")
        let error = #expect(throws: KelterError.self) { try routing.profile(for: keys, named: "Legal") }
        #expect(error?.code == .unknownProfile && error?.fix?.contains("standard, legal") == true)
        #expect(error?.code.exitCode == .badInput)
    }

    @Test("a default or a rule with an unknown profile is refused")
    func unknownProfiles() throws {
        let unknownDefault = error([profile("standard")], default: "legal")
        #expect(unknownDefault?.code == .unknownProfile && unknownDefault?.subject == "RAG_DEFAULT_EMBEDDING_PROFILE")
        let unknownRule = error([profile("standard")], rules: [try rule("legal", line: 4, [.tenant: ["acme"]])])
        #expect(unknownRule?.code == .unknownProfile && unknownRule?.subject == "routing.yaml:4")
        #expect(error([profile("standard"), profile("standard")])?.code == .routeConflict)
    }

    @Test("one profile is the answer to everything")
    func oneProfile() throws {
        let routing = Routing(profile("only"))
        let keys = RouteKeys(tenant: try Tenant("acme"), collection: RowID(high: 1, low: 2), process: "p")
        #expect(try routing.profile(for: keys).name == "only" && routing.defaultProfile.name == "only")
        #expect(routing.explain(for: keys) == ("only", nil))
        #expect(routing.spaces.map(\.schema) == ["rag"])
    }

    @Test("profiles of one space may be cut differently but must embed alike")
    func spaces() throws {
        var other = profile("other")
        other.targetTokens = 100
        other.tokenizer = .cl100k
        let routing = try Routing(
            profiles: [profile("standard"), profile("legal", space: "l"), other],
            default: "other"
        )
        #expect(routing.profiles.map(\.name) == ["standard", "legal", "other"])
        #expect(routing.spaces.map(\.schema) == ["rag", "l"])
        #expect(routing.spaces.map(\.model) == ["model of rag", "model of l"])
        let changes: [(String, (inout EmbeddingProfile) -> Void)] = [
            ("model", { $0.model = "m" }), ("fallback", { $0.fallbackModel = "f" }),
            ("dimension", { $0.dimension = 9 }),
            ("passage_prefix", { $0.passagePrefix = "p" }), ("query_prefix", { $0.queryPrefix = "q" }),
        ]
        for (name, change) in changes {
            var changed = profile("changed")
            change(&changed)
            let error = error([profile("standard"), changed], places: ["changed": "routing.yaml:5"])
            #expect(error?.code == .routeConflict && error?.subject == "routing.yaml:5")
            #expect(error?.message.contains("differ in \(name).") == true)
        }
    }

    @Test("a question is embedded with the profile of its collections, which must share a space")
    func questions() throws {
        let ids = (0..<6).map { RowID(high: 9, low: UInt64($0)) }
        let routing = try Routing(
            profiles: [profile("standard"), profile("legal", space: "l"), profile("short")],
            default: "standard",
            rules: [
                try rule("legal", [.collection: [ids[1], ids[2], ids[3], ids[4], ids[5]].map(\.description)]),
                try rule("short", [.docClass: ["memo"]]),
            ]
        )
        let tenant = try Tenant("acme")
        func route(_ collections: [CollectionID], _ docClass: String? = nil, _ named: String? = nil) throws -> String {
            try routing.profile(forQuestion: tenant, collections: collections, docClass: docClass, named: named).name
        }
        #expect(try route([]) == "standard" && route([], "Memo") == "short")
        #expect(try route([ids[0]]) == "standard" && route([ids[1]]) == "legal" && route([ids[1], ids[2]]) == "legal")
        #expect(try route([ids[0], ids[1]], nil, "legal") == "legal")
        #expect(throws: KelterError.self) { try route([ids[0]], nil, "missing") }
        for collections in [[ids[0], ids[1]], [ids[1], ids[0]]] {
            let error = #expect(throws: KelterError.self) { try route(collections) }
            #expect(error?.code == .routeConflict && error?.fix?.contains("one by one") == true)
            #expect(collections.allSatisfy { error?.message.contains($0.description) == true })
        }
        let many = #expect(throws: KelterError.self) { try route(ids) }
        #expect(many?.message.contains("and 2 more in \"l\"") == true)
    }
}
