import Glibc
import KelterModel

/// The C engine, loaded into this process; its functions are those of `e5.h`.
///
/// Not thread-safe: one owner, one thread.
final class EmbeddingEngine {
    private typealias Load = @convention(c) (UnsafePointer<CChar>) -> OpaquePointer?
    private typealias Free = @convention(c) (OpaquePointer) -> Void
    private typealias Dimension = @convention(c) (OpaquePointer) -> Int32
    private typealias TokenCount = @convention(c) (OpaquePointer, UnsafePointer<CChar>, Int32) -> Int32
    private typealias Embed =
        @convention(c) (
            OpaquePointer, UnsafePointer<CChar>, Int32, UnsafeMutablePointer<Float>
        ) -> Int32

    private let model: OpaquePointer
    private let free: Free
    private let tokenCount: TokenCount
    private let embed: Embed

    /// Loads the library and maps the weights.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing`` when either is missing or of another kind.
    init(library: String, weights: String) throws(KelterError) {
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else {
            throw Self.failure("The embedding engine cannot be loaded", library)
        }
        guard let load = dlsym(handle, "e5_load"), let free = dlsym(handle, "e5_free"),
            let dimension = dlsym(handle, "e5_dim"), let tokenCount = dlsym(handle, "e5_token_count"),
            let embed = dlsym(handle, "e5_embed")
        else { throw Self.failure("The embedding engine lacks a function", library) }
        self.free = unsafeBitCast(free, to: Free.self)
        self.tokenCount = unsafeBitCast(tokenCount, to: TokenCount.self)
        self.embed = unsafeBitCast(embed, to: Embed.self)
        guard let model = unsafeBitCast(load, to: Load.self)(weights) else {
            throw Self.failure("The weights of the embedding model cannot be read", weights)
        }
        self.model = model
        guard unsafeBitCast(dimension, to: Dimension.self)(model) == EmbeddingModel.dimension else {
            throw Self.failure("The weights are not those of \(EmbeddingModel.name)", weights)
        }
    }

    deinit {
        free(model)
    }

    /// The tokens of a text, prefix and end marks included.
    func countTokens(_ text: EngineText) -> Int {
        let count = text.withCString { tokenCount(model, $0, Int32(text.kind.rawValue)) }
        // The engine stops at one token a byte, which a few characters that expand could exceed.
        let prefix = text.kind == .query ? 7 : 9
        return Int(count) - 2 >= text.bytes.count + prefix + 4
            ? max(Int(count), EmbeddingModel.maximumTokens + 1) : Int(count)
    }

    /// The unit vector of a text of at most ``EmbeddingModel/maximumTokens`` tokens; `nil` when the engine fails.
    func vector(_ text: EngineText) -> [Float]? {
        var isComplete = false
        let vector = [Float](unsafeUninitializedCapacity: EmbeddingModel.dimension) { buffer, count in
            buffer.initialize(repeating: 0)
            count = buffer.count
            guard let base = buffer.baseAddress else { return }
            isComplete = text.withCString { embed(model, $0, Int32(text.kind.rawValue), base) } == 0
        }
        return isComplete ? vector : nil
    }

    private static func failure(_ message: String, _ subject: String) -> KelterError {
        KelterError(.partMissing, message + ".", subject: subject, fix: "Run `make deps`.")
    }
}

extension EngineText {
    fileprivate func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        let characters = bytes.map { CChar(bitPattern: $0) } + [0]
        return characters.withUnsafeBufferPointer { buffer in
            // Never empty: the terminator is there.
            buffer.baseAddress.map { body($0) } ?? body("")
        }
    }
}
