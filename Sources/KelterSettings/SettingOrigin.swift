/// Where the value of a setting came from; the first that has one wins, in this order.
package enum SettingOrigin: Equatable, Sendable, CustomStringConvertible {
    case flag
    case environment
    /// The path of the configuration file and the line of the value, from 1.
    case file(path: String, line: Int)
    case builtIn

    package var description: String {
        switch self {
        case .flag: "flag"
        case .environment: "environment"
        case .file(let path, let line): "\(path):\(line)"
        case .builtIn: "default"
        }
    }
}

/// A setting with its effective value and origin, as `kelter config` prints it.
package struct ExplainedSetting: Equatable, Sendable {
    package let name: String
    /// The value as text, secrets masked; `nil` when there is none.
    package let value: String?
    package let origin: SettingOrigin
}
