"""The textbook model in Keras on TensorFlow."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf


def use_threads(threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def versions():
    return {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}


def _lstm(units, source, target):
    _, h, c = keras.layers.LSTM(units, return_state=True)(source)
    y, _, _ = keras.layers.LSTM(units, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    return y


def stepper(case, weights, jit, middle=_lstm):
    """A training step; middle: from the embedded source and target to the decoder's outputs."""
    vocabulary, units, masked = case["vocabulary"], case["units"], case["masked"]
    # Fixed lengths are given as such: TensorFlow makes faster graphs of them.
    shapes = [(None,) if masked else tuple(place["shape"][1:]) for place in case["batches"][0][:2]]
    embedding = keras.layers.Embedding(vocabulary, case["dimension"], mask_zero=masked)
    encoder_inputs = keras.Input(shapes[0], dtype="int32")
    decoder_inputs = keras.Input(shapes[1], dtype="int32")
    y = middle(units, embedding(encoder_inputs), embedding(decoder_inputs))
    probabilities = keras.layers.Dense(vocabulary, activation="softmax")(y)
    model = keras.Model([encoder_inputs, decoder_inputs], probabilities)
    # Keras loses the decoder's mask because of the initial state, so padding is weighted with 0.
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight" if masked else "sum_over_batch_size")
    model.compile(optimizer=keras.optimizers.RMSprop(0.001), loss=loss, jit_compile=jit)
    model.set_weights(weights)

    def step(source, decoder, goal):
        weight = (goal != 0).astype(np.float32) if masked else None
        model.reset_metrics()
        return float(model.train_on_batch([source, decoder], goal, sample_weight=weight))

    return step


def plain(case, weights):
    return stepper(case, weights, False)


def jit(case, weights):
    return stepper(case, weights, True)
