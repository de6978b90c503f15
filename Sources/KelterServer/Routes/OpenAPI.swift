/// The description of the service in OpenAPI 3.1.
enum OpenAPI {
    /// `openapi.json`, as it was when the binary was built.
    static let bytes = PackageResources.openapi_json
}
