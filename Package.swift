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

let package = Package(
    name: "kelter",
    products: [
        .executable(name: "kelter", targets: ["kelter"]),
        .executable(name: "kelter-bench", targets: ["KelterBenchmarks"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .systemLibrary(name: "CLibCMark", pkgConfig: "libcmark-gfm", providers: [.apt(["libcmark-gfm-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        .target(name: "KelterModel"),
        .target(name: "KelterHashing", dependencies: ["KelterModel", "CLibCrypto"]),
        .target(name: "KelterSettings", dependencies: ["KelterModel", yams]),
        .target(name: "KelterParsing", dependencies: ["KelterModel", "CLibXML2", "CLibCMark"]),
        .target(name: "KelterChunking", dependencies: ["KelterModel"]),
        .target(name: "KelterEmbedding", dependencies: ["KelterModel", "CLibCurl"]),
        .target(name: "KelterStore", dependencies: ["KelterModel", "CLibPQ"]),
        .target(
            name: "KelterPipeline",
            dependencies: [
                "KelterModel", "KelterHashing", "KelterSettings", "KelterParsing", "KelterChunking", "KelterEmbedding",
                "KelterStore",
            ]
        ),
        .target(name: "KelterLocal", dependencies: ["KelterModel"]),
        .target(
            name: "KelterCommands",
            dependencies: [
                "KelterModel", "KelterHashing", "KelterSettings", "KelterPipeline", "KelterLocal", "KelterStore",
                "KelterEmbedding", argumentParser,
            ]
        ),
        .executableTarget(name: "kelter", dependencies: ["KelterCommands"]),
        .target(
            name: "KelterTestSupport",
            dependencies: ["KelterModel", "KelterLocal", "KelterStore"]
        ),
        .executableTarget(
            name: "KelterBenchmarks",
            dependencies: ["KelterModel", "KelterLocal", "KelterStore", "KelterTestSupport"]
        ),

        .testTarget(name: "KelterModelTests", dependencies: ["KelterModel"]),
        .testTarget(name: "KelterHashingTests", dependencies: ["KelterHashing", "KelterModel"]),
        .testTarget(name: "KelterSettingsTests", dependencies: ["KelterSettings", "KelterModel"]),
        .testTarget(name: "KelterParsingTests", dependencies: ["KelterParsing", "KelterModel"]),
        .testTarget(name: "KelterChunkingTests", dependencies: ["KelterChunking", "KelterModel"]),
        .testTarget(
            name: "KelterEmbeddingTests",
            dependencies: ["KelterEmbedding", "KelterLocal", "KelterModel", "KelterTestSupport"]
        ),
        .testTarget(name: "KelterPipelineTests", dependencies: ["KelterPipeline", "KelterModel"]),
        .testTarget(name: "KelterLocalTests", dependencies: ["KelterLocal", "KelterModel", "KelterTestSupport"]),
        .testTarget(name: "IntegrationTests", dependencies: ["KelterStore", "KelterModel", "KelterTestSupport"]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "kelter", "KelterModel", "KelterHashing", "KelterStore", "KelterLocal", "KelterTestSupport",
            ],
            exclude: ["Fixtures"]
        ),
    ]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = settings
}
