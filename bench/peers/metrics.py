"""BLEU and chrF of systems with sacreBLEU, on request. References are prepared once for all systems, as it offers."""

import gzip
import time

import sacrebleu
from protocol import memory, serve
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

state = {}


def describe(request):
    return {"versions": {"sacrebleu": sacrebleu.__version__}}


def open_file(request):
    with gzip.open(request["file"], "rt", encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    rows = rows if request["lines"] is None else rows[: request["lines"] + 1]
    state["columns"] = dict(zip(rows[0], map(list, zip(*rows[1:]))))
    state["systems"] = [name for name in rows[0] if name not in ("src", "refA", "refB")]
    return {}


def score(request):
    # It keeps the words of lines that it has seen: a new round would not be the same work.
    TokenizerZh.__call__.cache_clear()
    TokenizerRegexp.__call__.cache_clear()
    references = [state["columns"][name] for name in request["references"]]
    start = time.perf_counter()
    bleu = BLEU(tokenize="zh", references=references)
    chrf = CHRF(references=references)
    scores = []
    for name in state["systems"]:
        hypotheses = state["columns"][name]
        scores.append([bleu.corpus_score(hypotheses, None).score, chrf.corpus_score(hypotheses, None).score])
    milliseconds = 1000 * (time.perf_counter() - start)
    return {"milliseconds": milliseconds, "scores": scores, "peakMiB": memory("VmHWM")}


serve({"describe": describe, "open": open_file, "score": score})
