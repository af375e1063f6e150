"""Encoder-decoders of GRUs, and with a bidirectional LSTM encoder, in Keras on TensorFlow."""

from keras_lstm import stepper, use_threads, versions

import keras

__all__ = ["plain", "use_threads", "versions"]


def _gru(units, source, target):
    _, h = keras.layers.GRU(units, return_state=True)(source)
    return keras.layers.GRU(units, return_sequences=True)(target, initial_state=h)


def _bidirectional(units, source, target):
    _, forward_h, forward_c, backward_h, backward_c = keras.layers.Bidirectional(
        keras.layers.LSTM(units, return_state=True)
    )(source)
    state = [keras.layers.add([forward_h, backward_h]), keras.layers.add([forward_c, backward_c])]
    return keras.layers.LSTM(units, return_sequences=True)(target, initial_state=state)


def plain(case, weights):
    middle = {"gru": _gru, "bidirectional": _bidirectional}[case["kind"]]
    return stepper(case, weights, False, middle)
