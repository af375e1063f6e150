"""Greedy and beam search of Hugging Face's `generate` with random options, on tiny T5, Marian and BART-shaped models, and
what its logits processors make of random scores.

The models are trained for some seconds on a toy cipher, or they would repeat one token. A case is kept only if 64 bits and
slightly disturbed weights give the same sequences: what rounding decides is no rule. Weights are written by the names and in
the layouts of sconce's layers.
"""
import copy
import json
import math
import random
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.generation import logits_process as processes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "peers"))
from bart_weights import bart_weights

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3
LETTERS = 16
CLASSES = 4 + LETTERS
WIDTH = 16
CASES = 70 if len(sys.argv) < 2 else int(sys.argv[1])
torch.set_num_threads(1)


def special():
    return {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": BEGIN, "decoder_start_token_id": BEGIN}


def side(name):
    return {
        f"{name}_layers": 2,
        f"{name}_attention_heads": 2,
        f"{name}_ffn_dim": 24,
    }


def bart_like(kind, model, **options):
    config = kind(
        vocab_size=CLASSES,
        d_model=WIDTH,
        **side("encoder"),
        **side("decoder"),
        max_position_embeddings=32,
        scale_embedding=True,
        dropout=0.0,
        forced_eos_token_id=None,
        **options,
        **special(),
    )
    made = model(config)
    with torch.no_grad():
        made.final_logits_bias.copy_(0.3 * torch.randn(1, CLASSES))
    return made


def build():
    torch.manual_seed(1)
    t5 = T5ForConditionalGeneration(
        T5Config(
            vocab_size=CLASSES,
            d_model=WIDTH,
            d_kv=6,
            d_ff=24,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=3,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=12,
            dropout_rate=0.0,
            feed_forward_proj="relu",
            **special(),
        )
    )
    marian = bart_like(MarianConfig, MarianMTModel, activation_function="swish", decoder_vocab_size=CLASSES)
    bart = bart_like(BartConfig, BartForConditionalGeneration, activation_function="gelu")
    return {"t5": t5, "marian": marian, "bart": bart}


def pair(rng):
    """A source, and a target that turns it round, with each letter now and then another one or twice."""
    letters = [rng.randrange(LETTERS) for _ in range(rng.randrange(2, 8))]
    target = []
    for letter in reversed(letters):
        made = (letter * 5 + 3) % LETTERS
        if rng.random() < 0.3:
            made = (made + 1) % LETTERS
        target.append(made)
        if rng.random() < 0.25:
            target.append(made)
    return [4 + letter for letter in letters] + [END], [4 + letter for letter in target] + [END]


def padded(rows, fill):
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def train(model, steps=400):
    rng = random.Random(3)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for step in range(steps):
        sources, targets = zip(*(pair(rng) for _ in range(32)))
        inputs = padded(sources, PAD)
        loss = model(input_ids=inputs, attention_mask=(inputs != PAD).long(), labels=padded(targets, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(type(model).__name__, "loss", round(loss.item(), 3), flush=True)
    model.eval()
    model.generation_config = GenerationConfig(**special())
    return model


def t5_attention(name, into, source, heads, width):
    kernel = lambda linear: linear.weight.T.reshape(WIDTH, heads, width)
    # T5 does not scale its scores.
    into[f"{name}/query/kernel"] = kernel(source.q) * math.sqrt(width)
    into[f"{name}/key/kernel"], into[f"{name}/value/kernel"] = kernel(source.k), kernel(source.v)
    into[f"{name}/attentionOutput/kernel"] = source.o.weight.T.reshape(heads, width, WIDTH)


def t5_weights(model):
    config = model.config
    scale = WIDTH**-0.5 if getattr(config, "scale_decoder_outputs", config.tie_word_embeddings) else 1.0
    weights = {"table/embeddings": model.shared.weight, "head/kernel": model.lm_head.weight.T * scale}
    for name, stack in [("encoder", model.encoder), ("decoder", model.decoder)]:
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
        weights[f"{name}Bias/embeddings"] = bias.weight
        weights[f"{name}Norm/scale"] = stack.final_layer_norm.weight
        for number, block in enumerate(stack.block):
            for part, layer in enumerate(block.layer):
                own = f"{name}{number}{['Self', 'Cross'][part] if part + 1 < len(block.layer) else 'Feed'}"
                weights[f"{own}Norm/scale"] = layer.layer_norm.weight
                if part + 1 == len(block.layer):
                    weights[f"{own}Inner/kernel"] = layer.DenseReluDense.wi.weight.T
                    weights[f"{own}Outer/kernel"] = layer.DenseReluDense.wo.weight.T
                else:
                    attention = layer.SelfAttention if part == 0 else layer.EncDecAttention
                    t5_attention(own, weights, attention, config.num_heads, config.d_kv)
    return weights


def some(rng, chance, make):
    return make() if rng.random() < chance else None


def letters(rng, count):
    return [4 + letter for letter in rng.sample(range(LETTERS), count)]


def case_options(rng, beams):
    new = rng.randrange(3, 15)
    options = {"maxNewTokens": new}
    drawn = {
        "minNewTokens": some(rng, 0.3, lambda: rng.randrange(1, new + 1)),
        "repetitionPenalty": some(rng, 0.25, lambda: rng.choice([0.8, 1.2, 1.7, 3.0])),
        "noRepeatNgramSize": some(rng, 0.25, lambda: rng.choice([1, 2, 2, 3])),
        "encoderNoRepeatNgramSize": some(rng, 0.15, lambda: rng.choice([1, 2, 3])),
        "badWordsIds": some(rng, 0.3, lambda: [letters(rng, rng.choice([1, 1, 2])) for _ in range(rng.randrange(1, 5))]),
        "suppressTokens": some(rng, 0.25, lambda: letters(rng, rng.randrange(1, 4))),
        "forcedBosTokenId": some(rng, 0.15, lambda: rng.choice([UNKNOWN] + letters(rng, 3))),
        "forcedEosTokenId": some(rng, 0.25, lambda: rng.choice([END, [END] + letters(rng, 1)])),
        "eosTokenId": some(rng, 0.25, lambda: [END] + letters(rng, rng.choice([1, 2]))),
    }
    if beams:
        # Several would have the same score; which comes first is not said.
        drawn["forcedEosTokenId"] = drawn["forcedEosTokenId"] and END
        count = rng.choice([2, 2, 3, 4, 5, 7])
        drawn |= {
            "numBeams": count,
            "lengthPenalty": some(rng, 0.6, lambda: rng.choice([-1.0, 0.0, 0.6, 1.5, 2.0])),
            "earlyStopping": some(rng, 0.6, lambda: rng.choice([True, "never"])),
            "numReturnSequences": some(rng, 0.7, lambda: rng.randrange(1, count + 1)),
        }
    return options | {name: value for name, value in drawn.items() if value is not None}


def snake(name):
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def generated(model, source, prefix, options):
    """Sequences up to their end, and their scores."""
    own = {snake(name): value for name, value in options.items()}
    own["bad_words_ids"] = own.get("bad_words_ids", []) + [[PAD]]
    ids = torch.tensor([source])
    found = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        decoder_input_ids=torch.tensor([[BEGIN] + prefix]),
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **own,
    )
    ends = options.get("eosTokenId", [END])
    rows = [row[1 + len(prefix) :] for row in found.sequences.tolist()]
    lengths = [next((at + 1 for at, id in enumerate(row) if id in ends), len(row)) for row in rows]
    rows = [row[:length] for row, length in zip(rows, lengths)]
    if "numBeams" in options:
        kept = [(row, score) for row, score in zip(rows, found.sequences_scores.tolist()) if score > -1e7]
        return [row for row, _ in kept], [score for _, score in kept]
    score = 0.0
    for step, id in enumerate(rows[0]):
        scores = found.scores[step][0].double().clone()
        # Padding is excluded from what is chosen, not from the distribution.
        first = step == 0 and not prefix and "forcedBosTokenId" in options
        last = step + 1 == options["maxNewTokens"] and "forcedEosTokenId" in options
        if not first and not last:
            scores[PAD] = found.logits[step][0, PAD].double()
        score += torch.log_softmax(scores, -1)[id].item()
    return rows, [score]


def disturbed(model, seed):
    made = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(1 + 2e-5 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return made


def cases(model, beams, seed):
    rng = random.Random(seed)
    others = [copy.deepcopy(model).double(), disturbed(model, 1), disturbed(model, 2)]
    kept = []
    dropped = 0
    while len(kept) < CASES:
        source, _ = pair(rng)
        prefix = letters(rng, rng.choice([1, 2])) if rng.random() < 0.15 else []
        options = case_options(rng, beams)
        rows, scores = generated(model, source, prefix, options)
        if not rows or any(generated(other, source, prefix, options)[0] != rows for other in others):
            dropped += 1
            continue
        if beams and len(rows) < options.get("numReturnSequences", 1):
            options["fewer"] = True
        kept.append({"source": source, "prefix": prefix, "options": options, "ids": rows, "scores": [round(x, 6) for x in scores]})
    print(len(kept), "kept", dropped, "dropped", flush=True)
    return kept


def logits_cases(count):
    """Scores before and after processors, with a history."""
    rng = random.Random(5)
    torch.manual_seed(5)
    made = []
    for number in range(count):
        classes = rng.choice([8, 20, 33])
        scores = (torch.randn(1, classes) * rng.choice([1, 3])).round(decimals=3)
        tokens = [rng.randrange(classes) for _ in range(rng.randrange(1, 9))]
        source = [rng.randrange(classes) for _ in range(rng.randrange(3, 9))]
        kept = rng.choice([1, 1, 2, 3])
        chain, options = [], {}

        def add(name, chance, value, make):
            if rng.random() < chance:
                options[name] = value
                chain.append(make(value))

        words = [[rng.randrange(classes) for _ in range(rng.choice([1, 1, 2]))] for _ in range(3)]
        add("repetitionPenalty", 0.3, rng.choice([0.7, 1.3, 2.0]), processes.RepetitionPenaltyLogitsProcessor)
        add("noRepeatNgramSize", 0.3, rng.choice([1, 2, 3]), processes.NoRepeatNGramLogitsProcessor)
        add(
            "encoderNoRepeatNgramSize",
            0.3,
            rng.choice([1, 2, 3]),
            lambda size: processes.EncoderNoRepeatNGramLogitsProcessor(size, torch.tensor([source])),
        )
        add("badWordsIds", 0.3, words, lambda ids: processes.NoBadWordsLogitsProcessor(ids, [1]))
        add("minNewTokens", 0.3, rng.randrange(1, 6), lambda least: processes.MinNewTokensLengthLogitsProcessor(1, least, [1]))
        add("suppressTokens", 0.3, [rng.randrange(classes)], processes.SuppressTokensLogitsProcessor)
        add("temperature", 0.5, rng.choice([0.5, 0.7, 1.6]), processes.TemperatureLogitsWarper)
        add("topK", 0.4, rng.randrange(1, classes + 3), lambda k: processes.TopKLogitsWarper(k, min_tokens_to_keep=kept))
        add("topP", 0.4, rng.choice([0.1, 0.5, 0.8, 0.95]), lambda p: processes.TopPLogitsWarper(p, min_tokens_to_keep=kept))
        add("minP", 0.3, rng.choice([0.02, 0.1, 0.4]), lambda p: processes.MinPLogitsWarper(p, min_tokens_to_keep=kept))
        add("typicalP", 0.3, rng.choice([0.2, 0.5, 0.9]), lambda p: processes.TypicalLogitsWarper(p, min_tokens_to_keep=kept))
        found = scores.clone()
        for process in chain:
            found = process(torch.tensor([tokens]), found)
        if torch.isinf(found).all():
            continue
        made.append(
            {
                "scores": [round(x, 3) for x in scores[0].tolist()],
                "tokens": tokens,
                "source": source,
                "kept": kept,
                "options": options,
                "probabilities": [round(x, 7) for x in torch.softmax(found.double(), -1)[0].tolist()],
            }
        )
    return made


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    import transformers

    write("processors.json", logits_cases(400))
    found = {"transformers": transformers.__version__, "letters": LETTERS}
    for place, (name, model) in enumerate(build().items()):
        train(model)
        weights = t5_weights(model) if name == "t5" else bart_weights(model, name == "bart")
        arrays = {key: np.ascontiguousarray(value.detach().numpy()) for key, value in weights.items()}
        save_file(arrays, f"{name}.safetensors")
        found[name] = {"greedy": cases(model, False, 10 + place), "beam": cases(model, True, 20 + place)}
    write("generation.json", found)
