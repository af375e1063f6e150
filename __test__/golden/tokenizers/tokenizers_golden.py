"""Files and encodings of Hugging Face's `tokenizers`: tokenizers_golden.py

1. trains a tokenizer of each kind and writes `python.json`: its tokenizer.json, and encodings and decodings of texts;
2. reads what sconce wrote (`ours.json`, by `SCONCE_GOLDEN=write npx ava __test__/data/tokenizers/golden.test.ts`) and writes
   `ours-encoded.json`: what `tokenizers` makes of the same texts with it.
"""

import gzip
import json
import pathlib
import random

from tokenizers import AddedToken, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = pathlib.Path(__file__).parent
data = here / "../../../data"
random.seed(1)


def lines(name, count):
    with gzip.open(data / name, "rt", encoding="utf-8") as file:
        return [cell for line, _ in zip(file, range(count)) for cell in line.rstrip("\n").split("\t")[:2]]


training = lines("tatoeba-en-fr.train-10000.tsv.gz", 400) + lines("tatoeba-en-zh.train.tsv.gz", 400)
ranges = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
          (0x3000, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xAD00), (0xF900, 0xFA00), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF),
          (0x1F1E6, 0x1F1FF), (0x20, 0x20)]


def noise():
    return "".join(chr(random.randint(*random.choice(ranges))) for _ in range(random.randint(0, 24)))


texts = training[::37] + [noise() for _ in range(200)] + [
    "", " ", "  two  spaces ", "\t\n", "e\u0301", "👨‍👩‍👧‍👦👍🏽", "a\u0000b", "<s> </s><unk>[MASK] x", "[MASK] <mask> extra_0extra_0 x", "\u2581\u2581a \u2581",
    "a\ud800b\udc00", "x" * 3000, "don't " * 50, "I'll we've he'd", "1,000.50 12:30 ３４",
]
controls = ["<s>", "</s>", "<unk>", "<pad>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "<|endoftext|>"]


def clean(text):
    """As it can be written: halves of surrogate pairs become replacement characters."""
    return "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in text)


def encoded(tokenizer, texts):
    rows = []
    for text in texts:
        # For sconce the texts of padding, unknown, begin and end are ordinary; here all special tokens are, or none.
        tokenizer.encode_special_tokens = any(control in text for control in controls)
        ids = tokenizer.encode(clean(text), add_special_tokens=False).ids
        rows.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)})
    return rows


def make(model, trainer, lines=training, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def kinds():
    specials = ["<pad>", "<unk>", "<s>", "</s>"]
    silent = {"show_progress": False}
    yield "gpt2", make(
        models.BPE(),
        trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **silent),
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel(),
        post_processor=processors.ByteLevel(trim_offsets=False),
    )
    marian = make(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True),
        trainers.BpeTrainer(vocab_size=500, special_tokens=specials, end_of_word_suffix="</w>", **silent),
        normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]),
        decoder=decoders.BPEDecoder(suffix="</w>"),
    )
    marian.add_tokens([AddedToken("extra_0", lstrip=True, normalized=True), AddedToken("<mask>", rstrip=True, normalized=False)])
    yield "suffix", marian
    bert = make(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], **silent),
        normalizer=normalizers.BertNormalizer(lowercase=True),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
    )
    bert.enable_truncation(5)
    bert.enable_padding(pad_token="[PAD]", length=8)
    yield "bert", bert
    yield "unigram", make(
        models.Unigram(),
        trainers.UnigramTrainer(vocab_size=400, special_tokens=specials, unk_token="<unk>", **silent),
        lines=training[:800],
        normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" {2,}", " ")]),
        pre_tokenizer=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(),
    )
    yield "words", make(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=500, special_tokens=specials, **silent),
        pre_tokenizer=pre_tokenizers.WhitespaceSplit(),
    )


def without_controls():
    """Files of others may have further special tokens: compare where it makes no difference."""
    return [text for text in texts if not any(control in text for control in controls)]


def write(name, content):
    (here / name).write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


result = {"version": __version__, "training": training, "texts": without_controls(), "tokenizers": {}}
for name, tokenizer in kinds():
    document = json.loads(tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    result["tokenizers"][name] = {"document": document, "encoded": encoded(tokenizer, result["texts"])}
write("python.json", result)

ours = here / "ours.json"
if ours.exists():
    answers = {"version": __version__, "texts": texts, "encoded": {}}
    for name, document in json.loads(ours.read_text()).items():
        tokenizer = Tokenizer.from_str(json.dumps(document))
        answers["encoded"][name] = encoded(tokenizer, texts)
    write("ours-encoded.json", answers)
