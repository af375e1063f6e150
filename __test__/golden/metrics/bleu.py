"""BLEU of random and of given texts, by sacreBLEU: writes bleu.json.

Characters that came into Unicode lately are left out: what Python and Node know of them depends on their versions.
"""

import json
import random
import unicodedata
from unittest import mock

import numpy
import sacrebleu
from sacrebleu import significance
from random_texts import disturbed, line
from sacrebleu.metrics import BLEU
from scored import scored

random.seed(20240607)


def case(hypotheses, references, **options):
    made, score = scored(BLEU(**options), hypotheses, references, options)
    return {
        **made,
        "score": score.score,
        "precisions": score.precisions,
        "bp": score.bp,
        "ratio": score.ratio,
        "counts": score.counts,
        "totals": score.totals,
        "sysLen": score.sys_len,
        "refLen": score.ref_len,
    }


def random_case(count):
    references = [[line() for _ in range(count)]]
    for _ in range(random.choice([0, 0, 1, 2])):
        references.append([disturbed(text) for text in references[0]])
    hypotheses = [disturbed(random.choice(texts)) for texts in zip(*references)]
    if len(references) > 1 and random.random() < 0.3:
        references[1] = [None if random.random() < 0.4 else text for text in references[1]]
    smooth = random.choice(["exp", "exp", "floor", "add-k", "none"])
    options = {
        "tokenize": random.choice(["13a", "13a", "zh", "char", "none", "intl"]),
        "lowercase": random.random() < 0.4,
        "smooth_method": smooth,
        "effective_order": random.random() < 0.3,
        "max_ngram_order": random.choice([4, 4, 4, 1, 2, 6]),
    }
    if smooth in ("floor", "add-k") and random.random() < 0.7:
        options["smooth_value"] = random.choice([0, 0.01, 0.5, 2])
    return case(hypotheses, references, **options)


def tokenized(name, text):
    """The words of a text, as n-grams are made of them."""
    metric = BLEU(tokenize=name)
    return metric._preprocess_segment(text).split()


CODES = [*range(0x20, 0x3000), *range(0x3000, 0x10000, 7), *range(0x10000, 0x20000, 97)]


def is_skipped(code):
    return 0xD800 <= code < 0xE000 or unicodedata.category(chr(code)) in ("Cn", "Co")


def every_character(name):
    """How many words a character makes between letters and between digits, two figures each."""
    chars = [chr(code) for code in CODES if not is_skipped(code)]
    return "".join(f"{len(tokenized(name, f'a{c}b'))}{len(tokenized(name, f'1{c}2'))}" for c in chars)


class Given:
    """A generator of random numbers that gives what it was given."""

    def __init__(self, indices):
        self.indices = indices

    def choice(self, *_args, **_kwargs):
        return self.indices


def paired(count, samples):
    references = [[line() + " the dog bit the man" for _ in range(count)]]
    systems = [[disturbed(text) for text in references[0]] for _ in range(2)]
    indices = numpy.array([[random.randrange(count) for _ in range(count)] for _ in range(samples)])
    with mock.patch.object(significance.np.random, "default_rng", lambda _seed: Given(indices)):
        test = significance.PairedTest(
            [("baseline", systems[0]), ("system", systems[1])], {"BLEU": BLEU()}, references, test_type="bs", n_samples=samples
        )
        signatures, scores = test()
    results = [{"score": r.score, "mean": float(r.mean), "ci": float(r.ci)} for r in scores["BLEU"]]
    return {
        "baseline": systems[0],
        "system": systems[1],
        "references": references,
        "indices": indices.tolist(),
        "results": results,
        "pValue": scores["BLEU"][1].p_value,
        "signature": str(signatures["BLEU"]),
    }


golden = {
    "sacrebleu": sacrebleu.__version__,
    "cases": [random_case(random.choice([1, 3, 12])) for _ in range(160)],
    "skipped": [code for code in CODES if is_skipped(code)],
    "characters": {name: every_character(name) for name in ("13a", "zh", "intl", "char")},
    "paired": [paired(20, 60), paired(7, 41)],
}
with open("bleu.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
