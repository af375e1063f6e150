"""A peer's side of `lstm-step`: lstm_step.py CONFIGURATION THREADS, driven over standard input and output."""

import gc
import sys
import time

from protocol import CaseFile, memory, serve

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
peer.use_threads(threads)
idle = memory("VmRSS")
state = {}


def open_case(request):
    file = CaseFile(request["weightsFile"])
    weights = [file.read(place, "float32") for place in request["weights"]]
    state["ids"] = CaseFile(request["idsFile"])
    state["batches"] = request["batches"]
    state["step"] = make(request, weights)
    del weights, file
    gc.collect()
    return {}


def run(request):
    milliseconds, losses = [], []
    for index in range(request["first"], request["first"] + request["count"]):
        batch = state["batches"][index % len(state["batches"])]
        source, decoder, goal = (state["ids"].read(place, "int32") for place in batch)
        start = time.perf_counter()
        loss = state["step"](source, decoder, goal)
        milliseconds.append((time.perf_counter() - start) * 1000)
        losses.append(loss)
    return {"milliseconds": milliseconds, "losses": losses}


serve(
    {
        "describe": lambda request: {"versions": peer.versions(), "idleMiB": idle},
        "open": open_case,
        "run": run,
        "memory": lambda request: {"peakMiB": memory("VmHWM")},
    }
)
