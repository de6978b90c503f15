import Glibc

/// Functions of glibc that its headers hide without `_GNU_SOURCE`, which Swift's import does not define; found by name.
package enum HiddenLibC {
    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    private typealias Affinity = @convention(c) (pid_t, Int, UnsafeMutableRawPointer) -> Int32

    private static let closeFrom = symbol("posix_spawn_file_actions_addclosefrom_np", as: CloseFrom.self)
    private static let getAffinity = symbol("sched_getaffinity", as: Affinity.self)
    private static let setAffinity = symbol("sched_setaffinity", as: Affinity.self)

    /// Lets a spawned child close all descriptors from this one on; glibc 2.34.
    static func addCloseFrom(_ first: Int32, to actions: inout posix_spawn_file_actions_t) {
        _ = closeFrom?(&actions, first)
    }

    /// The processors this process may run on, by number; at least one.
    package static var processors: [Int] {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: words) { mask in
            mask.initialize(repeating: 0)
            guard let base = mask.baseAddress, let getAffinity, getAffinity(0, words * 8, base) >= 0 else { return [0] }
            let processors = (0..<words * 64).filter { mask[$0 / 64] >> ($0 % 64) & 1 == 1 }
            return processors.isEmpty ? [0] : processors
        }
    }

    /// Keeps the calling thread, and those it starts, on one processor.
    static func pin(to processor: Int) {
        guard (0..<words * 64).contains(processor) else { return }
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: words) { mask in
            mask.initialize(repeating: 0)
            mask[processor / 64] = 1 << (processor % 64)
            // A refusal (a changed cpuset) costs speed only.
            if let base = mask.baseAddress { _ = setAffinity?(0, words * 8, base) }
        }
    }

    /// `cpu_set_t` has 1024 bits; the kernel takes more, so have 8192.
    private static let words = 128

    private static func symbol<Function>(_ name: String, as type: Function.Type) -> Function? {
        dlsym(nil, name).map { unsafeBitCast($0, to: type) }
    }
}
