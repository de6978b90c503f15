/// A statement that is put together from parts, with its parameters numbered as they come.
struct Statement {
    private(set) var parameters: [Parameter] = []

    /// Adds a parameter and returns its place, such as `$3`.
    mutating func bind(_ parameter: Parameter) -> String {
        parameters.append(parameter)
        return "$\(parameters.count)"
    }
}
