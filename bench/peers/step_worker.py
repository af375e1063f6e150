"""A peer's side of a bench of training steps, driven over standard input and output."""

import gc
import time

from protocol import CaseFile, memory, serve


def serve_steps(peer, make, threads):
    """peer: a module with use_threads and versions; make: from a case and its weights to a training step, which may have a method evaluate."""
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

    def arrays(places):
        return [state["ids"].read(place, "int32") for place in places]

    def evaluate(request):
        total, count = state["step"].evaluate(map(arrays, request["batches"]))
        return {"loss": total / count, "tokens": count}

    def run(request):
        milliseconds, losses = [], []
        for index in range(request["first"], request["first"] + request["count"]):
            source, decoder, goal = arrays(state["batches"][index % len(state["batches"])])
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
            "evaluate": evaluate,
            "memory": lambda request: {"peakMiB": memory("VmHWM")},
        }
    )
