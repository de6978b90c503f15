/// The embedding profiles and the rules that choose among them.
package struct Routing: Sendable {
    /// A schema that holds vectors; all its profiles have the same model.
    package struct Space: Equatable, Sendable {
        package let schema: String
        /// The width of the vectors.
        package let dimension: Int
        /// The model alias that makes them.
        package let model: String
    }

    /// All profiles, that of the settings first, then in the order of the file.
    package let profiles: [EmbeddingProfile]
    /// The profile of what no rule matches.
    package let defaultProfile: EmbeddingProfile
    /// The vector spaces of the profiles, in the profiles' order.
    package let spaces: [Space]
    private let byName: [String: EmbeddingProfile]
    private let table: RuleTable

    /// One profile for everything.
    package init(_ profile: EmbeddingProfile) {
        profiles = [profile]
        defaultProfile = profile
        spaces = [Space(profile)]
        byName = [profile.name: profile]
        table = RuleTable()
    }

    /// Validates profiles and rules.
    ///
    /// - Parameters:
    ///   - profiles: The profiles, each with its own name.
    ///   - defaultName: The profile of what no rule matches.
    ///   - rules: The rules, in any order.
    ///   - places: Where profiles are defined, by their names, for messages; the others come from the settings.
    /// - Throws: ``KelterError`` with ``ErrorCode/unknownProfile`` for a default or a rule whose profile is not there,
    ///   and ``ErrorCode/routeConflict`` for two profiles of one name, for profiles of one vector space with different
    ///   vectors, and for rules that can match the same item and are equally specific.
    package init(
        profiles: [EmbeddingProfile],
        default defaultName: String,
        rules: [RoutingRule] = [],
        places: [String: String] = [:]
    ) throws(KelterError) {
        var byName: [String: EmbeddingProfile] = [:]
        for profile in profiles where byName.updateValue(profile, forKey: profile.name) != nil {
            throw KelterError(
                .routeConflict,
                "There are two profiles \"\(shortened(profile.name))\".",
                subject: places[profile.name],
                fix: "Give each profile its own name."
            )
        }
        guard let defaultProfile = byName[defaultName] else {
            throw Self.unknown(defaultName, of: profiles).about("RAG_DEFAULT_EMBEDDING_PROFILE")
        }
        for rule in rules where byName[rule.profile] == nil {
            throw Self.unknown(rule.profile, of: profiles).about(rule.place)
        }
        spaces = try Self.spaces(profiles, places)
        table = try RuleTable(rules)
        self.profiles = profiles
        self.defaultProfile = defaultProfile
        self.byName = byName
    }
}

extension Routing {
    /// The profile of an item.
    ///
    /// Of the rules that match, the most specific wins: a collection beats a workflow, that a process, that a document
    /// class and that a tenant, whatever weaker keys there are.
    ///
    /// - Parameters:
    ///   - keys: What is known of the item.
    ///   - explicit: The profile that the caller or the sidecar names, which beats all rules.
    /// - Returns: The profile named, else that of the winning rule, else ``defaultProfile``.
    /// - Throws: ``KelterError`` with ``ErrorCode/unknownProfile`` for a name that no profile has.
    package func profile(
        for keys: RouteKeys,
        named explicit: String? = nil
    ) throws(KelterError) -> EmbeddingProfile {
        explicit == nil ? routed(keys) : try profile(named: explicit)
    }

    /// A profile by its name; the default one for `nil`.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/unknownProfile``.
    package func profile(named name: String?) throws(KelterError) -> EmbeddingProfile {
        guard let name else { return defaultProfile }
        guard let profile = byName[name] else { throw Self.unknown(name, of: profiles) }
        return profile
    }

    /// The profile a question is embedded with.
    ///
    /// A question is compared with the vectors of one space. Where its collections lead to several profiles of one
    /// space any of them will do, because they embed alike.
    ///
    /// - Parameters:
    ///   - tenant: The tenant who asks.
    ///   - collections: The collections asked; none means that the question has no collection.
    ///   - docClass: The document class that is asked for.
    ///   - explicit: The profile that the caller names, which beats all rules.
    /// - Returns: The profile.
    /// - Throws: ``KelterError`` with ``ErrorCode/unknownProfile`` for a name that no profile has, and
    ///   ``ErrorCode/routeConflict`` when the collections have their vectors in different spaces.
    package func profile(
        forQuestion tenant: Tenant,
        collections: [CollectionID],
        docClass: String? = nil,
        named explicit: String? = nil
    ) throws(KelterError) -> EmbeddingProfile {
        let profile = try profile(
            for: RouteKeys(tenant: tenant, collection: collections.first, docClass: docClass),
            named: explicit
        )
        guard explicit == nil, collections.count > 1 else { return profile }
        var bySpace: [(schema: String, collections: [CollectionID])] = []
        for collection in collections {
            let schema = routed(RouteKeys(tenant: tenant, collection: collection, docClass: docClass)).vectorSpace
            if let index = bySpace.firstIndex(where: { $0.schema == schema }) {
                bySpace[index].collections.append(collection)
            } else {
                bySpace.append((schema, [collection]))
            }
        }
        guard bySpace.count == 1 else { throw Self.divided(bySpace) }
        return profile
    }

    /// Which profile the rules give to an item and where the rule stands, such as `Config/routing.yaml:12`; `nil` for
    /// the default.
    package func explain(for keys: RouteKeys) -> (profile: String, rule: String?) {
        let rule = table.rule(for: keys)
        return (rule?.profile ?? defaultProfile.name, rule?.place)
    }

    private func routed(_ keys: RouteKeys) -> EmbeddingProfile {
        table.rule(for: keys).flatMap { byName[$0.profile] } ?? defaultProfile
    }
}

extension Routing {
    private static func unknown(_ name: String, of profiles: [EmbeddingProfile]) -> KelterError {
        KelterError(
            .unknownProfile,
            "There is no embedding profile \"\(shortened(name))\".",
            fix: "Use one of these: \(profiles.map(\.name).joined(separator: ", "))."
        )
    }

    /// The spaces of profiles, which must agree on everything that vectors depend on.
    private static func spaces(
        _ profiles: [EmbeddingProfile],
        _ places: [String: String]
    ) throws(KelterError) -> [Space] {
        var spaces: [Space] = []
        var first: [String: EmbeddingProfile] = [:]
        for profile in profiles {
            guard let other = first[profile.vectorSpace] else {
                first[profile.vectorSpace] = profile
                spaces.append(Space(profile))
                continue
            }
            let differences = [
                ("model", profile.model == other.model), ("fallback", profile.fallbackModel == other.fallbackModel),
                ("dimension", profile.dimension == other.dimension),
                ("passage_prefix", profile.passagePrefix == other.passagePrefix),
                ("query_prefix", profile.queryPrefix == other.queryPrefix),
            ]
            .filter { !$0.1 }
            .map(\.0)
            guard differences.isEmpty else {
                let place = places[other.name] ?? "of the settings"
                throw KelterError(
                    .routeConflict,
                    "The profiles \"\(profile.name)\" and \"\(other.name)\" (\(place))"
                        + " share the vector space \"\(profile.vectorSpace)\" but differ in "
                        + "\(differences.joined(separator: ", ")).",
                    subject: places[profile.name],
                    fix: "Give each model a vector space of its own."
                )
            }
        }
        return spaces
    }

    private static func divided(_ bySpace: [(schema: String, collections: [CollectionID])]) -> KelterError {
        let parts = bySpace.map { space in
            let named = space.collections.prefix(3).map(\.description).joined(separator: ", ")
            let more = space.collections.count > 3 ? " and \(space.collections.count - 3) more" : ""
            return "\(named)\(more) in \"\(space.schema)\""
        }
        return KelterError(
            .routeConflict,
            "The collections have their vectors in different vector spaces: \(parts.joined(separator: "; ")).",
            subject: "collection_ids",
            fix: "Ask the collections of each vector space one by one."
        )
    }
}

extension Routing.Space {
    fileprivate init(_ profile: EmbeddingProfile) {
        self.init(schema: profile.vectorSpace, dimension: profile.dimension, model: profile.model)
    }
}
