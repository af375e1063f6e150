"""A peer's side of `attention`: attention.py CONFIGURATION THREADS, driven over standard input and output."""

import sys

import torch_attention as peer
from step_worker import serve_steps

configuration, threads = sys.argv[1], int(sys.argv[2])
make = {"torch-eager": peer.eager, "torch-compile": peer.compiled}[configuration]
serve_steps(peer, lambda case, weights: make(case, dict(zip(case["weightNames"], weights))), threads)
