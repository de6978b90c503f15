import KelterHashing
import KelterModel
import Testing

@testable import KelterPipeline

/// The figures that AWS publishes; the path is encoded once and never normalised, as S3 does.
@Suite("The signature of requests to buckets")
struct S3SignatureTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        let name: String
        let method: String
        let path: String
        let query: [(name: String, value: String)]
        let headers: [(name: String, value: String)]
        let body: String
        let signature: String

        var testDescription: String { name }

        init(
            _ name: String,
            _ method: String,
            _ path: String,
            _ query: [(String, String)],
            _ headers: [(String, String)],
            _ body: String,
            _ signature: String
        ) {
            self.name = name
            self.method = method
            self.path = path
            self.query = query.map { ($0.0, $0.1) }
            self.headers = headers.map { ($0.0, $0.1) }
            self.body = body
            self.signature = signature
        }
    }

    private static let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    private static let token =
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRq"
        + "TflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75Y"
        + "U9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9K"
        + "SYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

    /// "Signature Version 4 test suite", AWS General Reference.
    static let suite: [Vector] = [
        Vector(
            "get-vanilla",
            "GET",
            "/",
            [],
            [],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        ),
        Vector(
            "post-vanilla",
            "POST",
            "/",
            [],
            [],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        ),
        Vector(
            "get-unreserved",
            "GET",
            "/" + unreserved,
            [],
            [],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"
        ),
        Vector(
            "get-utf8",
            "GET",
            "/ሴ",
            [],
            [],
            "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"
        ),
        Vector(
            "get-space-unnormalized",
            "GET",
            "/example space/",
            [],
            [],
            "",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"
        ),
        Vector(
            "get-slashes-unnormalized",
            "GET",
            "//example//",
            [],
            [],
            "",
            "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"
        ),
        Vector(
            "get-relative-unnormalized",
            "GET",
            "/example/..",
            [],
            [],
            "",
            "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"
        ),
        Vector(
            "get-vanilla-query-order-key-case",
            "GET",
            "/",
            [("Param2", "value2"), ("Param1", "value1")],
            [],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        ),
        Vector(
            "get-vanilla-query-order-value",
            "GET",
            "/",
            [("Param1", "value2"), ("Param1", "value1")],
            [],
            "",
            "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"
        ),
        Vector(
            "get-vanilla-query-order-encoded",
            "GET",
            "/",
            [("Param-3", "Value3"), ("Param", "Value2"), ("ሴ", "Value1")],
            [],
            "",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"
        ),
        Vector(
            "get-vanilla-query-unreserved",
            "GET",
            "/",
            [(unreserved, unreserved)],
            [],
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"
        ),
        Vector(
            "get-vanilla-utf8-query",
            "GET",
            "/",
            [("ሴ", "bar")],
            [],
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"
        ),
        Vector(
            "get-header-key-duplicate",
            "GET",
            "/",
            [],
            [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"
        ),
        Vector(
            "get-header-value-order",
            "GET",
            "/",
            [],
            [("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")],
            "",
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"
        ),
        Vector(
            "get-header-value-trim",
            "GET",
            "/",
            [],
            [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        ),
        Vector(
            "post-header-value-case",
            "POST",
            "/",
            [],
            [("My-Header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"
        ),
        Vector(
            "post-sts-header-before",
            "POST",
            "/",
            [],
            [("X-Amz-Security-Token", token)],
            "",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        ),
        Vector(
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            [],
            [("Content-Type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        ),
    ]

    /// "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference: the examples.
    static let examples: [Vector] = [
        Vector(
            "GET Object",
            "GET",
            "/test.txt",
            [],
            [("Range", "bytes=0-9")],
            "",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
        Vector(
            "PUT Object",
            "PUT",
            "/test$file.text",
            [],
            [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        ),
        Vector(
            "GET Bucket lifecycle",
            "GET",
            "/",
            [("lifecycle", "")],
            [],
            "",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        ),
        Vector(
            "List Objects",
            "GET",
            "/",
            [("max-keys", "2"), ("prefix", "J")],
            [],
            "",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ),
    ]

    @Test("the published test suite", arguments: suite)
    func published(_ vector: Vector) throws {
        let time = "20150830T123600Z"
        let signature = S3Signature(
            credentials: S3Credentials(accessKey: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1",
            service: "service"
        )
        let fixed = [(name: "Host", value: "example.amazonaws.com"), (name: "X-Amz-Date", value: time)]
        try check(vector, signature, vector.headers + fixed, time: time)
    }

    @Test("the published examples of requests to buckets", arguments: examples)
    func examplesOfS3(_ vector: Vector) throws {
        let time = "20130524T000000Z"
        let signature = S3Signature(
            credentials: S3Credentials(
                accessKey: "AKIAIOSFODNN7EXAMPLE",
                secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
            ),
            region: "us-east-1"
        )
        let fixed = [
            (name: "Host", value: "examplebucket.s3.amazonaws.com"), (name: "X-Amz-Date", value: time),
            (name: "x-amz-content-sha256", value: try SHA256.hash(vector.body).hex),
        ]
        try check(vector, signature, vector.headers + fixed, time: time)
    }

    private func check(
        _ vector: Vector,
        _ signature: S3Signature,
        _ headers: [(name: String, value: String)],
        time: String
    ) throws {
        let authorization = try signature.authorization(
            method: vector.method,
            path: vector.path,
            query: vector.query,
            headers: headers,
            payloadHash: try SHA256.hash(vector.body).hex,
            time: time
        )
        #expect(authorization.hasSuffix("Signature=" + vector.signature), "\(authorization)")
        #expect(authorization.hasPrefix("AWS4-HMAC-SHA256 Credential=\(signature.credentials.accessKey)/"))
    }
}
