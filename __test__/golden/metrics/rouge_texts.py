"""ROUGE of random texts, by rouge-score, and stems by NLTK: writes rouge.json and porter-stems.json."""

import json
import random
from unittest import mock

import numpy
import regex
from nltk.stem.porter import PorterStemmer
from random_texts import disturbed, line
from rouge_score import rouge_scorer, scoring
from rouge_score.tokenizers import Tokenizer

random.seed(20261130)

TYPES = ["rouge1", "rouge2", "rouge3", "rouge9", "rougeL", "rougeLsum"]
STEMS = "run happ relat formal electric hope adjust depend adopt commun activ homolog effect bowdler control cat fl enjo tr d geo archaeo".split()
ENDS = (
    "s es ed ing y ies ied ier ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness "
    "aliti iviti biliti fulli logi logy icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent sion tion ou ism ate "
    "iti ous ive ize eed at bl iz ll e le lle tt zz ss pping tted xing"
).split()


def word():
    return random.choice(STEMS) + "".join(random.choice(ENDS) for _ in range(random.randint(0, 2)))


def summary():
    sentences = []
    for _ in range(random.randint(0, 4)):
        if random.random() < 0.3:
            sentences.append(line())
        else:
            sentences.append(" ".join(random.choice(["the", "cat", "a", "sat", word()]) for _ in range(random.randint(0, 15))))
    return random.choice(["\n", "\n", " ", "\n\n"]).join(sentences)


class Chinese(Tokenizer):
    """What the option `tokenizer: "zh"` says: runs of a to z and digits, and each Chinese character."""

    def __init__(self, stemmer):
        self.stemmer = stemmer

    def tokenize(self, text):
        words = regex.findall(r"[a-z0-9]+|\p{Han}", text.lower())
        if self.stemmer is None:
            return words
        return [self.stemmer.stem(each) if len(each) > 3 else each for each in words]


def values(score):
    return [float(score.precision), float(score.recall), float(score.fmeasure)]


def case(count):
    references = [[summary() for _ in range(count)]]
    for _ in range(random.choice([0, 0, 1, 2])):
        references.append([disturbed(text) for text in references[0]])
    hypotheses = [disturbed(random.choice(texts)) if random.random() < 0.8 else summary() for texts in zip(*references)]
    stemmer, chinese = random.random() < 0.5, random.random() < 0.4
    tokenizer = Chinese(PorterStemmer() if stemmer else None) if chinese else None
    scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=stemmer, tokenizer=tokenizer)
    scores = [scorer.score_multi(list(texts), text) for text, *texts in zip(hypotheses, *references)]
    means = {kind: numpy.mean([values(score[kind]) for score in scores], axis=0).tolist() for kind in TYPES}
    indices = [[random.randrange(count) for _ in range(count)] for _ in range(30)]
    made = {
        "hypotheses": hypotheses,
        "references": references,
        "options": {"useStemmer": stemmer, "tokenizer": "zh" if chinese else "default"},
        "scores": means,
    }
    if count > 1 and random.random() < 0.2:
        share = random.choice([0.95, 0.5])
        aggregator = scoring.BootstrapAggregator(confidence_interval=share, n_samples=len(indices))
        for score in scores:
            aggregator.add_scores(score)
        # The samples of each type are the same: as many as there are types, one after the other.
        drawn = iter([numpy.array(sample) for _ in TYPES for sample in indices])
        with mock.patch.object(scoring.np.random, "choice", lambda *_args, **_kwargs: next(drawn)):
            ranges = aggregator.aggregate()
        made["share"] = share
        made["indices"] = indices
        made["ranges"] = {kind: {end: values(getattr(ranges[kind], end)) for end in ("low", "mid", "high")} for kind in TYPES}
    return made


stemmer = PorterStemmer()
vocabulary = sorted({word() for _ in range(3000)} | {"skies", "dying", "news", "howe", "succeed", "yyyyyy", "syzygy", "x2x2", "0000"})
golden = {
    "rouge.json": [case(random.choice([1, 1, 2, 6])) for _ in range(120)],
    "porter-stems.json": {each: stemmer.stem(each) for each in vocabulary if len(each) > 3},
}
for name, content in golden.items():
    with open(name, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")
