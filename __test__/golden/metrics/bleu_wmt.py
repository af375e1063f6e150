"""BLEU of the systems of WMT17 en-de and WMT22 en-zh, by sacreBLEU: writes bleu-wmt.json.

Run with the folder that holds conformance/wmt17 and conformance/wmt22; the texts themselves are not kept here.
"""

import json
from pathlib import Path

import sacrebleu
from sacrebleu.metrics import BLEU
from wmt_texts import columns


def scores(texts, systems, references, **options):
    metric = BLEU(references=references, **options)
    return {name: metric.corpus_score(texts[name], None).score for name in systems}


german = columns("wmt17/wmt17.en-de.tsv.gz")
systems = [name for name in german if name != "ref"]
chinese = columns("wmt22/wmt22.en-zh.tsv.gz")
chinese_systems = [name for name in chinese if name not in ("src", "refA", "refB")]
golden = {
    "sacrebleu": sacrebleu.__version__,
    "wmt17": {name: scores(german, systems, [german["ref"]], tokenize=name) for name in ("13a", "intl")},
    "wmt17Lowercase": scores(german, systems, [german["ref"]], lowercase=True),
    "wmt22": {
        "A": scores(chinese, chinese_systems, [chinese["refA"]], tokenize="zh"),
        "B": scores(chinese, chinese_systems, [chinese["refB"]], tokenize="zh"),
        "all": scores(chinese, chinese_systems, [chinese["refA"], chinese["refB"]], tokenize="zh"),
    },
}
with open("bleu-wmt.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, indent=1)
    file.write("\n")
