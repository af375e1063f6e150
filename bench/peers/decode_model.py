"""Writes a random translation model of OPUS-MT's architecture in three forms: for Hugging Face, for CTranslate2 (f32 and int8), and as
weights by the names of sconce's layers. Arguments: a folder, and the sizes as JSON."""

import json
import os
import sys

import ctranslate2
import torch
from bart_weights import bart_weights
from ctranslate2.converters.transformers import BartLoader
from safetensors.torch import save_file
from transformers import MarianConfig, MarianMTModel

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3


def tokens(count):
    return ["<pad>", "<unk>", "<s>", "</s>"] + [f"w{number:06d}" for number in range(4, count)]


def build(sizes):
    torch.manual_seed(1)
    sides = {}
    for side in ("encoder", "decoder"):
        sides |= {
            f"{side}_layers": sizes["layers"],
            f"{side}_attention_heads": sizes["heads"],
            f"{side}_ffn_dim": sizes["feedForward"],
        }
    config = MarianConfig(
        vocab_size=sizes["vocabulary"],
        decoder_vocab_size=sizes["vocabulary"],
        d_model=sizes["dimension"],
        **sides,
        max_position_embeddings=sizes["maxLength"],
        activation_function="swish",
        scale_embedding=True,
        dropout=0.0,
        pad_token_id=PAD,
        bos_token_id=BEGIN,
        eos_token_id=END,
        forced_eos_token_id=None,
        decoder_start_token_id=BEGIN,
    )
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Kernels large enough that a text decides what follows.
            if weight.dim() == 2 and "embed" not in name and "shared" not in name:
                weight.normal_(std=weight.shape[1] ** -0.5)
        model.final_logits_bias.normal_(std=0.05)
    return model


def sconce_weights(model):
    return {name: weight.detach().contiguous() for name, weight in bart_weights(model, learned=False).items()}


def ctranslate2_model(model, folder, quantization):
    # What the converter sets for Marian before it reads the model; without its own handling of Marian's padding token.
    model.config.normalize_before = False
    model.config.normalize_embedding = False
    spec = BartLoader().get_model_spec(model)
    names = tokens(model.config.vocab_size)
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.eos_token, spec.config.unk_token = names[END], names[UNKNOWN]
    spec.config.bos_token = spec.config.decoder_start_token = names[BEGIN]
    spec.validate()
    spec.optimize(quantization=quantization)
    os.makedirs(folder, exist_ok=True)
    spec.save(folder)


folder, sizes = sys.argv[1], json.loads(sys.argv[2])
model = build(sizes)
model.save_pretrained(os.path.join(folder, "hugging-face"))
save_file(sconce_weights(model), os.path.join(folder, "weights.safetensors"))
with torch.no_grad():
    ctranslate2_model(model, os.path.join(folder, "ctranslate2-float32"), "float32")
    ctranslate2_model(model, os.path.join(folder, "ctranslate2-int8"), "int8")
print(ctranslate2.__version__)
