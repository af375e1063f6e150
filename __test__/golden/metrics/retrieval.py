"""Precision, recall, reciprocal rank, nDCG and average precision of random rankings, by trec_eval (pytrec_eval): writes retrieval.json."""

import json
import random

import pytrec_eval

random.seed(20261202)


def case():
    k = random.choice([1, 3, 5, 10, 20])
    queries = []
    for _ in range(random.choice([1, 2, 5])):
        documents = [f"d{number}" for number in range(random.randint(1, 25))]
        grades = {each: random.choice([0, 0, 0, 1, 1, 2, 3, -1]) for each in documents if random.random() < 0.7}
        random.shuffle(documents)
        queries.append({"ranking": documents[: random.randint(1, len(documents))], "grades": grades or {"d0": 1}})
    qrels = {str(index): query["grades"] for index, query in enumerate(queries)}
    run = {
        str(index): {each: float(100 - place) for place, each in enumerate(query["ranking"])} for index, query in enumerate(queries)
    }
    # recip_rank knows no k: it is given the first k results alone.
    short = {query: dict(list(scores.items())[:k]) for query, scores in run.items()}
    names = {"precision": f"P_{k}", "recall": f"recall_{k}", "ndcg": f"ndcg_cut_{k}", "averagePrecision": f"map_cut_{k}"}
    measures = {f"P.{k}", f"recall.{k}", f"ndcg_cut.{k}", f"map_cut.{k}"}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    ranks = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(short)
    for index, query in enumerate(queries):
        values = {name: found[str(index)][measure] for name, measure in names.items()}
        query["values"] = {**values, "reciprocalRank": ranks[str(index)]["recip_rank"]}
    return {"k": k, "queries": queries}


with open("retrieval.json", "w", encoding="utf-8") as file:
    json.dump([case() for _ in range(150)], file, separators=(",", ":"))
    file.write("\n")
