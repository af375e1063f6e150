"""Training and encoding of byte pairs with Hugging Face's tokenizers, on request."""

import gzip
import json
import time

import tokenizers
from protocol import memory, serve
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]
state = {}


def describe(request):
    return {"versions": {"tokenizers": tokenizers.__version__}}


def open_file(request):
    with gzip.open(request["file"], "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    lines = [line for line in lines if line]
    state["texts"] = lines if request["lines"] is None else lines[: request["lines"]]
    return {"texts": len(state["texts"])}


def untrained(request):
    """same: the pipeline of sconce's file; metaspace: a usual one without regular expressions."""
    if request["pipeline"] == "same":
        document = json.loads(request["document"])
        document["added_tokens"] = []
        document["model"] |= {"vocab": {}, "merges": []}
        return Tokenizer.from_str(json.dumps(document))
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def train(request):
    tokenizer = untrained(request)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if request["byteLevel"] else []
    trainer = trainers.BpeTrainer(
        vocab_size=request["vocabularySize"], special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    start = time.perf_counter()
    tokenizer.train_from_iterator(state["texts"], trainer, length=len(state["texts"]))
    milliseconds = 1000 * (time.perf_counter() - start)
    tokenizer.encode_special_tokens = True
    state["tokenizer"] = tokenizer
    return {"milliseconds": milliseconds, "tokens": tokenizer.get_vocab_size(), "peakMiB": memory("VmHWM")}


def encode(request):
    start = time.perf_counter()
    encodings = state["tokenizer"].encode_batch_fast(state["texts"], add_special_tokens=False)
    ids = [encoding.ids for encoding in encodings]
    milliseconds = 1000 * (time.perf_counter() - start)
    total, count = 0, 0
    for row in ids:
        count += len(row)
        for token in row:
            total = (total * 31 + token) & 0xFFFFFFFF
    return {"milliseconds": milliseconds, "tokens": count, "checksum": total, "peakMiB": memory("VmHWM")}


serve({"describe": describe, "open": open_file, "train": train, "encode": encode})
