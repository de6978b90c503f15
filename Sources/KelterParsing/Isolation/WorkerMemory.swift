import Glibc

/// The private memory of this process, as the kernel counts it for `RLIMIT_DATA`.
///
/// The peak that getrusage(2) and wait4(2) tell says nothing about a parser process: it is inherited from the process that
/// started it.
enum WorkerMemory {
    /// How a process ends that had no memory left.
    static let exitCode: Int32 = 137

    // Written once before the first document, read by the handler, which may take no lock.
    nonisolated(unsafe) private static var status: Int32 = -1
    nonisolated(unsafe) private static var pageBytes = 0
    nonisolated(unsafe) private static var muchMemory = Int.max

    private static let alternateStackBytes = 64 << 10
    private static let crashes = [SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGTRAP, SIGFPE]

    /// Makes a crash for want of memory end this process with ``exitCode``, others as they do.
    ///
    /// - Parameter limit: The most there is, in bytes.
    static func watch(limit: Int) {
        status = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        pageBytes = sysconf(Int32(_SC_PAGESIZE))
        // A growing array asks for twice its size while it keeps the old one: it fails when it has a third.
        muchMemory = limit / 3
        // A stack that is full is a crash too, and leaves no room for the handler.
        var stack = stack_t(
            ss_sp: UnsafeMutableRawPointer.allocate(byteCount: alternateStackBytes, alignment: 16),
            ss_flags: 0,
            ss_size: alternateStackBytes
        )
        sigaltstack(&stack, nil)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { signal in
            if WorkerMemory.bytes > WorkerMemory.muchMemory { _exit(WorkerMemory.exitCode) }
            raise(signal)
        }
        // The second time the signal does what it does without a handler.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_NODEFER | SA_ONSTACK
        for crash in crashes { sigaction(crash, &action, nil) }
    }

    /// Bytes this process has now; 0 where the kernel does not tell.
    ///
    /// Allocates nothing, for the handler.
    static var bytes: Int {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 128) { buffer in
            // proc(5): size, resident, shared, text, library, data, dirty; in pages.
            let count = pread(status, buffer.baseAddress, buffer.count, 0)
            var (column, pages, index) = (0, 0, 0)
            while index < count {
                if buffer[index] == UInt8(ascii: " ") {
                    column += 1
                } else if column == 5 {
                    pages = pages * 10 + Int(buffer[index] &- UInt8(ascii: "0"))
                }
                index += 1
            }
            return pages * pageBytes
        }
    }
}
