#if DEBUG
    import Glibc
    import KelterModel
    import Synchronization

    /// Kills this process at a boundary that `KELTER_FAIL_POINT` names; in builds for tests only.
    enum FailPointSwitch {
        /// Reads the environment.
        ///
        /// - Throws: ``KelterError`` with ``ErrorCode/usage`` for a name that is none: a test must not pass because of it.
        static func arm() throws(KelterError) {
            guard let text = getenv("KELTER_FAIL_POINT").map({ String(cString: $0) }), !text.isEmpty else { return }
            let parts = text.split(separator: ":")
            guard let point = FailPoint(rawValue: String(parts[0])) else {
                throw KelterError(
                    .usage,
                    "\"\(shortened(text))\" is no fail point.",
                    subject: "KELTER_FAIL_POINT",
                    fix: "Give one of \(FailPoint.allCases.map(\.rawValue).joined(separator: ", "))."
                )
            }
            let left = Mutex(parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
            FailPoint.observe { passed in
                guard passed == point else { return }
                let isReached = left.withLock { left in
                    left -= 1
                    return left == 0
                }
                if isReached { kill(getpid(), SIGKILL) }
            }
        }
    }
#endif
