import ArgumentParser
import KelterLocal
import KelterModel
import KelterSettings

struct ConfigCommand: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Prints every setting with its value and where it comes from.",
        discussion: "Environment first, then Config/kelter.yaml (or KELTER_CONFIG), then defaults. Secrets are masked."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ terminal: Terminal) async throws(KelterError) -> KelterModel.ExitCode {
        let services = try Services()
        let environment = currentEnvironment()
        var rows = services.settings.explained.map { ($0.name, $0.value, $0.origin.description) }
        for (name, value) in [("KELTER_HOME", services.paths.home), ("KELTER_PARTS", services.paths.parts)] {
            rows.append((name, value, environment[name]?.isEmpty == false ? "environment" : "default"))
        }
        terminal.print(
            json: .object([
                (
                    "settings",
                    .array(
                        rows.map {
                            .object([("name", .string($0.0)), ("value", .optional($0.1)), ("origin", .string($0.2))])
                        }
                    )
                )
            ]),
            text: table(rows.map { [$0.0, $0.1 ?? "(none)", $0.2] })
        )
        return .done
    }
}
