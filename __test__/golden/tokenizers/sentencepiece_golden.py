"""Models of `sentencepiece` and what it makes of texts with them: sentencepiece_golden.py [DATA]

1. trains a small model of each kind and writes it to `sentencepiece/NAME.model`; `sentencepiece.json` has ids, decodings and offsets of texts;
2. with the folder of larger files (the one that SCONCE_DATA names in tests) also writes `sentencepiece-data.json`: ids and decodings of
   texts with the models there, of `transformers`' BERT tokenizer with the vocabularies there, and of GPT-2's byte pairs.
"""

import gzip
import io
import json
import pathlib
import random
import sys

import sentencepiece
import tokenizers

here = pathlib.Path(__file__).parent
data = here / "../../../data"
random.seed(2)


def lines(name, count):
    with gzip.open(data / name, "rt", encoding="utf-8") as file:
        return [cell for line, _ in zip(file, range(count)) for cell in line.rstrip("\n").split("\t")[:2]]


training = lines("tatoeba-en-fr.train-10000.tsv.gz", 300) + lines("tatoeba-en-zh.train.tsv.gz", 300)
ranges = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
          (0x2580, 0x2583), (0x3000, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xAD00), (0xF900, 0xFA00), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF),
          (0x1F1E6, 0x1F1FF), (0x0, 0x20), (0x20, 0x20), (0x20, 0x20)]


def noise():
    return "".join(chr(random.randint(*random.choice(ranges))) for _ in range(random.randint(0, 24)))


def mixed():
    """Words of the training texts with something unusual between."""
    words = random.choice(training).split(" ")
    return random.choice([" ", "  ", "\u3000", "\t", ""]).join(word + random.choice(["", "", noise()]) for word in words)


texts = training[::29] + [noise() for _ in range(120)] + [mixed() for _ in range(120)] + [
    "", " ", "   ", "  two  spaces ", "\t\n", "e\u0301", "👨‍👩‍👧‍👦👍🏽", "a\u0000b", "<s> </s><unk> x", "<sep>a<sep><sep> b <sep>", "<se<sep>p>", "<cls> <ctl> x",
    "\u2581\u2581a \u2581", "\u2581", "x" * 300, "don't " * 20, "<0x41>", "①②ffi ﬁ ㌀", "ⅷ ²³", " leading", "trailing ", "new york", "abcabc",
]

rules = [("①", "1"), ("②", "2"), ("ﬁ", "fi"), ("é", "e"), ("ee", "E"), ("eee", "<3>"), ("\u3000", " "), ("\t", " "), ("\u200b", ""), ("…", "..."),
         ("½", "1 / 2"), ("A", "a"), ("Th", "th"), ("The", "t h e")]


def tsv(path):
    with open(path, "w", encoding="utf-8") as file:
        for source, target in rules:
            file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")


rule_file = pathlib.Path("/tmp/sconce-rules.tsv")
tsv(rule_file)
plain = {"normalization_rule_name": "identity"}
kinds = {
    "unigram": {"model_type": "unigram", "normalization_rule_tsv": str(rule_file), "user_defined_symbols": ["<sep>", "new york"], "control_symbols": ["<ctl>"]},
    "bpe": {"model_type": "bpe", "normalization_rule_tsv": str(rule_file), "user_defined_symbols": ["<sep>", "abc"], "control_symbols": ["<ctl>"]},
    "unigram-bytes": {"model_type": "unigram", "byte_fallback": True, "vocab_size": 650, **plain},
    "bpe-bytes": {"model_type": "bpe", "byte_fallback": True, "vocab_size": 650, "remove_extra_whitespaces": False, "pad_id": 3, **plain},
    "unigram-spaces": {"model_type": "unigram", "add_dummy_prefix": False, "remove_extra_whitespaces": False, "unk_surface": "??", "split_by_whitespace": False, **plain},
    "bpe-suffix": {"model_type": "bpe", "treat_whitespace_as_suffix": True, "bos_piece": "[B]", "eos_piece": "[E]", "pad_piece": "[P]", "pad_id": 3, **plain},
}


def encoded(model, with_spans):
    rows = []
    for text in texts:
        proto = model.encode(text, return_type="proto")
        ids = [piece.id for piece in proto.pieces]
        row = {"ids": ids, "text": model.decode(ids)}
        if with_spans:
            # In bytes of UTF-8.
            row["spans"] = [place for piece in proto.pieces for place in (piece.begin, piece.end)]
        rows.append(row)
    return rows


def write(name, content):
    (here / name).write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


result = {"version": sentencepiece.__version__, "texts": texts, "models": {}}
for name, options in kinds.items():
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(training), model_writer=out, minloglevel=2, num_threads=1, hard_vocab_limit=False, character_coverage=0.99,
        **{"vocab_size": 400, **options},
    )
    content = out.getvalue()
    (here / "sentencepiece" / f"{name}.model").write_bytes(content)
    model = sentencepiece.SentencePieceProcessor(model_proto=content)
    specials = {"padding": model.pad_id(), "unknown": model.unk_id(), "begin": model.bos_id(), "end": model.eos_id()}
    result["models"][name] = {"size": model.vocab_size(), "specials": specials, "encoded": encoded(model, True)}
write("sentencepiece.json", result)

if len(sys.argv) > 1:
    folder = pathlib.Path(sys.argv[1]) / "tokenizers"
    answers = {"sentencepiece": {}, "vocabularies": {}, "gpt2": []}
    for path in ["joeynmt-toy/sp200.model", "opus-mt-tc-big-fr-en/source.spm", "opus-mt-tc-big-fr-en/target.spm", "sentencepiece/test_model.model",
                 "sentencepiece/test_ja_model.model"]:
        answers["sentencepiece"][path] = encoded(sentencepiece.SentencePieceProcessor(model_file=str(folder / path)), False)
    controls = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "<|endoftext|>"]
    assert not any(control in text for control in controls for text in texts)
    for name in ["bert-base-uncased", "bert-base-chinese", "bert-base-multilingual"]:
        with gzip.open(folder / f"{name}.vocab.txt.gz", "rt", encoding="utf-8", newline="\n") as file:
            vocabulary = {line.rstrip("\n"): index for index, line in enumerate(file)}
        rows = []
        tokenizer = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=name.endswith("uncased"))
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            rows.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)})
        answers["vocabularies"][name] = rows
    with gzip.open(folder / "gpt2.merges.txt.gz", "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:] if line]
    # As its vocab.json: bytes in the order of the characters that stand for them, merges, and one token more.
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(alphabet + ["".join(pair) for pair in merges] + ["<|endoftext|>"])}
    tokenizer = tokenizers.ByteLevelBPETokenizer(vocabulary, merges)
    for text in texts:
        ids = tokenizer.encode(text).ids
        answers["gpt2"].append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)})
    write("sentencepiece-data.json", answers)
