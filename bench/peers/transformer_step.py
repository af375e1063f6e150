"""A peer's side of `transformer-step`, `multi30k-epoch` and `transformer-twin`: transformer_step.py CONFIGURATION THREADS, driven over standard input and output."""

import sys

import torch_transformer as peer
from step_worker import serve_steps

configuration, threads = sys.argv[1], int(sys.argv[2])
make = {
    "torch-eager": peer.eager,
    "torch-compile": peer.compiled,
    "torch-compile-loss": peer.compiled_loss,
    "torch-autocast": peer.rounding(peer.eager),
    "torch-autocast-compile": peer.rounding(peer.compiled),
    "torch-autocast-compile-loss": peer.rounding(peer.compiled_loss),
}[configuration]
serve_steps(peer, lambda case, weights: make(case, dict(zip(case["weightNames"], weights))), threads)
