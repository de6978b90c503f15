import Glibc
import KelterCommands

@main
struct Kelter {
    static func main() async {
        exit(await KelterMain.run(arguments: Array(CommandLine.arguments.dropFirst())))
    }
}
