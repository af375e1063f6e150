"""Steps of every optimiser on an embedding with repeated ids and a linear layer, with random options, in float32."""

import json
import os
import random
import re

import keras
import numpy as np
import torch

import formula

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, SNAPSHOTS, CASES = 13, [2, 7, 13], 8
V, E, U, TOKENS = 7, 3, 4, 6
ABOUT = (
    f"{STEPS} steps in float32 with the learning rates of rates; weight i begins with formulaValues(seed + i, size, 0.6). In step s the gradient of "
    f"the {TOKENS} rows that ids[s] names is formulaValues(1000 + s, ...), that of the kernel formulaValues(2000 + s, ...), that of the bias "
    "formulaValues(3000 + s, ...), each times scale; gradients of regularisers are added. snapshots: the weights after some steps; "
    "final: the weights after finalize_variable_values. penalties: before each step."
)


def snake(options):
    def name(key):
        key = re.sub("([A-Z])", lambda m: "_" + m[1].lower(), key)
        return re.sub(r"^(beta|epsilon)([12])", r"\1_\2", key)

    return {name(key): value for key, value in options.items()}


def optional(draw, chance, **options):
    """Each option with a chance."""
    return {name: value() for name, value in options.items() if draw.random() < chance}


def betas(draw):
    return optional(
        draw,
        0.6,
        beta1=lambda: draw.choice([0.5, 0.8, 0.95]),
        beta2=lambda: draw.choice([0.7, 0.9, 0.99]),
        epsilon=lambda: draw.choice([1e-3, 1e-5]),
    )


def momentum(draw):
    return {"momentum": draw.choice([0.5, 0.9])} if draw.random() < 0.5 else {}


# Name: class, own options, learning rates.
OPTIMIZERS = {
    "sgd": (keras.optimizers.SGD, lambda d: {**momentum(d), **optional(d, 0.5, nesterov=lambda: True)}, (0.01, 0.5)),
    "rmsprop": (
        keras.optimizers.RMSprop,
        lambda d: {
            **momentum(d),
            **optional(
                d, 0.5, rho=lambda: d.choice([0.5, 0.8]), epsilon=lambda: d.choice([1e-3, 1e-5]), centered=lambda: True
            ),
        },
        (0.001, 0.05),
    ),
    "adam": (keras.optimizers.Adam, lambda d: {**betas(d), **optional(d, 0.4, amsgrad=lambda: True)}, (0.001, 0.1)),
    "adamw": (keras.optimizers.AdamW, lambda d: {**betas(d), **optional(d, 0.4, amsgrad=lambda: True)}, (0.001, 0.1)),
    "adagrad": (
        keras.optimizers.Adagrad,
        lambda d: optional(
            d, 0.6, initialAccumulatorValue=lambda: d.choice([0.01, 0.5]), epsilon=lambda: d.choice([1e-3, 1e-5])
        ),
        (0.01, 0.3),
    ),
    "adadelta": (
        keras.optimizers.Adadelta,
        lambda d: optional(d, 0.6, rho=lambda: d.choice([0.5, 0.9]), epsilon=lambda: d.choice([1e-3, 1e-5])),
        (0.1, 1.0),
    ),
    "adamax": (keras.optimizers.Adamax, betas, (0.001, 0.1)),
    "nadam": (keras.optimizers.Nadam, betas, (0.001, 0.1)),
    "adafactor": (
        keras.optimizers.Adafactor,
        lambda d: optional(
            d,
            0.5,
            beta2Decay=lambda: d.choice([-0.5, -1.0]),
            epsilon1=lambda: d.choice([1e-6, 1e-3]),
            epsilon2=lambda: d.choice([0.01, 0.5]),
            clipThreshold=lambda: d.choice([0.5, 2.0]),
            relativeStep=lambda: False,
        ),
        (0.001, 0.3),
    ),
    "lion": (
        keras.optimizers.Lion,
        lambda d: optional(d, 0.6, beta1=lambda: d.choice([0.5, 1.0]), beta2=lambda: d.choice([0.7, 0.9])),
        (0.001, 0.05),
    ),
    "ftrl": (
        keras.optimizers.Ftrl,
        lambda d: optional(
            d,
            0.4,
            learningRatePower=lambda: d.choice([-0.3, -0.8, 0.0]),
            initialAccumulatorValue=lambda: d.choice([0.05, 0.5]),
            l1RegularizationStrength=lambda: d.choice([0.01, 0.2]),
            l2RegularizationStrength=lambda: d.choice([0.01, 0.2]),
            l2ShrinkageRegularizationStrength=lambda: d.choice([0.01, 0.2]),
            beta=lambda: d.choice([0.1, 1.0]),
        ),
        (0.01, 0.3),
    ),
    "lamb": (keras.optimizers.Lamb, betas, (0.001, 0.1)),
}


def schedule(draw, rate):
    """Keras' schedule; `None`: the rate is constant."""
    schedules = keras.optimizers.schedules
    return draw.choice(
        [
            None,
            None,
            lambda: schedules.ExponentialDecay(rate, 5, 0.5),
            lambda: schedules.CosineDecay(rate / 4, 9, alpha=0.1, warmup_target=rate, warmup_steps=3),
            lambda: schedules.PiecewiseConstantDecay([2, 7], [rate, rate / 2, rate / 8]),
        ]
    )


def common(draw):
    options = optional(draw, 0.4, weightDecay=lambda: draw.choice([0.004, 0.1]))
    if "weightDecay" in options and draw.random() < 0.4:
        options["excludeFromWeightDecay"] = draw.choice(
            [{"varNames": ["bias"], "varList": []}, {"varNames": ["ern"], "varList": ["embedding/embeddings"]}]
        )
    clip = draw.choice([None, None, "clipnorm", "clipvalue", "globalClipnorm"])
    if clip:
        options[clip] = draw.choice([0.05, 0.4])
    if draw.random() < 0.4:
        options |= {"useEma": True, "emaMomentum": draw.choice([0.5, 0.9, 0.99])}
        options |= optional(draw, 0.5, emaOverwriteFrequency=lambda: draw.randint(1, 5))
    return options | optional(draw, 0.25, gradientAccumulationSteps=lambda: draw.randint(2, 4))


def regularizer(draw, matrix):
    kinds = ["l1", "l2", "l1l2"] + ["orthogonal"] * matrix
    kind = draw.choice(kinds)
    if kind == "orthogonal":
        return {"type": "orthogonalRegularizer", "factor": 0.5, "mode": draw.choice(["rows", "columns"])}
    l1 = draw.choice([0.01, 0.1]) if "l1" in kind else 0
    l2 = draw.choice([0.01, 0.1]) if "l2" in kind else 0
    return {"type": "l1l2", "l1": l1, "l2": l2}


def constraint(draw, matrix):
    axis = draw.choice([0, 1, -1, [0, 1]]) if matrix else 0
    return draw.choice(
        [
            {"type": "maxNorm", "maxValue": draw.choice([0.5, 0.9]), "axis": axis},
            {"type": "nonNeg"},
            {"type": "unitNorm", "axis": axis},
            {"type": "minMaxNorm", "minValue": 0.6, "maxValue": 0.9, "rate": draw.choice([1.0, 0.3]), "axis": axis},
        ]
    )


def keras_rule(document):
    if document is None:
        return None
    options = snake({key: value for key, value in document.items() if key != "type"})
    rules = {
        "l1l2": keras.regularizers.L1L2,
        "orthogonalRegularizer": keras.regularizers.OrthogonalRegularizer,
        "maxNorm": keras.constraints.MaxNorm,
        "nonNeg": keras.constraints.NonNeg,
        "unitNorm": keras.constraints.UnitNorm,
        "minMaxNorm": keras.constraints.MinMaxNorm,
    }
    return rules[document["type"]](**options)


def floats(array):
    """Float32 numbers, written as short as they can be told apart."""
    return [float(str(x)) for x in np.asarray(array, dtype=np.float32).ravel()]


def case(name, draw, seed, noise=0.0):
    """A run; noise is a relative error of the gradients."""
    make, own, rates = OPTIMIZERS[name]
    optimizer = {"type": name, **own(draw), **common(draw)}
    if name == "adamw":
        optimizer.setdefault("weightDecay", 0.004)
    rate = float(np.float32(draw.uniform(*rates)))
    rules = {}
    for weight, matrix in (("embeddings", True), ("kernel", True), ("bias", False)):
        rules |= optional(
            draw,
            0.35,
            **{
                f"{weight}Regularizer": lambda matrix=matrix: regularizer(draw, matrix),
                f"{weight}Constraint": lambda matrix=matrix: constraint(draw, matrix),
            },
        )
        if rules.get(f"{weight}Regularizer", {}).get("type") == "orthogonalRegularizer":
            # Of a vector of zeros Keras' gradient is not a number.
            rules.pop(f"{weight}Constraint", None)

    given = {key: value for key, value in optimizer.items() if key not in ("type", "excludeFromWeightDecay")}
    decay = schedule(draw, rate)
    instance = make(learning_rate=decay() if decay else rate, **snake(given))
    variables = []
    for index, (weight, shape) in enumerate((("embeddings", (V, E)), ("kernel", (E, U)), ("bias", (U,)))):
        variable = keras.Variable(formula.values(seed + index, shape, 0.6), name=weight)
        variable.regularizer = keras_rule(rules.get(f"{weight}Regularizer"))
        variable.constraint = keras_rule(rules.get(f"{weight}Constraint"))
        variables.append(variable)
    excluded = optimizer.get("excludeFromWeightDecay")
    if excluded:
        parts = excluded["varNames"]
        instance.exclude_from_weight_decay(variables[:1] if excluded["varList"] else None, parts)

    scale = draw.choice([0.1, 1.0])
    numbers = {"rates": [], "ids": [], "penalties": [], "snapshots": []}
    for step in range(STEPS):
        chosen = formula.integers(4000 + step + seed, (TOKENS,), 0, V)
        # The last row never has a gradient of its own, the first one in even steps only.
        chosen = np.where(chosen == V - 1, 1, chosen)
        chosen = np.where((chosen == 0) & (step % 2 == 1), 2, chosen).astype(np.int32)
        table = torch.zeros((V, E))
        table.index_add_(0, torch.tensor(chosen, dtype=torch.int64), torch.tensor(formula.values(1000 + step, (TOKENS, E), scale)))
        gradients = [
            table,
            torch.tensor(formula.values(2000 + step, (E, U), scale)),
            torch.tensor(formula.values(3000 + step, (U,), scale)),
        ]
        gradients = [gradient * (1 + noise * (-1) ** step) for gradient in gradients]
        penalties = 0.0
        for index, variable in enumerate(variables):
            if variable.regularizer is not None:
                value = variable.value.detach().clone().requires_grad_(True)
                penalty = variable.regularizer(value)
                gradients[index] = gradients[index] + torch.autograd.grad(penalty, value)[0]
                penalties += float(penalty.detach())
        numbers["rates"].append(float(np.float32(float(instance.learning_rate))))
        numbers["ids"].append(chosen.tolist())
        numbers["penalties"].append(penalties)
        with torch.no_grad():
            instance.apply(gradients, variables)
        if step + 1 in SNAPSHOTS:
            numbers["snapshots"].append([floats(variable.numpy()) for variable in variables])
    instance.finalize_variable_values(variables)
    return {
        "name": f"{name} {seed}",
        "rules": rules,
        "optimizer": optimizer,
        "seed": seed,
        "scale": scale,
        **numbers,
        "final": [floats(variable.numpy()) for variable in variables],
    }


def sensitivity(run, other):
    """The largest difference of two runs, relative to the largest number of each weight."""
    pairs = zip([run["final"], *run["snapshots"]], [other["final"], *other["snapshots"]])
    weights = [(np.array(a), np.array(b)) for left, right in pairs for a, b in zip(left, right)]
    return max(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30) for a, b in weights)


def main():
    cases = []
    for number, name in enumerate(OPTIMIZERS):
        seed = 1000 * number
        while len(cases) < CASES * (number + 1):
            run, other = (case(name, random.Random(seed), seed, noise) for noise in (0.0, 3e-7))
            seed += 5
            # Where rounding decides, such as by the sign of what should be 0, there is nothing to compare.
            if sensitivity(run, other) < 5e-7:
                cases.append(run)
            else:
                print(run["name"], "is left out")
    about = {"about": ABOUT, "keras": keras.__version__, "snapshotSteps": SNAPSHOTS}
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    with open(os.path.join(HERE, "optimizers.json"), "w") as file:
        file.write(json.dumps(about)[:-1] + f', "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
