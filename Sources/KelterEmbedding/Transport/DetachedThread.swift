import Glibc

/// Starts a detached thread; `false` when the system refuses one.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let box = Unmanaged.passRetained(Body(body))
    var handle = pthread_t()
    let status = pthread_create(
        &handle,
        nil,
        { argument in
            if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        },
        box.toOpaque()
    )
    guard status == 0 else {
        box.release()
        return false
    }
    pthread_detach(handle)
    return true
}
