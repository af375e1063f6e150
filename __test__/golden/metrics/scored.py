"""A case of a metric of sacreBLEU as the golden files hold it."""


def scored(metric, hypotheses, references, options):
    """The case, and the score that sacreBLEU gives it."""
    score = metric.corpus_score(hypotheses, references)
    case = {
        "hypotheses": hypotheses,
        "references": references,
        "options": options,
        "signature": str(metric.get_signature()),
    }
    return case, score
