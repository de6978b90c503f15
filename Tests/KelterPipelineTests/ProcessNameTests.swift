import Glibc
import Testing

@testable import KelterPipeline

@Suite("Names of processes")
struct ProcessNameTests {
    @Test("this process lives, under its name only, and nothing is known of other machines")
    func living() throws {
        let name = ProcessName.current
        #expect(name.start > 0 && name.process == getpid())
        #expect(ProcessName(name.description) == name && !name.hasEnded)
        let parts = name.description.split(separator: ":")
        // The identifier is another process's by now, or nobody's.
        #expect(try #require(ProcessName("\(parts[0]):\(parts[1]):1")).hasEnded)
        #expect(try #require(ProcessName("\(parts[0]):4194305:1")).hasEnded)
        #expect(try #require(ProcessName("elsewhere:\(parts[1]):1")).hasEnded == false)
        for text in ["", "a", "a:b:c", "a:1", "a:1:2:3"] { #expect(ProcessName(text) == nil) }
    }
}
