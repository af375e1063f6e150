"""A peer's side of `rnn-step`: rnn_step.py CONFIGURATION THREADS, driven over standard input and output."""

import sys

from step_worker import serve_steps

configuration, threads = sys.argv[1], int(sys.argv[2])
if configuration.startswith("torch"):
    import torch_rnn as peer

    make = {"torch-eager": peer.eager, "torch-compile": peer.compiled}[configuration]
else:
    import keras_rnn as peer

    make = {"keras-tensorflow": peer.plain}[configuration]
serve_steps(peer, make, threads)
