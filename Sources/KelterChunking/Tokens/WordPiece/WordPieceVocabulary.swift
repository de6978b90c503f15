import KelterModel

/// The vocabulary of a `tokenizer.json` with a WordPiece model, and what else of the file has a part in counts.
///
/// The format is that of the library `tokenizers`: `model.vocab` gives each token its index, `normalizer` names the
/// steps of ``BertNormaliser``, `post_processor` the tokens around an input, and `added_tokens` those that are looked
/// for in the text itself. Settings for truncation and padding are left aside.
struct WordPieceVocabulary: Sendable {
    /// Tokens that begin a word.
    let beginnings: TokenTable
    /// Tokens inside a word, without the prefix `##`.
    let continuations: TokenTable
    /// A word of more characters than this is unknown.
    let longestWord: Int
    let options: BertNormaliser.Options
    /// Tokens put around an input.
    let specialTokens: Int
    /// The tokens that are looked for in a text, the longest first.
    private let added: [[UInt8]]
    /// The bytes that they begin with.
    let beginsSpecial: [Bool]

    init(_ file: TokenizerFile) throws(KelterError) {
        let json: JSONValue
        do throws(JSONReader.Failure) {
            json = try JSONReader.read(file.bytes)
        } catch {
            throw file.damaged("it is not JSON, \(error)")
        }
        guard let model = json["model"] else { throw file.unsupported("it has no model, as a tokenizer.json has") }
        guard model["type"]?.string == "WordPiece" else {
            throw file.unsupported("its model is of the type \(model["type"]?.string ?? "(none)")")
        }
        guard let members = model["vocab"]?.members, let prefix = model["continuing_subword_prefix"]?.string,
            let unknown = model["unk_token"]?.string, let longestWord = model["max_input_chars_per_word"]?.int
        else { throw file.damaged("its model lacks a member") }
        guard members.contains(where: { $0.name == unknown }) else {
            throw file.damaged("its unknown token is not in the vocabulary")
        }
        self.longestWord = longestWord
        guard let beginnings = Self.table(members.map { Array($0.name.utf8) }),
            let continuations = Self.table(
                members.compactMap { member in
                    let name = Array(member.name.utf8)
                    return name.starts(with: prefix.utf8) ? Array(name.dropFirst(prefix.utf8.count)) : nil
                }
            )
        else { throw file.damaged("a token stands twice") }
        self.beginnings = beginnings
        self.continuations = continuations
        options = try Self.options(json, file)
        specialTokens = try Self.specialTokens(json, file)
        added = try Self.added(json, file)
        var beginsSpecial = [Bool](repeating: false, count: 256)
        for token in added { token.first.map { beginsSpecial[Int($0)] = true } }
        self.beginsSpecial = beginsSpecial
    }

    private static func table(_ tokens: [[UInt8]]) -> TokenTable? {
        var bytes: [UInt8] = []
        var offsets: [UInt32] = [0]
        for token in tokens where !token.isEmpty {
            bytes += token
            offsets.append(UInt32(bytes.count))
        }
        return TokenTable(bytes: bytes, offsets: offsets)
    }

    private static func options(_ json: JSONValue, _ file: TokenizerFile) throws(KelterError) -> BertNormaliser.Options
    {
        guard let normaliser = json["normalizer"], normaliser["type"]?.string == "BertNormalizer" else {
            throw file.unsupported("its normaliser is not BERT's")
        }
        guard json["pre_tokenizer"]?["type"]?.string == "BertPreTokenizer" else {
            throw file.unsupported("its pre-tokeniser is not BERT's")
        }
        guard let lowersCase = normaliser["lowercase"]?.bool, let cleansText = normaliser["clean_text"]?.bool,
            let separatesIdeographs = normaliser["handle_chinese_chars"]?.bool
        else { throw file.damaged("its normaliser lacks a member") }
        return BertNormaliser.Options(
            cleansText: cleansText,
            separatesIdeographs: separatesIdeographs,
            // Without a setting of its own it goes with the case.
            stripsAccents: normaliser["strip_accents"]?.bool ?? lowersCase,
            lowersCase: lowersCase
        )
    }

    private static func specialTokens(_ json: JSONValue, _ file: TokenizerFile) throws(KelterError) -> Int {
        guard let processor = json["post_processor"], processor != .null else { return 0 }
        switch processor["type"]?.string {
        case "BertProcessing": return 2
        case "TemplateProcessing":
            guard let items = processor["single"]?.array else {
                throw file.damaged("its post-processor lacks a member")
            }
            var count = 0
            for item in items {
                guard let name = item["SpecialToken"]?["id"]?.string else { continue }
                count += processor["special_tokens"]?[name]?["ids"]?.array?.count ?? 1
            }
            return count
        default: throw file.unsupported("its post-processor is not BERT's")
        }
    }

    private static func added(_ json: JSONValue, _ file: TokenizerFile) throws(KelterError) -> [[UInt8]] {
        var tokens: [[UInt8]] = []
        for token in json["added_tokens"]?.array ?? [] {
            guard let content = token["content"]?.string else { throw file.damaged("an added token has no content") }
            guard token["normalized"]?.bool == false, token["single_word"]?.bool != true else {
                throw file.unsupported(
                    "the added token \"\(content)\" is looked for in normalised text or only as a word"
                )
            }
            if !content.isEmpty { tokens.append(Array(content.utf8)) }
        }
        return tokens.sorted { $0.count > $1.count }
    }
}

extension WordPieceVocabulary {
    /// The bytes of the special token that stands at a place in a text; `nil` if none does.
    func specialLength(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> Int? {
        added.first { token in
            token.count <= text.count - index && token.indices.allSatisfy { text[index + $0] == token[$0] }
        }?.count
    }
}
