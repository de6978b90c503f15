import ArgumentParser
import KelterModel
import KelterServer
import Logging

/// How a long-running command writes its log to standard error.
struct LogOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @Option(help: ArgumentHelp("The form of the log's lines: text or json.", valueName: "form"))
    var logFormat = Format.text

    @Option(help: ArgumentHelp("The least level that is logged: debug, info, warning or error.", valueName: "level"))
    var logLevel = "info"

    /// A logger of this form.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/usage`` for an unknown level.
    func logger(_ label: String) throws(KelterError) -> Logger {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw KelterError(
                .usage,
                "\"\(shortened(logLevel))\" is no level.",
                subject: "--log-level",
                fix: "Use debug, info, warning or error."
            )
        }
        let format: StructuredLogHandler.Format = logFormat == .json ? .json : .text
        return Logger(label: label) { StructuredLogHandler(label: $0, format: format, logLevel: level) }
    }
}
