"""Learning rates of Keras' schedules, for random options, in float64."""

import json
import os
import random

import keras
from keras.optimizers import schedules

HERE = os.path.dirname(os.path.abspath(__file__))
CASES, STEPS = 12, 24


def camel(options):
    return {"".join(part if not i else part.title() for i, part in enumerate(name.split("_"))): value for name, value in options.items()}


def some(random_, required, optional):
    """The options that are needed, and some of the others."""
    return {**required, **{name: value for name, value in optional.items() if random_.random() < 0.6}}


def rate(random_):
    return round(random_.uniform(0.001, 1), 4)


def polynomial(random_):
    return some(
        random_,
        {"initial_learning_rate": rate(random_), "decay_steps": random_.randint(1, 40)},
        {"end_learning_rate": rate(random_), "power": random_.choice([0, 0.5, 1, 2, 3.5]), "cycle": random_.random() < 0.7},
    )


def exponential(random_):
    return some(
        random_,
        {"initial_learning_rate": rate(random_), "decay_steps": random_.randint(1, 40), "decay_rate": random_.choice([0.1, 0.5, 0.97, 1, 2])},
        {"staircase": random_.random() < 0.7},
    )


def cosine(random_):
    options = some(
        random_,
        {"initial_learning_rate": rate(random_), "decay_steps": random_.randint(1, 80)},
        {"alpha": round(random_.random(), 3), "warmup_steps": random_.randint(0, 40)},
    )
    return options | ({"warmup_target": rate(random_)} if random_.random() < 0.6 else {})


def cosine_ends(options):
    """Steps around the end of the warm-up and of the decay."""
    start = options.get("warmup_steps", 0)
    return {max(0, step + by) for step in (start, options["decay_steps"], start + options["decay_steps"]) for by in (-1, 0, 1)}


def piecewise(random_):
    boundaries = sorted(random_.sample(range(60), random_.randint(1, 5)))
    return {"boundaries": boundaries, "values": [rate(random_) for _ in range(len(boundaries) + 1)]}


def restarts(random_):
    return some(
        random_,
        {"initial_learning_rate": rate(random_), "first_decay_steps": random_.randint(1, 20)},
        {"t_mul": random_.choice([1, 1.5, 2, 3]), "m_mul": random_.choice([0.5, 0.9, 1, 1.2]), "alpha": round(random_.random(), 3)},
    )


def restart_steps(options):
    """Where a period begins: Keras finds it by a logarithm, whose rounding decides there on one side or the other."""
    length, start, found = options["first_decay_steps"], 0, []
    while start <= 200:
        found.append(round(start, 6))
        start, length = start + length, length * options.get("t_mul", 2)
    return found[1:]


def cases(make, options_of, random_, left_out=lambda options: [], besides=lambda options: set()):
    result = []
    for _ in range(CASES):
        options = options_of(random_)
        steps = sorted(set(range(4)) | {random_.randint(0, 200) for _ in range(STEPS)})
        if "decay_steps" in options:
            steps = sorted(set(steps) | {options["decay_steps"] * factor for factor in (1, 2, 3)})
        steps = sorted(set(steps) | besides(options))
        steps = [step for step in steps if step not in left_out(options)]
        schedule = make(**options)
        result.append({"options": camel(options), "steps": steps, "rates": [float(schedule(step)) for step in steps]})
    return result


def warmups(random_):
    """A warm-up is part of Keras' cosine decay only."""
    result = []
    for _ in range(CASES):
        peak, warmup, decay, alpha = rate(random_), random_.randint(1, 40), random_.randint(1, 80), round(random_.random(), 3)
        steps = sorted({0, warmup - 1, warmup, warmup + 1} | {random_.randint(0, 120) for _ in range(STEPS)})
        schedule = schedules.CosineDecay(0.0, decay, alpha=alpha, warmup_target=peak, warmup_steps=warmup)
        then = {"initialLearningRate": peak, "decaySteps": decay, "alpha": alpha}
        options = {"peak": peak, "warmup": warmup}
        result.append({"options": options, "cosineDecay": then, "steps": steps, "rates": [float(schedule(step)) for step in steps]})
    return result


if __name__ == "__main__":
    keras.backend.set_floatx("float64")
    random_ = random.Random(20)
    document = {
        "polynomialDecay": cases(schedules.PolynomialDecay, polynomial, random_),
        "cosineDecayRestarts": cases(schedules.CosineDecayRestarts, restarts, random_, restart_steps),
        "linearWarmup": warmups(random_),
        "exponentialDecay": cases(schedules.ExponentialDecay, exponential, random_),
        "inverseTimeDecay": cases(schedules.InverseTimeDecay, exponential, random_),
        "cosineDecay": cases(schedules.CosineDecay, cosine, random_, besides=cosine_ends),
        "piecewiseConstant": cases(
            schedules.PiecewiseConstantDecay,
            piecewise,
            random_,
            besides=lambda options: {max(0, step + by) for step in options["boundaries"] for by in (-1, 0, 1)},
        ),
    }
    with open(os.path.join(HERE, "schedules.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.write("\n")
