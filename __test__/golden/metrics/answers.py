"""Exact match and F1 of random answers, by the evaluation scripts of SQuAD and CMRC 2018: writes answers.json.

Run with the folder that holds evaluate-v1.1.py, evaluate-v2.0.py (rajpurkar/SQuAD-explorer, CodaLab) and cmrc2018_evaluate.py
(ymcui/cmrc2018, squad-style-data), and with the folder that holds conformance/squad-predictions and qa. The script of CMRC is of Python 2:
what Python 3 has no longer is taken out of it. It lets NLTK look for sentences first; that needs a trained model and is left out, as in sconce.
"""

import contextlib
import importlib.util
import gzip
import io
import json
import random
import re
import sys
import types
from functools import partial
from pathlib import Path

import nltk
from nltk.tokenize.destructive import NLTKWordTokenizer
from random_texts import disturbed, line

random.seed(20261201)
scripts, data = Path(sys.argv[1]), Path(sys.argv[2])


# Since 3.10 NLTK has another engine for its patterns, for which combining marks are letters: what the script met was Python's.
for name in ("STARTING_QUOTES", "PUNCTUATION", "ENDING_QUOTES"):
    patterns = getattr(NLTKWordTokenizer, name)
    setattr(NLTKWordTokenizer, name, [(re.compile(each.pattern), replacement) for each, replacement in patterns])


def module(name):
    spec = importlib.util.spec_from_file_location(name, scripts / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def cmrc_module():
    source = (scripts / "cmrc2018_evaluate.py").read_text(encoding="utf-8")
    for old, new in [(".decode('utf-8')", ""), ("ur'", "r'"), ("reload(sys)\n", ""), ("sys.setdefaultencoding('utf8')\n", "")]:
        assert old in source
        source = source.replace(old, new)
    made = types.ModuleType("cmrc")
    exec(source, made.__dict__)
    made.nltk = types.SimpleNamespace(word_tokenize=partial(nltk.word_tokenize, preserve_line=True))
    return made


first, second, chinese = module("evaluate-v1.1"), module("evaluate-v2.0"), cmrc_module()

WORDS = (
    "the a an The An A theme anchor river Nile nile. (Nile) \"quoted\" 'tis 'twas don't can't cannot gonna wanna it's we'll they've I'm John's O'Neil "
    "1,000 3.5 U.S. U.S end. ... -- - a-b a_b 5% $3 #1 & ; : , ? ! [x] <y> {z} 12:30 co., more'n d'ye lemme gimme ''q'' ``q`` «q» “q” ‘q’ * a*b n't'' 'll"
).split(" ")
CHINESE = list("我们在北京，大学。“的”《书》、（一）·…") + ["……", "1940年", "Windows 7", "iPhone", "3.5公里", "ABC", "－", "～", "·", "K-pop"]


def words():
    return " ".join(random.choice(WORDS) for _ in range(random.randint(0, 6)))


def answer():
    kind = random.random()
    if kind < 0.5:
        return words()
    if kind < 0.7:
        return line()
    return "".join(random.choice(CHINESE + WORDS[:4]) for _ in range(random.randint(0, 10)))


def like(text):
    if random.random() < 0.3:
        return text
    if " " not in text and random.random() < 0.7:
        at = random.randint(0, len(text))
        return text[:at] + random.choice(CHINESE) + text[at:] if random.random() < 0.5 else text[at:]
    return disturbed(text)


def question(number, empty):
    answers = [answer() for _ in range(random.choice([1, 1, 2, 3]))]
    if empty and random.random() < 0.3:
        answers = []
    elif empty and random.random() < 0.1:
        answers = ["."]
    made = {"id": str(number), "question": "", "answers": [{"text": text} for text in answers]}
    chosen = like(random.choice(answers)) if answers and random.random() < 0.8 else random.choice(["", answer()])
    return made, chosen


def document(questions):
    return {"data": [{"paragraphs": [{"qas": questions}]}]}


def evaluated(questions, predictions):
    """Values by all three scripts; those without answers only by that of SQuAD 2.0."""
    articles = document(questions)["data"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exact, f1 = second.get_raw_scores(articles, predictions)
        found = second.make_eval_dict(exact, f1)
        for name, wanted in [("HasAns", True), ("NoAns", False)]:
            ids = [each["id"] for each in questions if bool(each["answers"]) == wanted and each["id"] in predictions]
            if ids:
                second.merge_eval(found, second.make_eval_dict(exact, f1, qid_list=ids), name)
        made = {"squad2": found}
        if all(each["answers"] for each in questions):
            made["squad1"] = first.evaluate(articles, predictions)
            f1, em, total, skipped = chinese.evaluate(document(questions), predictions)
            made["cmrc"] = {"exact": em, "f1": f1, "total": total, "missing": skipped}
    return made


def case(empty):
    pairs = [question(number, empty) for number in range(random.choice([1, 1, 3, 10]))]
    predictions = {each["id"]: chosen for each, chosen in pairs if random.random() < 0.9 or each["id"] == "0"}
    questions = [each for each, _ in pairs]
    return {
        "questions": [{"id": each["id"], "answers": [it["text"] for it in each["answers"]]} for each in questions],
        "predictions": predictions,
        **evaluated(questions, predictions),
    }


def read(path):
    with gzip.open(data / path, "rt", encoding="utf-8") as file:
        return json.load(file)


def systems():
    """Published systems on the parts of SQuAD that are there; the texts themselves are not kept here."""
    made = {}
    for version, evaluate in [("1.1", lambda *both: first.evaluate(*both)), ("2.0", None)]:
        parts = [read(f"qa/squad{version}-dev.{part}.json.gz")["data"] for part in ("train", "valid", "test")]
        articles = [article for part in parts for article in part]
        prefix = "v2.0" if version == "2.0" else version
        for file in sorted((data / "conformance/squad-predictions").glob(f"{prefix}.*.json.gz")):
            predictions = read(f"conformance/squad-predictions/{file.name}")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                if evaluate is None:
                    made[file.name] = second.make_eval_dict(*second.get_raw_scores(articles, predictions))
                else:
                    made[file.name] = evaluate(articles, predictions)
    return made


def official(articles, predictions, probabilities, threshold):
    """What the script of SQuAD 2.0 prints with --na-prob-file and --na-prob-thresh."""
    has = second.make_qid_to_has_ans(articles)
    with contextlib.redirect_stdout(io.StringIO()):
        exact, f1 = second.get_raw_scores(articles, predictions)
    applied = [second.apply_no_ans_threshold(scores, probabilities, has, threshold) for scores in (exact, f1)]
    made = second.make_eval_dict(*applied)
    for name, wanted in [("HasAns", True), ("NoAns", False)]:
        ids = [each for each, has_answer in has.items() if has_answer == wanted and each in predictions]
        if ids:
            second.merge_eval(made, second.make_eval_dict(*applied, qid_list=ids), name)
    second.find_all_best_thresh(made, predictions, exact, f1, probabilities, has)
    return made


def threshold_case():
    pairs = [question(f"q{number}", True) for number in range(random.choice([1, 4, 12, 30]))]
    questions = [each for each, _ in pairs]
    predictions = {each["id"]: chosen for each, chosen in pairs if random.random() < 0.9 or each["id"] == "q0"}
    digits = random.choice([1, 3, 12])
    probabilities = {each["id"]: round(random.random(), digits) for each in random.sample(questions, len(questions))}
    if random.random() < 0.2:
        probabilities["other"] = 0.5
    threshold = random.choice([1.0, 0.5, random.random()])
    return {
        "questions": [{"id": each["id"], "answers": [it["text"] for it in each["answers"]]} for each in questions],
        "predictions": predictions,
        "probabilities": probabilities,
        "threshold": threshold,
        "squad2": official(document(questions)["data"], predictions, probabilities, threshold),
    }


def threshold_systems():
    """Published systems with probabilities by a formula: no system published its own."""
    articles = [article for part in ("train", "valid", "test") for article in read(f"qa/squad2.0-dev.{part}.json.gz")["data"]]
    made = {}
    for file in sorted((data / "conformance/squad-predictions").glob("v2.0.*.json.gz")):
        predictions = read(f"conformance/squad-predictions/{file.name}")
        probabilities = {key: 1.0 if text == "" else len(text) * 37 % 101 / 101 for key, text in predictions.items()}
        made[file.name] = official(articles, predictions, probabilities, 0.5)
    return made


golden = {
    "cases": [case(random.random() < 0.4) for _ in range(400)],
    "words": [[text, nltk.word_tokenize(text, preserve_line=True)] for text in (random.choice([words, line, answer])() for _ in range(600))],
    "systems": systems(),
    "thresholds": [threshold_case() for _ in range(150)],
    "thresholdSystems": threshold_systems(),
}
with open("answers.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
