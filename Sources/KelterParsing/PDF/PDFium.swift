import Glibc
import KelterModel
import Synchronization

/// The functions of PDFium that are used, found by name in its shared library; PDFium's public headers `fpdfview.h`,
/// `fpdf_text.h`, `fpdf_doc.h`, `fpdf_edit.h` and `fpdf_catalog.h` document them.
///
/// PDFium has global state and no locks: one thread at a time, which ``exclusively(_:)`` sees to.
struct PDFium: Sendable {
    typealias Handle = UnsafeMutableRawPointer

    let loadDocument: @convention(c) (UnsafeRawPointer?, Int, UnsafePointer<CChar>?) -> Handle?
    let lastError: @convention(c) () -> UInt
    let closeDocument: @convention(c) (Handle) -> Void
    let pageCount: @convention(c) (Handle) -> Int32
    let loadPage: @convention(c) (Handle, Int32) -> Handle?
    let closePage: @convention(c) (Handle) -> Void
    let pageHeight: @convention(c) (Handle) -> Float
    let pageWidth: @convention(c) (Handle) -> Float
    /// Width, height, format, the dots and the bytes of a row.
    let createBitmap: @convention(c) (Int32, Int32, Int32, UnsafeMutableRawPointer?, Int32) -> Handle?
    let drawPage: @convention(c) (Handle, Handle, Int32, Int32, Int32, Int32, Int32, Int32) -> Void
    let destroyBitmap: @convention(c) (Handle) -> Void
    let loadText: @convention(c) (Handle) -> Handle?
    let closeText: @convention(c) (Handle) -> Void
    let characterCount: @convention(c) (Handle) -> Int32
    let character: @convention(c) (Handle, Int32) -> UInt32
    /// Left, top, right, bottom of a character's place in the line, which is as high as its font.
    let characterPlace: @convention(c) (Handle, Int32, UnsafeMutablePointer<Float>) -> Int32
    /// Left, right, bottom, top.
    let characterBox:
        @convention(c) (
            Handle, Int32, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>,
            UnsafeMutablePointer<Double>
        ) -> Int32
    let characterOrigin:
        @convention(c) (Handle, Int32, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Int32
    let objectCount: @convention(c) (Handle) -> Int32
    let object: @convention(c) (Handle, Int32) -> Handle?
    let objectType: @convention(c) (Handle) -> Int32
    let metadata: @convention(c) (Handle, UnsafePointer<CChar>, UnsafeMutableRawPointer?, UInt) -> UInt
    let firstChild: @convention(c) (Handle, Handle?) -> Handle?
    let nextSibling: @convention(c) (Handle, Handle) -> Handle?
    let bookmarkTitle: @convention(c) (Handle, UnsafeMutableRawPointer?, UInt) -> UInt
    let bookmarkDestination: @convention(c) (Handle, Handle) -> Handle?
    let destinationPage: @convention(c) (Handle, Handle) -> Int32
    /// Missing in releases before 2025.
    let language: (@convention(c) (Handle, UnsafeMutableRawPointer?, UInt) -> UInt)?

    /// `FPDF_PAGEOBJ_IMAGE`.
    static let imageType: Int32 = 3
    /// `FPDFBitmap_Gray`.
    static let grayFormat: Int32 = 1
    /// `FPDF_ERR_PASSWORD`.
    static let passwordError: UInt = 4

    private static let loaded = Mutex<[String: PDFium]>([:])
    private static let turn = Mutex<Void>(())

    /// Loads the library, once for each path.
    ///
    /// - Throws: ``KelterError`` with ``ErrorCode/partMissing``.
    static func load(_ path: String) throws(KelterError) -> PDFium {
        let library = loaded.withLock { known -> PDFium? in
            if let library = known[path] { return library }
            guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL), let library = try? PDFium(handle) else {
                return nil
            }
            known[path] = library
            return library
        }
        guard let library else { throw missing(path) }
        return library
    }

    static func missing(_ path: String?) -> KelterError {
        KelterError(
            .partMissing,
            "PDF cannot be read: PDFium's library is not there\(path.map { " (\($0))" } ?? "").",
            fix: "Run `make deps`."
        )
    }

    /// Runs the body while no other thread uses PDFium.
    static func exclusively<Value>(_ body: () throws(KelterError) -> Value) throws(KelterError) -> Value {
        let result: Result<Value, KelterError> = turn.withLock { _ in
            do throws(KelterError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// A function that the library does not have.
    private struct Missing: Error {}

    private static func find<Function>(_ name: String, in library: Handle) throws(Missing) -> Function {
        guard let symbol = dlsym(library, name) else { throw Missing() }
        return unsafeBitCast(symbol, to: Function.self)
    }

    private init(_ library: Handle) throws(Missing) {
        let initialise: @convention(c) () -> Void = try Self.find("FPDF_InitLibrary", in: library)
        loadDocument = try Self.find("FPDF_LoadMemDocument64", in: library)
        lastError = try Self.find("FPDF_GetLastError", in: library)
        closeDocument = try Self.find("FPDF_CloseDocument", in: library)
        pageCount = try Self.find("FPDF_GetPageCount", in: library)
        loadPage = try Self.find("FPDF_LoadPage", in: library)
        closePage = try Self.find("FPDF_ClosePage", in: library)
        pageHeight = try Self.find("FPDF_GetPageHeightF", in: library)
        pageWidth = try Self.find("FPDF_GetPageWidthF", in: library)
        createBitmap = try Self.find("FPDFBitmap_CreateEx", in: library)
        drawPage = try Self.find("FPDF_RenderPageBitmap", in: library)
        destroyBitmap = try Self.find("FPDFBitmap_Destroy", in: library)
        loadText = try Self.find("FPDFText_LoadPage", in: library)
        closeText = try Self.find("FPDFText_ClosePage", in: library)
        characterCount = try Self.find("FPDFText_CountChars", in: library)
        character = try Self.find("FPDFText_GetUnicode", in: library)
        characterPlace = try Self.find("FPDFText_GetLooseCharBox", in: library)
        characterBox = try Self.find("FPDFText_GetCharBox", in: library)
        characterOrigin = try Self.find("FPDFText_GetCharOrigin", in: library)
        objectCount = try Self.find("FPDFPage_CountObjects", in: library)
        object = try Self.find("FPDFPage_GetObject", in: library)
        objectType = try Self.find("FPDFPageObj_GetType", in: library)
        metadata = try Self.find("FPDF_GetMetaText", in: library)
        firstChild = try Self.find("FPDFBookmark_GetFirstChild", in: library)
        nextSibling = try Self.find("FPDFBookmark_GetNextSibling", in: library)
        bookmarkTitle = try Self.find("FPDFBookmark_GetTitle", in: library)
        bookmarkDestination = try Self.find("FPDFBookmark_GetDest", in: library)
        destinationPage = try Self.find("FPDFDest_GetDestPageIndex", in: library)
        language = try? Self.find("FPDFCatalog_GetLanguage", in: library)
        initialise()
    }
}
