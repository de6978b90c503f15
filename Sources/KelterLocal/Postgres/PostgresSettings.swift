import Glibc

/// The server settings of an embedded PostgreSQL.
package struct PostgresSettings: Sendable {
    /// Names and values in the order of `postgresql.conf`.
    private var values: [(name: String, value: String)]
    /// Whether the data is to survive a crash of the machine.
    let isDurable: Bool

    /// Durable, and sized for loading vectors on a small machine.
    package static var standard: Self {
        Self(
            values: common + [
                ("max_connections", "100"),
                ("shared_buffers", "256MB"),
                ("work_mem", "16MB"),
                // An HNSW graph that does not fit is built by single insertions, ten times slower.
                ("maintenance_work_mem", "512MB"),
                ("max_wal_size", "4GB"),
                ("checkpoint_timeout", "15min"),
                ("synchronous_commit", "on"),
                // A week of logs, overwritten day by day, none over 20 MB.
                ("logging_collector", "on"),
                ("log_directory", "../log"),
                ("log_filename", "postgresql-%a.log"),
                ("log_rotation_age", "1d"),
                ("log_rotation_size", "20MB"),
                ("log_truncate_on_rotation", "on"),
                ("log_checkpoints", "off"),
            ],
            isDurable: true
        )
    }

    /// For servers that do not outlive one test process: nothing survives a crash, and nothing waits for the disk.
    package static var forTests: Self {
        Self(
            values: common + [
                ("max_connections", "1500"),
                ("shared_buffers", "64MB"),
                ("maintenance_work_mem", "64MB"),
                ("max_wal_size", "1GB"),
                ("fsync", "off"),
                ("full_page_writes", "off"),
                ("synchronous_commit", "off"),
            ],
            isDurable: false
        )
    }

    private static var common: [(String, String)] {
        [
            ("listen_addresses", ""),
            ("port", String(PostgresCluster.port)),
            ("unix_socket_permissions", "0700"),
            ("huge_pages", "try"),
            ("dynamic_shared_memory_type", sharedMemoryIsSmall ? "mmap" : "posix"),
            ("wal_compression", "on"),
            // Plans of searches are short; compiling them costs more than it saves.
            ("jit", "off"),
            ("random_page_cost", "1.1"),
            // Migrations of many tenant schemas lock many tables at once.
            ("max_locks_per_transaction", "256"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_min_messages", "warning"),
            // Statements, parameters and DETAIL lines may carry document text; the log must not.
            ("log_min_error_statement", "panic"),
            ("log_error_verbosity", "terse"),
        ]
    }

    /// Whether `/dev/shm`, 64 MB in many containers, is too small for parallel index builds of ours.
    private static var sharedMemoryIsSmall: Bool {
        var status = statvfs()
        guard statvfs("/dev/shm", &status) == 0 else { return true }
        return UInt64(status.f_blocks) * UInt64(status.f_frsize) < 1 << 30
    }

    /// The text of a configuration file.
    func text(socketDirectory: String) -> String {
        var text = "# Written by kelter at every start. Your own settings: ALTER SYSTEM, or postgresql.conf.\n"
        for (name, value) in values + [("unix_socket_directories", "\"\(socketDirectory)\"")] {
            text += "\(name) = '\(Self.quoted(value))'\n"
        }
        return text
    }

    /// Quotes and backslashes doubled, as `postgresql.conf` asks.
    private static func quoted(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            if scalar == "'" || scalar == "\\" { text.unicodeScalars.append(scalar) }
            text.unicodeScalars.append(scalar)
        }
        return text
    }
}
