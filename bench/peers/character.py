"""The character-level tutorial of Keras (lstm_seq2seq) on TensorFlow: character.py PAIRS EPOCHS; prints one JSON object."""

import gzip
import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

LATENT, BATCH = 256, 64
path, epochs = sys.argv[1], int(sys.argv[2])
keras.utils.set_random_seed(1)

with gzip.open(path, "rt", encoding="utf-8") as file:
    pairs = [line.rstrip("\n").split("\t")[:2] for line in file]
sources = [source for source, _ in pairs]
targets = ["\t" + target + "\n" for _, target in pairs]
source_index = {c: i for i, c in enumerate(sorted({c for text in sources for c in text} | {" "}))}
target_index = {c: i for i, c in enumerate(sorted({c for text in targets for c in text} | {" "}))}
longest_source, longest_target = max(map(len, sources)), max(map(len, targets))

encoder_data = np.zeros((len(pairs), longest_source, len(source_index)), "float32")
decoder_data = np.zeros((len(pairs), longest_target, len(target_index)), "float32")
goal_data = np.zeros_like(decoder_data)
for i, (source, target) in enumerate(zip(sources, targets)):
    for t, c in enumerate(source):
        encoder_data[i, t, source_index[c]] = 1
    encoder_data[i, len(source) :, source_index[" "]] = 1
    for t, c in enumerate(target):
        decoder_data[i, t, target_index[c]] = 1
        if t > 0:
            goal_data[i, t - 1, target_index[c]] = 1
    decoder_data[i, len(target) :, target_index[" "]] = 1
    goal_data[i, len(target) - 1 :, target_index[" "]] = 1

encoder_inputs = keras.Input((None, len(source_index)))
_, h, c = keras.layers.LSTM(LATENT, return_state=True)(encoder_inputs)
decoder_inputs = keras.Input((None, len(target_index)))
y, _, _ = keras.layers.LSTM(LATENT, return_sequences=True, return_state=True)(decoder_inputs, initial_state=[h, c])
model = keras.Model([encoder_inputs, decoder_inputs], keras.layers.Dense(len(target_index), activation="softmax")(y))
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
start = time.time()
history = model.fit(
    [encoder_data, decoder_data], goal_data, batch_size=BATCH, epochs=epochs, validation_split=0.2, verbose=0
).history
print(
    json.dumps(
        {
            "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
            "seconds": time.time() - start,
            "history": {
                "loss": history["loss"],
                "accuracy": history["accuracy"],
                "valLoss": history["val_loss"],
                "valAccuracy": history["val_accuracy"],
            },
        }
    )
)
