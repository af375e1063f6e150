"""A whole training run: the textbook model on 32 batches of real sentence pairs, 200 steps of RMSprop."""

import gzip
import os
import re
from collections import Counter

import keras
import numpy as np
import torch

from graph import HERE, build, numbers, provide, textbook, variables, write

VOCABULARY, DIMENSION, UNITS = 1000, 32, 64
BATCHES, BATCH_SIZE, STEPS = 32, 16, 200
LEARNING_RATE = 0.01
PADDING, UNKNOWN, BEGIN, END = range(4)
DATA = os.path.join(HERE, "..", "..", "..", "data", "tatoeba-en-zh.train.tsv.gz")

ABOUT = (
    "Words: English in lower case, matches of [a-z0-9']+|[^\\sa-z0-9']; Chinese: every character that is no white space. Pairs: "
    "those of data/tatoeba-en-zh.train.tsv.gz with at most 12 and 18 words, every 32nd from the first on, as many as the batches "
    "hold; batch j takes pairs j, j + 32, j + 64, ... Ids: 0 padding, 1 unknown, 2 begin, 3 end, then the words of these pairs, "
    "source before target, by falling count, equal counts by first occurrence. Encoder: source; decoder: begin, target; goal: "
    "target, end; each padded at the right to the longest of its batch. Step s takes batch s % 32. checksum: FNV-1a (32 bits, "
    "one step an id) over encoder, decoder and goal ids of all batches. Initial weights: formulaValues(seed, size, scale). final: "
    "norm of each weight after the last step, and where its values lie in the .bin file: int16 (little endian), times unit."
)


def words(pair):
    source, target = pair
    return re.findall(r"[a-z0-9']+|[^\sa-z0-9']", source.lower()), [c for c in target if not c.isspace()]


def padded(rows):
    result = np.full((len(rows), max(map(len, rows))), PADDING, np.int32)
    for row, ids in zip(result, rows):
        row[: len(ids)] = ids
    return result


def batches():
    """Encoder ids, decoder ids and goals of each batch."""
    with gzip.open(DATA, "rt", encoding="utf-8", newline="\n") as file:
        pairs = [words(line.rstrip("\n").split("\t")[:2]) for line in file]
    pairs = [pair for pair in pairs if len(pair[0]) <= 12 and len(pair[1]) <= 18]
    pairs = pairs[::32][: BATCHES * BATCH_SIZE]
    assert len(pairs) == BATCHES * BATCH_SIZE
    counts = Counter(word for pair in pairs for side in pair for word in side)
    common = [word for word, _ in counts.most_common(VOCABULARY - 4)]
    ids = {word: index for index, word in enumerate(common, 4)}
    pairs = [[[ids.get(word, UNKNOWN) for word in side] for side in pair] for pair in pairs]
    for j in range(BATCHES):
        rows = pairs[j::BATCHES]
        yield (
            padded([source for source, _ in rows]),
            padded([[BEGIN, *target] for _, target in rows]),
            padded([[*target, END] for _, target in rows]),
        )


def checksum(data):
    value = 0x811C9DC5
    for batch in data:
        for array in batch:
            for element in array.ravel().tolist():
                value = (value ^ element) * 0x01000193 % 2**32
    return value


def train(data, document, precision):
    """Losses, Keras layers and descriptions of the weights."""
    keras.config.set_floatx(precision)
    model, layers = build(document)
    weights = provide(document, layers, 7, 0.1)
    model.compile(
        optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(),
    )
    losses = []
    for step in range(STEPS):
        encoder, decoder, goal = data[step % BATCHES]
        mask = torch.tensor(decoder != PADDING)
        y = model([torch.tensor(encoder), torch.tensor(decoder)], training=True)
        # The mean runs over valid entries if the prediction carries a mask, which Keras loses on the way here.
        keras.src.backend.set_keras_mask(y, mask)
        loss = model.loss(torch.tensor(goal), y)
        model.zero_grad()
        loss.backward()
        trained = model.trainable_variables
        with torch.no_grad():
            model.optimizer.apply([variable.value.grad for variable in trained], trained)
        losses.append(loss.item())
    return losses, layers, weights


def main():
    data = list(batches())
    document = textbook(VOCABULARY, DIMENSION, UNITS)
    exact, exact_layers, _ = train(data, document, "float64")
    losses, layers, weights = train(data, document, "float32")

    final, blob = [], b""
    for entry, variable, other in zip(weights, variables(layers), variables(exact_layers)):
        value = variable.numpy().astype(np.float64)
        norm = np.linalg.norm(value)
        unit = float(np.abs(value).max() / 32767)
        final.append({"layer": entry["layer"], "name": entry["name"], "norm": norm, "offset": len(blob), "unit": unit})
        blob += np.rint(value / unit).astype("<i2").tobytes()
        print(entry["layer"], entry["name"], "float32 from float64:", np.linalg.norm(value - other.numpy()) / norm)
    difference = np.abs(np.array(losses) / np.array(exact) - 1).max()
    last = np.mean(losses[-BATCHES:])
    print(f"loss {losses[0]:.4f}, mean of the last epoch {last:.4f}; float32 from float64: {difference:.2e}")
    assert last < 0.6 * losses[0], "the loss must fall by 40 %"

    with open(os.path.join(HERE, "training.bin"), "wb") as file:
        file.write(blob)
    optimizer = {"type": "rmsprop", "learningRate": LEARNING_RATE}
    write(
        "training",
        ABOUT,
        checksum=checksum(data),
        document=document,
        optimizer=optimizer,
        weights=weights,
        losses=numbers(losses, 9),
        final=final,
    )


if __name__ == "__main__":
    main()
