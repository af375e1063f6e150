"""chrF, chrF++ and TER of systems of WMT17 en-de and WMT22 en-zh, by sacreBLEU: writes chrf-ter-wmt.json.

Run with the folder that holds conformance/wmt17 and conformance/wmt22; the texts themselves are not kept here.
"""

import json
from pathlib import Path

import sacrebleu
from sacrebleu.metrics import CHRF, TER
from wmt_texts import columns


def scores(make, texts, systems, references, **options):
    metric = make(references=references, **options)
    return {name: metric.corpus_score(texts[name], None).score for name in systems}


german = columns("wmt17/wmt17.en-de.tsv.gz")
some = ["C-3MA.4959.en-de", "FBK.4870.en-de", "online-F.0.en-de"]
chinese = columns("wmt22/wmt22.en-zh.tsv.gz")
systems = [name for name in chinese if name not in ("src", "refA", "refB")]
golden = {
    "sacrebleu": sacrebleu.__version__,
    "wmt17": {
        "chrf++": scores(CHRF, german, some, [german["ref"]], word_order=2),
        "ter": scores(TER, german, some, [german["ref"]]),
        "terNormalized": scores(TER, german, some[:1], [german["ref"]], normalized=True, case_sensitive=True),
    },
    "wmt22": {
        "chrf": scores(CHRF, chinese, systems, [chinese["refB"], chinese["refA"]]),
        "ter": scores(TER, chinese, systems[:1], [chinese["refA"]], normalized=True, asian_support=True),
    },
}
with open("chrf-ter-wmt.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, indent=1)
    file.write("\n")
