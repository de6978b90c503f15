import Glibc
import KelterLocal
import Testing

@Suite("Paths of the embedded services")
struct LocalPathsTests {
    @Test("KELTER_HOME and KELTER_PARTS win")
    func environmentWins() {
        let paths = LocalPaths(environment: ["KELTER_HOME": "/a/home/", "KELTER_PARTS": "/b"])
        #expect(paths.home == "/a/home")
        #expect(paths.parts == "/b")
    }

    @Test("an empty variable counts as absent")
    func emptyIsAbsent() {
        let environment = ["KELTER_HOME": "", "KELTER_PARTS": "", "HOME": "/home/u"]
        let base = geteuid() == 0 ? "/var/lib/kelter" : "/home/u/.local/share/kelter"
        #expect(LocalPaths(environment: environment) == LocalPaths(home: base, parts: base + "/parts"))
    }

    @Test("a relative home is taken from the working directory, since the services outlive it")
    func relativeIsMadeAbsolute() {
        let home = LocalPaths(home: "here", parts: "/p").home
        #expect(home.hasPrefix("/"))
        #expect(home.hasSuffix("/here"))
    }
}
