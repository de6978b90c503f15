import Glibc
import KelterTestSupport

/// Python's `openai` client, which the embedding client is measured beside.
///
/// It is called as its documentation shows it: without `encoding_format` it asks for base64 itself and decodes it with
/// numpy to lists of floats; with `float` it reads JSON numbers. The same client in threads costs less processor time
/// than its asynchronous variant.
enum OpenAIClient {
    /// The interpreter of the virtual environment with the client; `nil` when it is not installed.
    static var interpreter: String? {
        let path = TestServer.partsDirectory + "/bench-venv/bin/python"
        return access(path, X_OK) == 0 ? path : nil
    }

    static let installation = "Config/install-test-parts.sh bench"

    /// The arguments of a program that prints the same object as ``EmbeddingWorkers``' client, and its versions.
    static func command(_ interpreter: String, url: String, encoding: String, dimension: Int, texts: Int) -> [String] {
        [
            interpreter, "-c", program, url, encoding, "\(dimension)", "\(texts)",
            "\(EmbeddingWorkers.inputsPerRequest)", "\(EmbeddingWorkers.requestsAtATime)",
            "\(EmbeddingWorkers.warmUpRequests)",
        ]
    }

    private static let program = """
        import concurrent.futures, json, platform, resource, sys, time
        import numpy, openai

        url, encoding = sys.argv[1:3]
        dimension, count, size, parallel, warm_up = map(int, sys.argv[3:])
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        options = {} if encoding == "base64" else {"encoding_format": encoding}

        def texts(count):
            return [f"Text {number:07d} of a document, forty bytes." for number in range(count)]

        def embed(inputs):
            data = client.embeddings.create(model="bench", input=inputs, **options).data
            return sum(len(item.embedding) == dimension for item in data)

        def embed_all(pool, inputs):
            return sum(pool.map(embed, [inputs[start:start + size] for start in range(0, len(inputs), size)]))

        def cpu():
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return usage.ru_utime + usage.ru_stime

        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            embed_all(pool, texts(warm_up * size))
            inputs = texts(count)
            before, start = cpu(), time.perf_counter()
            vectors = embed_all(pool, inputs)
            wall, used = time.perf_counter() - start, cpu() - before
        versions = f"openai {openai.__version__}, numpy {numpy.__version__}, Python {platform.python_version()}"
        print(json.dumps({"vectors": vectors, "wall_us": int(wall * 1e6), "cpu_us": int(used * 1e6), "versions": versions}))
        """
}
