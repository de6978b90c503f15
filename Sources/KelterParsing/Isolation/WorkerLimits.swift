import Glibc

/// What a parser process may take and do, enforced by the kernel.
///
/// Memory, processor time, no files written, few descriptors, no core dumps. With seccomp only the system calls that
/// parsing needs: no network, no other process, no file opened for writing; files may be read, because the C library
/// loads its charset tables when they are asked for. Where the kernel has no seccomp the other limits remain.
package struct WorkerLimits: Sendable {
    /// Bytes of private memory.
    ///
    /// Default 512 MiB.
    package var memory = 512 << 20
    /// Open descriptors.
    ///
    /// Default 32.
    package var descriptors = 32

    package init() {}

    /// Applies them to this process, for good.
    func apply() {
        Self.set(Int32(RLIMIT_DATA.rawValue), memory)
        Self.set(Int32(RLIMIT_NOFILE.rawValue), descriptors)
        Self.set(Int32(RLIMIT_FSIZE.rawValue), 0)
        Self.set(Int32(RLIMIT_CORE.rawValue), 0)
        WorkerMemory.watch(limit: memory)
        SystemCallFilter.apply()
    }

    private static func set(_ resource: Int32, _ value: Int) {
        var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
        setrlimit(resource, &limit)
    }

    /// Lets this process compute for so many seconds from now on; then the kernel ends it with SIGXCPU.
    package static func limitProcessorTime(_ seconds: Int) {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let used = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1
        var limit = rlimit()
        guard getrlimit(Int32(RLIMIT_CPU.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(rlim_t(used + seconds), limit.rlim_max)
        setrlimit(Int32(RLIMIT_CPU.rawValue), &limit)
    }
}

/// The system calls of a parser process: seccomp(2), with a filter for the Berkeley Packet Filter machine.
enum SystemCallFilter {
    private static let loadWord: UInt16 = 0x20
    private static let jumpIfEqual: UInt16 = 0x15
    private static let jumpIfAnyBit: UInt16 = 0x45
    private static let answer: UInt16 = 0x06
    private static let allow: UInt32 = 0x7FFF_0000
    private static let refuse: UInt32 = 0x0005_0000 | UInt32(EPERM)
    private static let end: UInt32 = 0x8000_0000

    #if arch(x86_64)
        private static let architecture: UInt32 = 0xC000_003E
        private static let openAt: UInt32 = 257
        /// read, write, close, fstat, poll, lseek, mmap, mprotect, munmap, brk, rt_sigaction, rt_sigprocmask,
        /// rt_sigreturn, pread64, readv, writev, sched_yield, mremap, madvise, nanosleep, getpid, exit, uname, fcntl,
        /// gettimeofday, getrlimit, getrusage, sysinfo, sigaltstack, gettid, time, futex, sched_getaffinity,
        /// clock_gettime, clock_getres, clock_nanosleep, exit_group, tgkill, newfstatat, set_robust_list, prlimit64,
        /// setrlimit, getrandom, membarrier, statx, rseq.
        private static let calls: [UInt32] = [
            0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 24, 25, 28, 35, 39, 60, 63, 72, 96, 97, 98, 99,
            131, 186, 201, 202, 204, 228, 229, 230, 231, 234, 262, 273, 302, 160, 318, 324, 332, 334,
        ]
    #elseif arch(arm64)
        private static let architecture: UInt32 = 0xC000_00B7
        private static let openAt: UInt32 = 56
        /// The same calls; some have no old form here.
        private static let calls: [UInt32] = [
            63, 64, 57, 80, 73, 62, 222, 226, 215, 214, 134, 135, 139, 67, 65, 66, 124, 216, 233, 101, 172, 93, 160,
            25, 169, 163, 165, 179, 132, 178, 98, 123, 113, 114, 115, 94, 131, 79, 99, 261, 164, 278, 283, 291, 293,
        ]
    #endif

    /// `struct sock_filter`.
    private struct Instruction {
        var code: UInt16
        var jumpTrue: UInt8 = 0
        var jumpFalse: UInt8 = 0
        var value: UInt32
    }

    /// `struct sock_fprog`.
    private struct Program {
        var count: UInt16
        var instructions: UnsafeMutablePointer<Instruction>?
    }

    /// Writing, making or cutting a file.
    private static let writingFlags = UInt32(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

    private static var instructions: [Instruction] {
        // struct seccomp_data: number at 0, architecture at 4, arguments of 8 bytes from 16 on.
        var filter = [
            Instruction(code: loadWord, value: 4),
            Instruction(code: jumpIfEqual, jumpTrue: 1, value: architecture),
            Instruction(code: answer, value: end),
            Instruction(code: loadWord, value: 0),
            Instruction(code: jumpIfEqual, jumpFalse: 4, value: openAt),
            Instruction(code: loadWord, value: 16 + 2 * 8),
            Instruction(code: jumpIfAnyBit, jumpTrue: 1, value: writingFlags),
            Instruction(code: answer, value: allow),
            Instruction(code: answer, value: refuse),
        ]
        for call in calls {
            filter.append(Instruction(code: jumpIfEqual, jumpFalse: 1, value: call))
            filter.append(Instruction(code: answer, value: allow))
        }
        filter.append(Instruction(code: answer, value: refuse))
        return filter
    }

    /// Installs the filter for this thread and those it starts; a kernel without seccomp changes nothing.
    static func apply() {
        #if arch(x86_64) || arch(arm64)
            typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
            // `prctl` has a variable number of arguments, which Swift does not call; with five it is this.
            guard let symbol = dlsym(nil, "prctl") else { return }
            let control = unsafeBitCast(symbol, to: Control.self)
            let (noNewPrivileges, setSeccomp, filterMode): (Int32, Int32, UInt) = (38, 22, 2)
            guard control(noNewPrivileges, 1, 0, 0, 0) == 0 else { return }
            var filter = instructions
            filter.withUnsafeMutableBufferPointer { filter in
                var program = Program(count: UInt16(filter.count), instructions: filter.baseAddress)
                withUnsafeMutablePointer(to: &program) { program in
                    _ = control(setSeccomp, filterMode, UInt(bitPattern: program), 0, 0)
                }
            }
        #endif
    }
}
