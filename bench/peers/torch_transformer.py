"""An encoder-decoder Transformer in PyTorch, in its best ordinary way: packed projections, scaled_dot_product_attention, fused AdamW."""

import math

import torch
import torch._inductor.config
import torch.nn.functional as F
from torch import nn

from torch_lstm import use_threads, versions

__all__ = ["Trainer", "Transformer", "compiled", "eager", "rounding", "use_threads", "versions"]


def positions(length, width, interleaved):
    """[length, width]: sines and cosines of frequencies that fall from 1 to 1/10000, in turn or in two halves."""
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    waves = torch.stack([angle.sin(), angle.cos()], -1 if interleaved else -2)
    return waves.flatten(-2).float()


class Attention(nn.Module):
    """memory: queries come from elsewhere than keys and values, of which each has a packed projection."""

    def __init__(self, width, heads, dropout, memory=False):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width) if memory else None
        self.packed = nn.Linear(width, 2 * width if memory else 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x, memory=None, mask=None, causal=False):
        batch, steps, width = x.shape
        if memory is None:
            parts = self.packed(x).chunk(3, -1)
        else:
            parts = (self.query(x), *self.packed(memory).chunk(2, -1))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal)
        return self.output(y.transpose(1, 2).reshape(batch, steps, width))


class FeedForward(nn.Module):
    def __init__(self, width, inner, dropout):
        super().__init__()
        self.first, self.second = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.second(self.dropout(F.relu(self.first(x))))


class Layer(nn.Module):
    """decoder: reads what came before, then the encoder's outputs."""

    def __init__(self, case, decoder):
        super().__init__()
        width, heads, dropout = case["dimension"], case["heads"], case["attentionDropout"]
        self.self_attention = Attention(width, heads, dropout)
        self.cross_attention = Attention(width, heads, dropout, memory=True) if decoder else None
        self.feed_forward = FeedForward(width, case["feedForward"], case["activationDropout"])
        self.norms = nn.ModuleList(nn.LayerNorm(width, case["epsilon"]) for _ in range(3 if decoder else 2))
        self.dropout = nn.Dropout(case["dropout"])
        self.first = case["normalizeFirst"]

    def residual(self, x, norm, function):
        if self.first:
            return x + self.dropout(function(norm(x)))
        return norm(x + self.dropout(function(x)))

    def forward(self, x, mask, memory=None):
        first, *_, last = self.norms
        if self.cross_attention is None:
            x = self.residual(x, first, lambda y: self.self_attention(y, mask=mask))
        else:
            # Padding is at the right: what a position may look at holds none.
            x = self.residual(x, first, lambda y: self.self_attention(y, causal=True))
            x = self.residual(x, self.norms[1], lambda y: self.cross_attention(y, memory, mask))
        return self.residual(x, last, self.feed_forward)


class Transformer(nn.Module):
    """The weights come by name, in Keras' layouts (bench/transformer-cases.ts)."""

    def __init__(self, case, weights):
        super().__init__()
        width = case["dimension"]
        self.masked, self.width, self.smoothing = case["masked"], width, case["labelSmoothing"]
        self.source = nn.Embedding(case["sourceVocabulary"], width)
        self.target = nn.Embedding(case["targetVocabulary"], width)
        self.register_buffer("positions", positions(512, width, case["interleaved"]), persistent=False)
        self.dropout = nn.Dropout(case["dropout"])
        self.encoder = nn.ModuleList(Layer(case, False) for _ in range(case["encoderLayers"]))
        self.decoder = nn.ModuleList(Layer(case, True) for _ in range(case["decoderLayers"]))
        final = case["normalizeFirst"]
        self.encoder_norm = nn.LayerNorm(width, case["epsilon"]) if final else nn.Identity()
        self.decoder_norm = nn.LayerNorm(width, case["epsilon"]) if final else nn.Identity()
        self.output = nn.Linear(width, case["targetVocabulary"], bias=not case["tied"])
        if case["tied"]:
            self.output.weight = self.target.weight
        set_weights(self, weights)

    def embed(self, embedding, ids):
        return self.dropout(embedding(ids) * math.sqrt(self.width) + self.positions[: ids.shape[1]])

    def hidden(self, source, decoder):
        mask = (source != 0)[:, None, None, :] if self.masked else None
        memory = self.embed(self.source, source)
        for layer in self.encoder:
            memory = layer(memory, mask)
        memory = self.encoder_norm(memory)
        x = self.embed(self.target, decoder)
        for layer in self.decoder:
            x = layer(x, mask, memory)
        return self.decoder_norm(x)

    def loss(self, x, goal):
        ignored = 0 if self.masked else -100
        return F.cross_entropy(self.output(x).flatten(0, 1), goal.flatten(), ignore_index=ignored, label_smoothing=self.smoothing)

    def forward(self, source, decoder, goal):
        return self.loss(self.hidden(source, decoder), goal)


def set_weights(model, weights):
    """weights: arrays by name; each is used once."""
    rest = {name: torch.from_numpy(array) for name, array in weights.items()}

    def linear(layer, *names):
        """Kernels side by side."""
        layer.weight.copy_(torch.cat([rest.pop(f"{name}/kernel") for name in names], 1).T)
        if layer.bias is not None:
            layer.bias.copy_(torch.cat([rest.pop(f"{name}/bias") for name in names]))

    def norm(layer, name):
        layer.weight.copy_(rest.pop(f"{name}/gamma"))
        layer.bias.copy_(rest.pop(f"{name}/beta"))

    def attention(layer, name):
        parts = ["query", "key", "value"]
        if layer.query is not None:
            linear(layer.query, f"{name}/{parts.pop(0)}")
        linear(layer.packed, *(f"{name}/{part}" for part in parts))
        linear(layer.output, f"{name}/attentionOutput")

    with torch.no_grad():
        model.source.weight.copy_(rest.pop("source/embeddings"))
        model.target.weight.copy_(rest.pop("target/embeddings"))
        for side in ["encoder", "decoder"]:
            for index, layer in enumerate(getattr(model, side)):
                name = f"{side}{index}"
                parts = ["selfAttention", "crossAttention", "feedforward"]
                if layer.cross_attention is None:
                    parts.remove("crossAttention")
                else:
                    attention(layer.cross_attention, f"{name}/crossAttention")
                attention(layer.self_attention, f"{name}/selfAttention")
                linear(layer.feed_forward.first, f"{name}/feedforwardIntermediateDense")
                linear(layer.feed_forward.second, f"{name}/feedforwardOutputDense")
                for part, own in zip(parts, layer.norms):
                    norm(own, f"{name}/{part}LayerNorm")
            if isinstance(getattr(model, f"{side}_norm"), nn.LayerNorm):
                norm(getattr(model, f"{side}_norm"), f"{side}Norm")
        if model.output.bias is not None:
            linear(model.output, "output")
    if rest:
        raise ValueError(f"weights of no use: {', '.join(rest)}")


class Trainer:
    """A training step when it is called; forward: the model, or what was compiled of it; bfloat16: under autocast."""

    bfloat16 = False

    def __init__(self, case, model, forward):
        self.model, self.forward, self.case = model, forward, case
        options = case["optimizer"]
        kind = torch.optim.AdamW if options["weightDecay"] > 0 else torch.optim.Adam
        self.optimizer = kind(
            model.parameters(),
            lr=options["learningRate"],
            betas=(options["beta1"], options["beta2"]),
            eps=options["epsilon"],
            weight_decay=options["weightDecay"],
            fused=True,
        )
        self.updates = 0
        self.warmup = options.get("warmup")

    def __call__(self, source, decoder, goal):
        if self.warmup is not None:
            time = self.updates + 1
            rate = self.case["optimizer"]["learningRate"] * min(time / self.warmup, math.sqrt(self.warmup / time))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        self.updates += 1
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.forward(*(torch.from_numpy(x).long() for x in (source, decoder, goal)))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def evaluate(self, batches):
        """Sum of -log p of all words, and their count; dropout and smoothing are off."""
        self.model.eval()
        total, count = 0.0, 0
        with torch.inference_mode():
            for batch in batches:
                source, decoder, goal = (torch.from_numpy(x).long() for x in batch)
                logits = self.model.output(self.model.hidden(source, decoder)).flatten(0, 1)
                total += F.cross_entropy(logits, goal.flatten(), ignore_index=0, reduction="sum").item()
                count += int((goal != 0).sum())
        self.model.train()
        return total, count


def eager(case, weights):
    model = Transformer(case, weights)
    return Trainer(case, model, model)


def compiled(case, weights):
    # Inductor's own random numbers take longer than those of eager.
    torch._inductor.config.fallback_random = True
    model = Transformer(case, weights)
    return Trainer(case, model, torch.compile(model, dynamic=True if case["masked"] else None))


def compiled_loss(case, weights):
    model = Transformer(case, weights)
    model.loss = torch.compile(model.loss, dynamic=True if case["masked"] else None)
    return Trainer(case, model, model)


def rounding(make):
    """The same under autocast: products and attention in bfloat16, weights and optimiser in float32."""

    def made(case, weights):
        trainer = make(case, weights)
        trainer.bfloat16 = True
        return trainer

    return made
