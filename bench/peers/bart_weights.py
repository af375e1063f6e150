"""Weights of transformers' Marian and BART models by the names and in the layouts of sconce's layers."""


def _linear(into, name, source):
    into[f"{name}/kernel"], into[f"{name}/bias"] = source.weight.T, source.bias


def _norm(into, name, source):
    into[f"{name}/gamma"], into[f"{name}/beta"] = source.weight, source.bias


def _attention(into, name, source):
    for own, theirs in [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("attentionOutput", "out_proj")]:
        _linear(into, f"{name}/{own}", getattr(source, theirs))


def bart_weights(model, learned):
    """Views of the weights; `learned`: whether positions are learned and embeddings normalised, as in BART and not in Marian."""
    weights = {"table/embeddings": model.model.shared.weight, "table/reverseBias": model.final_logits_bias[0]}
    for side, stack in [("encoder", model.model.encoder), ("decoder", model.model.decoder)]:
        if learned:
            weights[f"{side}Positions/embeddings"] = stack.embed_positions.weight[2:]
            _norm(weights, f"{side}Embedded", stack.layernorm_embedding)
        for number, layer in enumerate(stack.layers):
            own = f"{side}{number}"
            _attention(weights, f"{own}/selfAttention", layer.self_attn)
            _norm(weights, f"{own}/selfAttentionLayerNorm", layer.self_attn_layer_norm)
            if side == "decoder":
                _attention(weights, f"{own}/crossAttention", layer.encoder_attn)
                _norm(weights, f"{own}/crossAttentionLayerNorm", layer.encoder_attn_layer_norm)
            _linear(weights, f"{own}/feedforwardIntermediateDense", layer.fc1)
            _linear(weights, f"{own}/feedforwardOutputDense", layer.fc2)
            _norm(weights, f"{own}/feedforwardLayerNorm", layer.final_layer_norm)
    return weights
