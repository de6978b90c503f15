// swift-tools-version: 6.3
import PackageDescription

// Every target gets the same language settings; each feature links to its proposal.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0335-existential-any.md
    .enableUpcomingFeature("ExistentialAny"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0409-access-level-on-imports.md
    .enableUpcomingFeature("InternalImportsByDefault"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0444-member-import-visibility.md
    .enableUpcomingFeature("MemberImportVisibility"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0461-async-function-isolation.md
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0470-isolated-conformances.md
    .enableUpcomingFeature("InferIsolatedConformances"),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "kelter",
    products: [
        .executable(name: "kelter", targets: ["kelter"]),
        .executable(name: "kelter-bench", targets: ["KelterBenchmarks"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        // Without its traits: neither swift-configuration nor full Foundation is used by the server.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .systemLibrary(name: "CLibCMark", pkgConfig: "libcmark-gfm", providers: [.apt(["libcmark-gfm-dev"])]),
        .systemLibrary(name: "CLibUchardet", pkgConfig: "uchardet", providers: [.apt(["libuchardet-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // C++ behind one C function.
        .target(name: "CLibCLD2", linkerSettings: [.linkedLibrary("cld2")]),

        .target(name: "KelterModel"),
        .target(name: "KelterHashing", dependencies: ["KelterModel", "CLibCrypto"]),
        .target(name: "KelterSettings", dependencies: ["KelterModel", yams]),
        .target(
            name: "KelterParsing",
            dependencies: ["KelterModel", "CLibXML2", "CLibCMark", "CLibUchardet", "CLibCLD2", "CZlib"]
        ),
        .target(name: "KelterChunking", dependencies: ["KelterModel"]),
        .target(name: "KelterEmbedding", dependencies: ["KelterModel", "CLibCurl"]),
        .target(
            name: "KelterStore",
            dependencies: ["KelterModel", "CLibPQ"],
            resources: [.embedInCode("Migrations/SQL"), .embedInCode("Schema/Declared")]
        ),
        .target(
            name: "KelterPipeline",
            dependencies: [
                "KelterModel", "KelterHashing", "KelterSettings", "KelterParsing", "KelterChunking", "KelterEmbedding",
                "KelterStore",
            ]
        ),
        .target(name: "KelterLocal", dependencies: ["KelterModel"]),
        .target(
            name: "KelterServer",
            dependencies: [
                "KelterModel", "KelterHashing", "KelterStore", "KelterPipeline", logging, serviceLifecycle,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            resources: [.embedInCode("openapi.json")]
        ),
        .target(
            name: "KelterCommands",
            dependencies: [
                "KelterModel", "KelterHashing", "KelterSettings", "KelterPipeline", "KelterLocal", "KelterStore",
                "KelterEmbedding", "KelterParsing", "KelterServer", argumentParser, logging, serviceLifecycle,
                unixSignals,
            ]
        ),
        .executableTarget(name: "kelter", dependencies: ["KelterCommands"]),
        .target(
            name: "KelterTestSupport",
            dependencies: ["KelterModel", "KelterLocal", "KelterStore"]
        ),
        .executableTarget(
            name: "KelterBenchmarks",
            dependencies: [
                "KelterModel", "KelterParsing", "KelterEmbedding", "KelterLocal", "KelterStore", "KelterTestSupport",
            ]
        ),

        .testTarget(name: "KelterModelTests", dependencies: ["KelterModel"]),
        .testTarget(name: "KelterHashingTests", dependencies: ["KelterHashing", "KelterModel"]),
        .testTarget(name: "KelterSettingsTests", dependencies: ["KelterSettings", "KelterModel"]),
        .testTarget(
            name: "KelterParsingTests",
            dependencies: ["KelterParsing", "KelterLocal", "KelterModel", "CZlib"]
        ),
        .testTarget(name: "KelterChunkingTests", dependencies: ["KelterChunking", "KelterModel"]),
        .testTarget(
            name: "KelterEmbeddingTests",
            dependencies: ["KelterEmbedding", "KelterLocal", "KelterModel", "KelterTestSupport", "CLibCurl"]
        ),
        .testTarget(name: "KelterServerTests", dependencies: ["KelterServer", "KelterModel"]),
        .testTarget(
            name: "KelterPipelineTests",
            dependencies: [
                "KelterPipeline", "KelterModel", "KelterHashing", "KelterStore", "KelterEmbedding", "KelterLocal",
            ]
        ),
        .testTarget(name: "KelterLocalTests", dependencies: ["KelterLocal", "KelterModel", "KelterTestSupport"]),
        .testTarget(name: "IntegrationTests", dependencies: ["KelterStore", "KelterModel", "KelterTestSupport"]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "kelter", "KelterModel", "KelterHashing", "KelterEmbedding", "KelterParsing", "KelterStore",
                "KelterLocal",
                "KelterTestSupport",
            ],
            exclude: ["Fixtures"]
        ),
    ]
)

for target in package.targets where target.type != .system && target.name != "CLibCLD2" {
    target.swiftSettings = settings
}

// The fuzzer has libFuzzer's main function instead of its own: a package by itself, for `make fuzz`.
if Context.environment["KELTER_FUZZING"] != nil {
    let libraries = ["KelterModel", "KelterParsing", "CLibXML2", "CLibCMark", "CLibUchardet", "CLibCLD2", "CZlib"]
    package.dependencies = []
    package.products = []
    package.targets =
        package.targets.filter { libraries.contains($0.name) } + [
            .executableTarget(
                name: "kelter-fuzz",
                dependencies: ["KelterModel", "KelterParsing", "CZlib"],
                path: "Tests",
                exclude: ["Fuzzing/tokens.dict"],
                sources: [
                    "Fuzzing", "KelterParsingTests/ParsedDocumentChecks.swift", "KelterParsingTests/Samples.swift",
                    "KelterParsingTests/Archives/ArchiveSamples.swift", "KelterParsingTests/Office/OfficeSamples.swift",
                ],
                swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]
            )
        ]
}
