package import KelterModel

extension Settings {
    /// The routing file that is read when `RAG_ROUTING_RULES_PATH` names none, below the working directory.
    package static let defaultRoutingPath = "Config/routing.yaml"

    /// Where the routing file is, which the caller reads before it makes the settings.
    ///
    /// - Parameters:
    ///   - flags: Values given on the command line, by setting name.
    ///   - environment: The process's environment.
    ///   - file: Text and path of the configuration file, where there is one.
    /// - Returns: The path, and whether it was named: such a file must exist, the default one need not.
    /// - Throws: ``KelterError`` with ``ErrorCode/configurationFileInvalid``.
    package static func routingPath(
        flags: [String: String] = [:],
        environment: [String: String],
        file: (text: String, path: String)? = nil
    ) throws(KelterError) -> (path: String, isNamed: Bool) {
        var configuration: ConfigurationFile?
        if let file { configuration = try ConfigurationFile(text: file.text, path: file.path) }
        var reader = SettingsReader(flags: flags, environment: environment, file: configuration)
        let path = reader.text("RAG_ROUTING_RULES_PATH")
        return (path ?? defaultRoutingPath, path != nil)
    }

    /// The profiles and rules of the settings and the routing file.
    ///
    /// - Parameters:
    ///   - reader: The settings, to which the file's profile `standard` belongs.
    ///   - file: The routing file, where there is one.
    /// - Returns: The routing and the profile `standard`.
    /// - Throws: ``KelterError`` naming the setting, or the file with its line.
    static func routing(
        _ reader: inout SettingsReader,
        _ file: RoutingFile?
    ) throws(KelterError) -> (routing: Routing, standard: EmbeddingProfile) {
        let path = reader.text("RAG_ROUTING_RULES_PATH", builtIn: defaultRoutingPath) ?? defaultRoutingPath
        guard file != nil || reader.explained.last?.origin == .builtIn else {
            throw KelterError(
                .routeInvalid,
                "The routing file was not read.",
                subject: path,
                fix: "Create it, or remove RAG_ROUTING_RULES_PATH."
            )
        }
        let defaultName = reader.text("RAG_DEFAULT_EMBEDDING_PROFILE", builtIn: EmbeddingProfile.standardName) ?? ""
        let declared = file?.spaces?.mapValues(\.dimension)
        let standard = try EmbeddingProfile(
            name: EmbeddingProfile.standardName,
            &reader,
            widths: declared ?? [:]
        )
        guard let file else { return (try Routing(profiles: [standard], default: defaultName), standard) }

        try compare(standard, with: file)
        let widths = declared ?? [standard.vectorSpace: standard.dimension]
        var profiles = [standard]
        for definition in file.profiles where definition.name != standard.name {
            profiles.append(try profile(definition, widths: widths))
        }
        let routing = try Routing(
            profiles: profiles,
            default: defaultName,
            rules: file.rules,
            places: Dictionary(uniqueKeysWithValues: file.profiles.map { ($0.name, $0.place()) })
        )
        return (routing, standard)
    }

    /// A profile of the file, made of nothing but its own keys.
    private static func profile(
        _ definition: RoutingFile.Profile,
        widths: [String: Int]
    ) throws(KelterError) -> EmbeddingProfile {
        var reader = SettingsReader(profile: definition)
        let profile = try EmbeddingProfile(name: definition.name, &reader, widths: widths)
        guard let width = widths[profile.vectorSpace] else {
            let known = widths.keys.sorted().joined(separator: ", ")
            throw KelterError(
                .unknownSpace,
                "The vector space \"\(profile.vectorSpace)\" of the profile \"\(profile.name)\" is not declared.",
                subject: definition.place(.vectorSpace),
                fix: "Declare it with its width under vector_spaces"
                    + (known.isEmpty ? "." : ", or use one of these: \(known).")
            )
        }
        guard profile.dimension == width else {
            throw KelterError(
                .schemaDimensionMismatch,
                "The profile \"\(profile.name)\" has vectors of \(profile.dimension) numbers, but the vector space "
                    + "\"\(profile.vectorSpace)\" has vectors of \(width).",
                subject: definition.place(.dimension),
                fix: "Correct one of the two, or give the profile another vector space."
            )
        }
        return profile
    }

    /// Compares the width of the settings' own profile with that of its space, which need not be declared.
    private static func compare(_ standard: EmbeddingProfile, with file: RoutingFile) throws(KelterError) {
        guard let space = file.spaces?[standard.vectorSpace], space.dimension != standard.dimension else { return }
        let definition = file.profiles.first { $0.name == standard.name }
        throw KelterError(
            .schemaDimensionMismatch,
            "The profile \"\(standard.name)\" has vectors of \(standard.dimension) numbers (EMBEDDINGS_DIM), but the "
                + "vector space \"\(standard.vectorSpace)\" has vectors of \(space.dimension).",
            subject: definition?.place(.dimension) ?? "\(file.path):\(space.line)",
            fix: "Correct one of the two, or give the profile another vector space."
        )
    }
}
