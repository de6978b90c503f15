import Hummingbird
import NIOCore

/// What Hummingbird hands to the service with each request.
struct ServerContext: InitializableFromSource {
    /// The connection the request came by.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
    }

    /// Closes the connection when the caller has had the time to read the answer: what is left of a request that was
    /// refused half way is not waited for.
    func closeSoon() {
        let channel = channel
        channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
    }
}
