"""Translation with CTranslate2 (`ctranslate2-float32`, `ctranslate2-int8`) or Hugging Face (`hugging-face`), on request.
Arguments: which, and the number of threads."""

import os
import sys
import time

from protocol import memory, serve

configuration, threads = sys.argv[1], int(sys.argv[2])
END = 3
state = {}


def describe(request):
    if configuration == "hugging-face":
        import torch
        import transformers

        return {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "idleMiB": memory("VmRSS")}
    import ctranslate2

    return {"versions": {"ctranslate2": ctranslate2.__version__}, "idleMiB": memory("VmRSS")}


def open_model(request):
    folder = os.path.join(request["folder"], configuration)
    if configuration == "hugging-face":
        import torch
        from transformers import MarianMTModel

        torch.set_num_threads(threads)
        state["model"] = MarianMTModel.from_pretrained(folder).eval()
        return {}
    import ctranslate2

    state["translator"] = ctranslate2.Translator(
        folder, device="cpu", compute_type=configuration.split("-")[1], inter_threads=1, intra_threads=threads
    )
    return {"computeType": state["translator"].compute_type}


def token(number):
    return f"w{number:06d}"


def by_hugging_face(sources, beams, length):
    import torch

    ids = torch.tensor([source + [END] for source in sources])
    with torch.inference_mode():
        found = state["model"].generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=beams,
            do_sample=False,
            min_new_tokens=length,
            max_new_tokens=length,
            # Without it it would go on with padding once that is the best token.
            bad_words_ids=[[0]],
        )
    return [row[1:].tolist() for row in found]


def by_ctranslate2(sources, beams, length):
    found = state["translator"].translate_batch(
        [[*map(token, source), "</s>"] for source in sources],
        beam_size=beams,
        min_decoding_length=length,
        max_decoding_length=length,
        suppress_sequences=[["<pad>"]],
    )
    names = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": END}
    return [[names[name] if name in names else int(name[1:]) for name in one.hypotheses[0]] for one in found]


def run(request):
    translate = by_hugging_face if configuration == "hugging-face" else by_ctranslate2
    milliseconds, ids = [], []
    for sources in request["batches"]:
        start = time.perf_counter()
        ids.extend(translate(sources, request["beams"], request["length"]))
        milliseconds.append(1000 * (time.perf_counter() - start))
    return {"milliseconds": milliseconds, "ids": ids}


serve({"describe": describe, "open": open_model, "run": run, "memory": lambda request: {"peakMiB": memory("VmHWM")}})
