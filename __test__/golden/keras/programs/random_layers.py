"""Random layers: what may follow a value of a given rank, with random options."""

RECURRENT = ("lstm", "gru", "simpleRnn")
SMOOTH = ("tanh", "sigmoid", "softsign", "gelu", "silu", "softplus", "elu", "linear", "selu", "mish")


def regularizer(rng):
    kind = rng.choice(["l1", "l2", "l1L2"])
    rate = lambda: rng.choice([0.001, 0.01, 0.1])
    return {"type": kind, "options": {name: rate() for name in {"l1": ["l1"], "l2": ["l2"], "l1L2": ["l1", "l2"]}[kind]}}


def constraint(rng):
    kind = rng.choice(["maxNorm", "nonNeg", "unitNorm", "minMaxNorm"])
    options = {} if kind == "nonNeg" else {"axis": rng.choice([0, 1])}
    if kind == "maxNorm":
        options["maxValue"] = rng.choice([0.5, 1.0])
    if kind == "minMaxNorm":
        options.update(minValue=0.3, maxValue=rng.choice([0.6, 0.9]), rate=rng.choice([1.0, 0.5]))
    return {"type": kind, "options": options}


def extras(rng, weights):
    """Now and then a regulariser or a constraint of one of the weights."""
    options = {}
    for weight in weights:
        if rng.random() < 0.12:
            options[f"{weight}Regularizer"] = regularizer(rng)
        if rng.random() < 0.08 and weight != "bias":
            options[f"{weight}Constraint"] = constraint(rng)
    if rng.random() < 0.08:
        options["activityRegularizer"] = regularizer(rng)
    return options


def dense(rng, units=None, activation=None):
    options = {"units": units or rng.randint(1, 5), "activation": activation or rng.choice(SMOOTH)}
    options.update(extras(rng, ["kernel", "bias"]))
    if rng.random() < 0.2:
        options = {name: value for name, value in options.items() if not name.startswith("bias")}
        options["useBias"] = False
    return {"type": "dense", "options": options}


def recurrent(rng, sequences=None, wrapped=False):
    kind = rng.choice(RECURRENT)
    options = {
        "units": rng.randint(1, 4),
        "activation": rng.choice(["tanh", "tanh", "tanh", "sigmoid", "softsign"]),
        "returnSequences": rng.random() < 0.6 if sequences is None else sequences,
    }
    if rng.random() < 0.2:
        options["useBias"] = False
    if kind != "simpleRnn" and rng.random() < 0.3:
        options["recurrentActivation"] = rng.choice(["hardSigmoid", "sigmoid", "tanh"])
    if kind == "gru" and rng.random() < 0.5:
        options["resetAfter"] = False
    if not wrapped:
        if rng.random() < 0.25:
            options["goBackwards"] = True
        if rng.random() < 0.25:
            options["zeroOutputForMask"] = True
        options.update(extras(rng, ["kernel", "recurrent"] + ["bias"] * options.get("useBias", True)))
        if kind == "simpleRnn":
            # Keras' SimpleRNN takes the option and forgets it.
            options.pop("activityRegularizer", None)
    return {"type": kind, "options": options}


def bidirectional(rng, sequences=None):
    options = {"layer": recurrent(rng, sequences, wrapped=True), "mergeMode": rng.choice(["concat", "concat", "sum", "mul", "ave"])}
    return {"type": "bidirectional", "options": options}


def normalization(rng):
    options = {}
    if rng.random() < 0.5:
        options["epsilon"] = rng.choice([1e-5, 1e-2])
    if rng.random() < 0.2:
        options["center"] = False
    if rng.random() < 0.2:
        options["scale"] = False
    return {"type": "layerNormalization", "options": options}


def simple(type, **options):
    return {"type": type, "options": options}


def factors(rng, size):
    pairs = [(a, size // a) for a in range(1, size + 1) if size % a == 0]
    return list(rng.choice(pairs))


def unary(rng, shape, masked):
    """A layer for a value of `shape` (with the batch, None), and what is called beside it."""
    rank, size = len(shape), shape[-1]
    any_rank = [lambda: dense(rng), lambda: simple("activation", activation=rng.choice(SMOOTH)), lambda: normalization(rng)]
    if rank == 2:
        return rng.choice(
            any_rank
            + [
                lambda: simple("repeatVector", n=rng.randint(1, 4)),
                lambda: simple("reshape", targetShape=factors(rng, size)),
                lambda: simple("softmax"),
            ]
        )()
    if rank == 3:
        choices = any_rank + [
            lambda: recurrent(rng),
            lambda: recurrent(rng),
            lambda: bidirectional(rng),
            lambda: simple("globalAveragePooling1d", **({"keepdims": True} if rng.random() < 0.3 else {})),
            lambda: simple("timeDistributed", layer=dense(rng)),
            lambda: simple("spatialDropout1d", rate=0.0),
        ]
        if not masked:
            # Keras' max pooling ignores masks, and these lose or misplace them.
            choices += [
                lambda: simple("globalMaxPooling1d", **({"keepdims": True} if rng.random() < 0.3 else {})),
                lambda: simple("softmax", axis=rng.choice([-1, 1])),
                lambda: simple("permute", dims=[2, 1]),
                lambda: simple("flatten"),
                lambda: simple("reshape", targetShape=[shape[1], *factors(rng, size)]),
                lambda: simple("reshape", targetShape=[-1, rng.choice(factors(rng, size))]),
                # On PyTorch, Keras cannot normalise over an axis that is not the last.
            lambda: simple("layerNormalization", axis=[1, 2]),
            ]
        return rng.choice(choices)()
    return rng.choice(
        any_rank
        + [
            lambda: simple("timeDistributed", layer=recurrent(rng, wrapped=True)),
            lambda: simple("timeDistributed", layer=simple("flatten")),
            lambda: simple("timeDistributed", layer=simple("globalAveragePooling1d")),
            lambda: simple("permute", dims=rng.choice([[2, 1, 3], [1, 3, 2], [3, 1, 2]])),
            lambda: simple("flatten"),
            lambda: simple("reshape", targetShape=[-1, size]),
        ]
    )()


def binary(rng):
    return simple(rng.choice(["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate"]))
