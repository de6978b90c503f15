import KelterModel
import KelterSettings
import Testing

@Suite("The settings of buckets")
struct BucketSettingsTests {
    private func settings(_ environment: [String: String]) throws -> Settings {
        try Settings(environment: environment)
    }

    @Test("the names are those of AWS's own tools, the shorter ones second; secrets are not shown")
    func names() throws {
        let settings = try settings([
            "AWS_ENDPOINT_URL": "http://second:1", "AWS_ENDPOINT_URL_S3": "http://minio:9000/",
            "AWS_DEFAULT_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "geheim",
            "AWS_SESSION_TOKEN": "auchgeheim",
        ])
        #expect(settings.buckets.endpoint == "http://minio:9000" && settings.buckets.region == "eu-north-1")
        #expect(settings.buckets.secretKey == "geheim" && settings.buckets.sessionToken == "auchgeheim")
        try settings.buckets.check()
        #expect(!settings.explained.contains { $0.value?.contains("geheim") == true })
        #expect(try self.settings([:]).buckets.region == "us-east-1")
    }

    @Test(
        "what is wrong with them keeps no other command from running, and is refused when a bucket is read",
        arguments: [
            ("AWS_ENDPOINT_URL_S3", "minio:9000"), ("AWS_ENDPOINT_URL_S3", "https://minio/bucket"),
            ("AWS_ENDPOINT_URL_S3", "https://user:word@minio"), ("AWS_REGION", "eu north"),
            ("AWS_SECRET_ACCESS_KEY", "only"), ("AWS_ACCESS_KEY_ID", "only"), ("AWS_SESSION_TOKEN", "a\nb"),
            ("AWS_CA_BUNDLE", "/nowhere.pem"),
        ]
    )
    func wrong(name: String, value: String) throws {
        let buckets = try settings([name: value]).buckets
        let error = #expect(throws: KelterError.self) { try buckets.check() }
        let other = ["AWS_SECRET_ACCESS_KEY": "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID": "AWS_SECRET_ACCESS_KEY"]
        #expect(error?.code == .settingInvalid && error?.subject == other[name] ?? name)
    }
}
