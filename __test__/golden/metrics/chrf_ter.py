"""chrF, chrF++ and TER of random texts, by sacreBLEU: writes chrf-ter.json."""

import json
import random

import sacrebleu
from random_texts import disturbed, line
from sacrebleu.metrics import CHRF, TER
from scored import scored

random.seed(20261129)

WORDS = "a b c d e f g the cat 's sat. mat, (on) it's 3.5 dog's, it's. &amp;'s".split(" ")


def shuffled():
    """Two texts of the same words in other places, so that words are shifted."""
    words = [random.choice(WORDS) for _ in range(random.randint(0, 40))]
    other = words[:]
    for _ in range(random.randint(0, 6)):
        if not other:
            break
        start = random.randrange(len(other))
        block = other[start : start + random.randint(1, 12)]
        del other[start : start + len(block)]
        at = random.randint(0, len(other))
        other[at:at] = block
        if random.random() < 0.4 and other:
            other[random.randrange(len(other))] = random.choice(WORDS)
    return " ".join(words), " ".join(other)


def corpus(count, shifts):
    if shifts:
        pairs = [shuffled() for _ in range(count)]
        references, hypotheses = [[one for one, _ in pairs]], [other for _, other in pairs]
    else:
        references = [[line() for _ in range(count)]]
        hypotheses = [disturbed(text) for text in references[0]]
    for _ in range(random.choice([0, 0, 1, 2])):
        references.append([disturbed(text) for text in references[0]])
    if len(references) > 1 and random.random() < 0.3:
        references[1] = [None if random.random() < 0.4 else text for text in references[1]]
    if random.random() < 0.1:
        hypotheses[0] = ""
    return hypotheses, references


def flag(chance=0.4):
    return random.random() < chance


def chrf_case():
    hypotheses, references = corpus(random.choice([1, 1, 4, 12]), flag(0.2))
    options = {
        "char_order": random.choice([6, 6, 6, 1, 3]),
        "word_order": random.choice([0, 2, 2, 1, 4]),
        "beta": random.choice([2, 2, 1, 3]),
        "lowercase": flag(),
        "whitespace": flag(),
        "eps_smoothing": flag(),
    }
    made, score = scored(CHRF(**options), hypotheses, references, options)
    return {
        **made,
        "name": score.name,
        "score": score.score,
    }


def ter_case():
    hypotheses, references = corpus(random.choice([1, 1, 4, 8]), flag(0.6))
    options = {
        "normalized": flag(),
        "no_punct": flag(),
        "asian_support": flag(0.5),
        "case_sensitive": flag(),
    }
    made, score = scored(TER(**options), hypotheses, references, options)
    return {
        **made,
        "score": score.score,
        "numEdits": score.num_edits,
        "refLength": score.ref_length,
    }


def long_case(words, others):
    """Texts whose lengths differ much, or that are longer than the beam."""
    one = [random.choice("abcdefgh") for _ in range(words)]
    other = [random.choice("abcdefgh") for _ in range(others)]
    half = len(one) // 2
    hypotheses = [" ".join(one[half:] + one[:half]), " ".join(one)]
    references = [[" ".join(one), " ".join(other)]]
    score = TER().corpus_score(hypotheses, references)
    return {
        "hypotheses": hypotheses,
        "references": references,
        "options": {},
        "signature": "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2",
        "score": score.score,
        "numEdits": score.num_edits,
        "refLength": score.ref_length,
    }


golden = {
    "sacrebleu": sacrebleu.__version__,
    "chrf": [chrf_case() for _ in range(120)],
    "ter": [ter_case() for _ in range(200)]
    + [long_case(*sizes) for sizes in [(90, 90), (130, 8), (6, 200), (1, 150), (150, 1), (110, 60)]],
}
with open("chrf-ter.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
