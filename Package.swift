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

let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
    name: "kelter",
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [

        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        .target(name: "KelterModel"),
        .target(name: "KelterHashing", dependencies: ["KelterModel", "CLibCrypto"]),
        .target(name: "KelterSettings", dependencies: ["KelterModel", yams]),

        .testTarget(name: "KelterModelTests", dependencies: ["KelterModel"]),
        .testTarget(name: "KelterHashingTests", dependencies: ["KelterHashing", "KelterModel"]),
        .testTarget(name: "KelterSettingsTests", dependencies: ["KelterSettings", "KelterModel"]),
    ]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = settings
}
