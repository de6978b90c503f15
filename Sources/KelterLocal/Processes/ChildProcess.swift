package import Glibc
package import KelterModel

/// Starts programs with `posix_spawn`, which unlike `fork` is safe in a process with threads.
///
/// A child gets the given standard descriptors and no others, default signal handling, and only the given environment:
/// the caller's `PG…` variables must not steer the embedded server.
package enum ChildProcess {
    /// What the embedded services' programs get to see.
    package static let cleanEnvironment = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        "HOME=/",
        "TZ=UTC",
    ]

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - arguments: The program, by path or by name, and its arguments.
    ///   - environment: `NAME=value` pairs.
    ///   - input: The descriptor that becomes standard input; likewise `output` and `error`.
    ///   - output: Standard output.
    ///   - error: Standard error.
    ///   - newSession: Whether it leaves the terminal's session, so that it survives the caller and its Ctrl-C.
    /// - Returns: The process id; the caller waits for it.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it cannot be started.
    package static func spawn(
        _ arguments: [String],
        environment: [String] = cleanEnvironment,
        input: Int32,
        output: Int32,
        error: Int32,
        newSession: Bool = false
    ) throws(KelterError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, error, 2)
        HiddenLibC.addCloseFrom(3, to: &actions)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        if newSession { flags |= setSession }
        posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))

        var pid: pid_t = 0
        let status = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                arguments[0].map { posix_spawnp(&pid, $0, &actions, &attributes, arguments, environment) } ?? EINVAL
            }
        }
        guard status == 0 else {
            throw KelterError(
                .serviceStartFailed,
                "Cannot start the program: \(String(cString: strerror(status))).",
                subject: arguments.first
            )
        }
        return pid
    }

    /// Runs a program to its end; blocks.
    ///
    /// - Parameters:
    ///   - arguments: The program and its arguments.
    ///   - input: What it reads; at most what a pipe holds, 64 KiB.
    /// - Returns: Its exit status (128 + n for signal n) and what it wrote to standard output and standard error.
    /// - Throws: ``KelterError`` with ``ErrorCode/serviceStartFailed`` when it cannot be started.
    package static func run(_ arguments: [String], input: String = "") throws(KelterError) -> (
        status: Int32, output: String
    ) {
        let source = try makePipe()
        let sink = try makePipe()
        let bytes = Array(input.utf8)
        _ = write(source.writer, bytes, bytes.count)
        close(source.writer)
        defer { close(sink.reader) }
        let pid: pid_t
        do throws(KelterError) {
            pid = try spawn(arguments, input: source.reader, output: sink.writer, error: sink.writer)
        } catch {
            close(source.reader)
            close(sink.writer)
            throw error
        }
        close(source.reader)
        close(sink.writer)
        var output: [UInt8] = []
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
                let count = read(sink.reader, buffer.baseAddress, buffer.count)
                if count > 0 { output.append(contentsOf: buffer[..<count]) }
                return count
            }
            if count == 0 || count < 0 && errno != EINTR { break }
        }
        return (wait(for: pid), String(decoding: output, as: UTF8.self))
    }

    /// Waits for a child's end; its exit status, or 128 + n for signal n.
    @discardableResult
    package static func wait(for pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return exitStatus(status)
    }

    /// A child's exit status if it has ended; `nil` while it runs.
    package static func endedStatus(of pid: pid_t) -> Int32? {
        var status: Int32 = 0
        return waitpid(pid, &status, WNOHANG) == pid ? exitStatus(status) : nil
    }

    /// A pipe whose ends no other child inherits.
    package static func makePipe() throws(KelterError) -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw KelterError(.serviceStartFailed, "Cannot open a pipe: \(String(cString: strerror(errno))).")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// The macros of `wait.h`.
    private static func exitStatus(_ status: Int32) -> Int32 {
        status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }

    /// POSIX_SPAWN_SETSID, which `spawn.h` hides without `_GNU_SOURCE`.
    private static let setSession: Int32 = 0x80

    private static func withCStrings<Result>(
        _ strings: [String],
        _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = strings.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
