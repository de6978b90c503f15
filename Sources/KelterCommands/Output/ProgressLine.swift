import KelterModel

/// Shows one line while something is under way: overwritten on a terminal, repeated now and then elsewhere.
struct ProgressLine: Sendable {
    let terminal: Terminal
    /// The line, from the time that has passed.
    let text: @Sendable (Duration) -> String

    /// Runs the body while showing the line.
    func during<Value: Sendable>(
        _ body: @Sendable () async throws(KelterError) -> Value
    ) async throws(KelterError) -> Value {
        let view = Task { await self.show() }
        let result: Result<Value, KelterError>
        do throws(KelterError) { result = .success(try await body()) } catch { result = .failure(error) }
        view.cancel()
        await view.value
        return try result.get()
    }

    private func show() async {
        let clock = ContinuousClock()
        let start = clock.now
        let interval: Duration = terminal.isInteractive ? .milliseconds(100) : .seconds(10)
        var next = start + interval
        while (try? await clock.sleep(until: next)) != nil {
            next += interval
            let line = text(clock.now - start)
            if terminal.isInteractive { terminal.overwrite(line) } else { terminal.note(line) }
        }
        if terminal.isInteractive { terminal.overwrite("") }
    }
}
