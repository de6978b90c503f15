import HTTPTypes
import KelterModel

extension HTTPService {
    /// `GET /ai/ping/`: says that all header checks have passed.
    func ping(_ admitted: Admitted) -> Reply {
        Reply(.ok, .object([("ok", .bool(true)), ("trace_id", .string(admitted.trace.id))]))
    }
}
