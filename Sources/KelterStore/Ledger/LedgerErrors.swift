package import KelterModel

extension KelterError {
    /// A part of a batch has been taken over; what its former holder has to say no longer counts.
    static func leaseLost(part: Int, run: RowID) -> KelterError {
        KelterError(
            .leaseLost,
            "Part \(part) of the run \(run) was taken over by another process.",
            fix: "Nothing needs to be done: the other process completes it."
        )
    }

    /// Two files of one batch claim the same name in a scope: they would replace each other for ever.
    package static func nameTaken(_ name: String, path: String) -> KelterError {
        KelterError(
            .sidecarInvalid,
            "Another file of this batch has the external identifier \"\(shortened(name))\" already.",
            subject: path,
            fix: "Give each file its own external_id."
        )
    }
}
