"""A peer's side of `lstm-step`: lstm_step.py CONFIGURATION THREADS, driven over standard input and output."""

import sys

from step_worker import serve_steps

configuration, threads = sys.argv[1], int(sys.argv[2])
if configuration.startswith("torch"):
    import torch_lstm as peer

    make = {
        "torch-eager": peer.eager,
        "torch-eager-selected": peer.eager_selected,
        "torch-compile": peer.compiled,
        "torch-compile-selected": peer.compiled_selected,
    }[configuration]
else:
    import keras_lstm as peer

    make = {"keras-tensorflow": peer.plain, "keras-tensorflow-jit": peer.jit}[configuration]
serve_steps(peer, make, threads)
