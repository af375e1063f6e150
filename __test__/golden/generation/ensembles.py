"""Greedy and beam search of Hugging Face's `generate` with the mean of two models' probabilities, and with tokens that are allowed.

The models are the Marian- and the BART-shaped one of `generation.py`, read from the files that it wrote. Hugging Face has no ensembles:
the forward pass of the first model gives the logarithms of the mean, so that its search goes on with them. A case is kept only if 64
bits and slightly disturbed weights give the same sequences.
"""
import copy
import json
import random
import types

import torch
import transformers
from safetensors.numpy import load_file
from transformers import GenerationConfig
from transformers.generation import logits_process

from generation import (
    BEGIN,
    CLASSES,
    END,
    PAD,
    bart_weights,
    build,
    case_options,
    disturbed,
    generated,
    letters,
    pair,
    special,
    write,
)

CASES = 60


def read(model, name, learned):
    """The model with the weights of the file."""
    with torch.no_grad():
        for key, values in load_file(f"{name}.safetensors").items():
            place = bart_weights(model, learned)[key]
            place.copy_(torch.tensor(values))
    model.eval()
    model.generation_config = GenerationConfig(**special())
    return model


def together(first, second, weights, mean):
    """The first model, whose logits are those of both."""
    made = copy.deepcopy(first)
    own = type(first).forward
    shares = [weight / sum(weights) for weight in weights]

    def forward(self, *args, **kwargs):
        found = own(self, *args, **kwargs)
        ids = kwargs["decoder_input_ids"]
        source = self.source.expand(len(ids), -1)
        other = second(input_ids=source, attention_mask=torch.ones_like(source), decoder_input_ids=ids, use_cache=False)
        parts = [torch.log_softmax(logits.double(), -1) for logits in (found.logits, other.logits)]
        if mean == "geometric":
            logits = sum(share * part for share, part in zip(shares, parts))
        else:
            logits = torch.logsumexp(torch.stack([part + torch.tensor(share).log() for share, part in zip(shares, parts)]), 0)
        found.logits = logits.to(found.logits.dtype)
        return found

    made.forward = types.MethodType(forward, made)
    return made


def run(model, source, prefix, options):
    model.source = torch.tensor([source])
    return generated(model, source, prefix, {**options, "useCache": False})


def ensembles(models, beams, seed):
    rng = random.Random(seed)
    kept, dropped = [], 0
    while len(kept) < CASES:
        source, _ = pair(rng)
        prefix = letters(rng, rng.choice([1, 2])) if rng.random() < 0.15 else []
        options = case_options(rng, beams)
        weights = [1, 1] if rng.random() < 0.5 else [rng.choice([1, 2, 5]), rng.choice([0.5, 1, 3])]
        mean = "geometric" if rng.random() < 0.25 else "arithmetic"
        found = [run(together(*both, weights, mean), source, prefix, options) for both in models]
        rows, scores = found[0]
        if not rows or any(other[0] != rows for other in found[1:]):
            dropped += 1
            continue
        if beams and len(rows) < options.get("numReturnSequences", 1):
            options["fewer"] = True
        case = {"source": source, "prefix": prefix, "weights": weights, "mean": mean, "options": options, "ids": rows}
        kept.append({**case, "scores": [round(score, 6) for score in scores]})
    print(len(kept), "kept", dropped, "dropped", flush=True)
    return kept


def allowed_cases(models, seed):
    """Tables of what may follow a token; other options often exclude all of it, for some beams or for all."""
    rng = random.Random(seed)
    kept, dropped = [], 0
    while len(kept) < CASES:
        source, _ = pair(rng)
        options = {"maxNewTokens": rng.randrange(3, 9), "numBeams": rng.choice([2, 3, 4])}
        options["numReturnSequences"] = rng.randrange(1, options["numBeams"] + 1)
        if rng.random() < 0.5:
            options["lengthPenalty"] = rng.choice([0.0, 0.6, 2.0])
        if rng.random() < 0.7:
            options["noRepeatNgramSize"] = rng.choice([1, 2])
        if rng.random() < 0.5:
            options["badWordsIds"] = [[id] for id in letters(rng, rng.randrange(2, 9))]
        if rng.random() < 0.4:
            options["minNewTokens"] = rng.randrange(1, options["maxNewTokens"] + 1)
        alone = rng.random()
        table = {}
        for id in range(CLASSES):
            count = 1 if rng.random() < alone else rng.randrange(2, 9)
            table[id] = sorted(letters(rng, count) + ([END] if rng.random() < 0.3 else []))
        follows = lambda batch, ids: table[ids[-1].item()]
        with_table = {**options, "prefixAllowedTokensFn": follows}
        (rows, scores), stuck, is_said = watched(models[0], source, with_table)
        if stuck == 0 and sum(case["forced"] == 0 for case in kept) >= CASES // 2:
            continue
        if not rows or not is_said or any(watched(other, source, with_table)[0][0] != rows for other in models[1:]):
            dropped += 1
            continue
        if len(rows) < options["numReturnSequences"]:
            options["fewer"] = True
        case = {"source": source, "prefix": [], "options": options, "allowed": [table[id] for id in range(CLASSES)]}
        kept.append({**case, "forced": stuck, "ids": rows, "scores": [round(score, 6) for score in scores]})
    print(len(kept), "kept", dropped, "dropped", sum(case["forced"] > 0 for case in kept), "forced", flush=True)
    return kept


def watched(model, source, options):
    """What is generated, in how many steps everything that was allowed had been excluded, and whether the rules alone decide: tokens that
    come all the same have one score, and which impossible sequences go on where there are not enough others is not said."""
    kind = logits_process.PrefixConstrainedLogitsProcessor
    plain = kind.__call__
    count, is_said = 0, True

    def watching(self, ids, scores):
        nonlocal count, is_said
        made = plain(self, ids, scores)
        forced = (made == 0) & torch.isinf(scores)
        count += bool(forced.any())
        goes_on = ~torch.isinf(made)
        ends = goes_on[:, END].any()
        goes_on[:, END] = False
        # Beams begin as copies of one sequence.
        distinct = {tuple(row): going.sum().item() for row, going in zip(ids.tolist(), goes_on)}
        enough = sum(distinct.values()) >= len(ids) or (list(distinct.values()) == [1] and not ends)
        is_said = is_said and forced.sum(-1).max() <= 1 and enough
        return made

    kind.__call__ = watching
    try:
        return generated(model, source, [], options), count, bool(is_said)
    finally:
        kind.__call__ = plain


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = build()
    marian, bart = read(made["marian"], "marian", False), read(made["bart"], "bart", True)
    copies = [(marian, bart), (copy.deepcopy(marian).double(), copy.deepcopy(bart).double())]
    copies += [(disturbed(marian, seed), disturbed(bart, seed + 9)) for seed in (1, 2)]
    write(
        "ensembles.json",
        {
            "transformers": transformers.__version__,
            "greedy": ensembles(copies, False, 31),
            "beam": ensembles(copies, True, 32),
            "allowed": allowed_cases([first for first, _ in copies], 33),
        },
    )
