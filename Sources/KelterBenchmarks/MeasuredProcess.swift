import Glibc
import KelterLocal
import KelterModel

/// What a finished child process cost, by the kernel's own account.
struct MeasuredProcess {
    let exitCode: Int32
    let output: String
    /// Seconds from start to end.
    let wallSeconds: Double
    /// User and system seconds.
    let cpuSeconds: Double
    /// The largest resident set, in bytes.
    let peakMemory: Int

    /// Runs a program to its end; blocks.
    ///
    /// - Parameters:
    ///   - arguments: The program and its arguments.
    ///   - environment: Variables of the program, beside a clean environment.
    /// - Throws: ``KelterError`` when the program cannot be started.
    init(_ arguments: [String], environment: [String: String]) throws(KelterError) {
        let variables = ChildProcess.cleanEnvironment + environment.map { "\($0)=\($1)" }
        let pipe = try ChildProcess.makePipe()
        var before = timespec()
        clock_gettime(CLOCK_MONOTONIC, &before)
        let pid = try ChildProcess.spawn(
            arguments,
            environment: variables,
            input: STDIN_FILENO,
            output: pipe.writer,
            error: STDERR_FILENO
        )
        close(pipe.writer)
        var bytes: [UInt8] = []
        var slice = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = slice.withUnsafeMutableBytes { read(pipe.reader, $0.baseAddress, $0.count) }
            if count > 0 { bytes += slice[..<count] } else if count == 0 || errno != EINTR { break }
        }
        close(pipe.reader)
        var status: Int32 = 0
        var usage = rusage()
        wait4(pid, &status, 0, &usage)
        var after = timespec()
        clock_gettime(CLOCK_MONOTONIC, &after)
        exitCode = status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
        output = String(decoding: bytes, as: UTF8.self)
        wallSeconds = Double(after.tv_sec - before.tv_sec) + Double(after.tv_nsec - before.tv_nsec) / 1e9
        cpuSeconds =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        peakMemory = usage.ru_maxrss * 1024
    }
}
