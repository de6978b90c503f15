import Foundation

// The two functions that libFuzzer calls: https://llvm.org/docs/LibFuzzer.html#fuzz-target

/// The target named by `KELTER_FUZZ_TARGET`; without it the names are printed.
private let target: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["KELTER_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        // Those there are, a line each.
        for target in FuzzTarget.allCases { print(target.rawValue) }
        exit(2)
    }
    return target
}()

/// Writes the seeds into the directory that `KELTER_FUZZ_SEEDS` names.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) -> CInt {
    let target = target
    if let directory = ProcessInfo.processInfo.environment["KELTER_FUZZ_SEEDS"] {
        for (index, seed) in target.seeds.enumerated() {
            _ = FileManager.default.createFile(atPath: "\(directory)/seed-\(index)", contents: Data(seed))
        }
    }
    return 0
}

/// Runs the target with one input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target.run(Array(UnsafeBufferPointer(start: data, count: count)))
    return 0
}
