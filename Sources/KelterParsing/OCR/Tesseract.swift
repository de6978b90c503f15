import Glibc

/// The functions of Tesseract and Leptonica that are used, found by name in their shared libraries; `capi.h` and
/// `allheaders.h` document them.
struct Tesseract: Sendable {
    typealias Handle = UnsafeMutableRawPointer

    let create: @convention(c) () -> Handle?
    let start: @convention(c) (Handle, UnsafePointer<CChar>?, UnsafePointer<CChar>) -> Int32
    let setImage: @convention(c) (Handle, UnsafePointer<UInt8>?, Int32, Int32, Int32, Int32) -> Void
    let setPicture: @convention(c) (Handle, Handle) -> Void
    let setResolution: @convention(c) (Handle, Int32) -> Void
    let table: @convention(c) (Handle, Int32) -> UnsafeMutablePointer<CChar>?
    let deleteText: @convention(c) (UnsafeMutablePointer<CChar>) -> Void
    let clear: @convention(c) (Handle) -> Void
    let delete: @convention(c) (Handle) -> Void
    /// Leptonica's.
    let readPicture: @convention(c) (UnsafePointer<UInt8>?, Int) -> Handle?
    let readTIFF: @convention(c) (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<Int>) -> Handle?
    let pictureHeight: @convention(c) (Handle) -> Int32
    let destroyPicture: @convention(c) (UnsafeMutablePointer<Handle?>) -> Void

    /// The libraries of this machine; `nil` when they are not installed.
    static let installed: Tesseract? = {
        // Its threads would need a system call that a parser process does not have, and would not make a page faster.
        setenv("OMP_THREAD_LIMIT", "1", 1)
        guard let leptonica = dlopen("libleptonica.so.6", RTLD_NOW) ?? dlopen("liblept.so.5", RTLD_NOW),
            let tesseract = dlopen("libtesseract.so.5", RTLD_NOW)
        else { return nil }
        return try? Tesseract(tesseract, leptonica)
    }()

    /// A function that the library does not have.
    private struct Missing: Error {}

    private static func find<Function>(_ name: String, in library: Handle) throws(Missing) -> Function {
        guard let symbol = dlsym(library, name) else { throw Missing() }
        return unsafeBitCast(symbol, to: Function.self)
    }

    private init(_ tesseract: Handle, _ leptonica: Handle) throws(Missing) {
        create = try Self.find("TessBaseAPICreate", in: tesseract)
        start = try Self.find("TessBaseAPIInit3", in: tesseract)
        setImage = try Self.find("TessBaseAPISetImage", in: tesseract)
        setPicture = try Self.find("TessBaseAPISetImage2", in: tesseract)
        setResolution = try Self.find("TessBaseAPISetSourceResolution", in: tesseract)
        table = try Self.find("TessBaseAPIGetTsvText", in: tesseract)
        deleteText = try Self.find("TessDeleteText", in: tesseract)
        clear = try Self.find("TessBaseAPIClear", in: tesseract)
        delete = try Self.find("TessBaseAPIDelete", in: tesseract)
        readPicture = try Self.find("pixReadMem", in: leptonica)
        readTIFF = try Self.find("pixReadMemFromMultipageTiff", in: leptonica)
        pictureHeight = try Self.find("pixGetHeight", in: leptonica)
        destroyPicture = try Self.find("pixDestroy", in: leptonica)
        // Both would write to standard error what is wrong with a picture.
        let severity: @convention(c) (Int32) -> Int32 = try Self.find("setMsgSeverity", in: leptonica)
        _ = severity(6)
    }
}
