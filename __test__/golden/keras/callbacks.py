"""When Keras' callbacks stop training, lower the learning rate and save, for given losses: chosen cases and random ones."""

import json
import os
import random
from types import SimpleNamespace

from keras import callbacks

HERE = os.path.dirname(os.path.abspath(__file__))

STOPS = [
    ([3, 2, 1, 0], {}),
    ([3, 2, 2, 0], {}),
    ([3, 3, 2, 0], {}),
    ([3, 4, 5, 2, 3], {"patience": 2}),
    ([3, 4, 2, 3, 3, 1], {"patience": 2}),
    ([3, 2.8, 2.6, 2.4], {"min_delta": 0.5, "patience": 2}),
    ([3, 2.8, 2.4, 2.2, 1.8], {"min_delta": 0.5, "patience": 2}),
    ([3, 2.8, 2.6, 2.4], {"min_delta": 0.5}),
    ([1, 2, 3, 2, 1], {"mode": "max", "patience": 1}),
    ([3, 2, 1, 0.5], {"baseline": 1.5}),
    ([3, 2.9, 2.8, 2.9, 1], {"baseline": 2, "patience": 2}),
    ([3, 4, 5, 6, 7], {"start_from_epoch": 3}),
    ([3, 2, 1, 2, 0], {"start_from_epoch": 1, "patience": 2}),
]
REDUCTIONS = [
    ([1, 1, 1, 1], {"patience": 1, "factor": 0.5}),
    ([1, 1, 1, 1, 1], {"patience": 2, "factor": 0.5}),
    ([1, 1, 1, 1, 1, 1], {"patience": 1, "factor": 0.5, "cooldown": 2}),
    ([1, 1, 1, 1], {"patience": 1, "factor": 0.5, "min_lr": 0.004}),
    ([1, 0.99995, 0.9, 0.9], {"patience": 1, "factor": 0.5}),
    ([1, 2, 3, 3], {"patience": 1, "mode": "max", "factor": 0.5}),
    ([1, 1, 0.5, 1, 1, 1], {"patience": 2, "factor": 0.25, "cooldown": 1}),
    ([1, 1, 1], {"patience": 0, "factor": 0.5}),
]


class Model:
    """What callbacks use of a model; its weights are the epoch."""

    def __init__(self):
        self.stop_training = False
        self.weights = None
        self.optimizer = SimpleNamespace(learning_rate=0.01)

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def run(callback, losses):
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        model.weights = epoch
        logs = {"loss": loss}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs.get("learning_rate"))
        if model.stop_training:
            break
    callback.on_train_end()
    return rates, model.weights


def camel(options):
    names = {"min_lr": "minLearningRate"}
    return {names.get(name, "".join([part if not i else part.title() for i, part in enumerate(name.split("_"))])): value for name, value in options.items()}


def stop(losses, options):
    callback = callbacks.EarlyStopping(monitor="loss", restore_best_weights=True, **options)
    rates, weights = run(callback, losses)
    return {"losses": losses, "options": camel(options), "epochs": len(rates), "bestEpoch": callback.best_epoch, "weightsOf": weights}


def reduction(losses, options):
    rates, _ = run(callbacks.ReduceLROnPlateau(monitor="loss", **options), losses)
    return {"losses": losses, "options": camel(options), "rates": rates}


def saving(losses, options):
    """Epochs after which the best model is saved."""
    callback = callbacks.ModelCheckpoint("best.weights.h5", monitor="loss", save_best_only=True, save_weights_only=True, verbose=0, **options)
    saved = []
    model = Model()
    model.save_weights = lambda *_, **__: saved.append(model.weights)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.weights = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": loss})
    return {"losses": losses, "options": camel(options), "saved": saved}


def chosen(rng, **choices):
    return {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.5}


def random_cases(seed, count):
    """Losses go down and up again in steps of which many are equal."""
    rng = random.Random(seed)
    cases = {"stops": [], "reductions": [], "savings": []}
    for _ in range(count):
        losses = [round(rng.choice([1, 2, 3]) * rng.choice([0.5, 0.9, 1, 1.0001, 1.2]), 5) for _ in range(rng.randint(1, 12))]
        mode = {"mode": rng.choice(["auto", "min", "max"])}
        watched = chosen(rng, min_delta=[0, 0.00005, 0.1, 0.5], patience=[0, 1, 2, 3])
        more = chosen(rng, baseline=[0.7, 1.5, 2.4], start_from_epoch=[0, 1, 3])
        cases["stops"].append(stop(losses, {**mode, **watched, **more}))
        more = chosen(rng, factor=[0.1, 0.5, 0.9], cooldown=[0, 1, 2], min_lr=[0.0004, 0.004])
        cases["reductions"].append(reduction(losses, {**mode, "patience": rng.choice([0, 1, 2]), **watched, **more}))
        cases["savings"].append(saving(losses, {**mode, **chosen(rng, initial_value_threshold=[0.8, 1.9, 2.5])}))
    return cases


def write(name, cases):
    lines = [f'"{kind}":[\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in listed) + "\n]" for kind, listed in cases.items()]
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


write("callbacks.json", {"stops": [stop(*case) for case in STOPS], "reductions": [reduction(*case) for case in REDUCTIONS]})
write("callbacks-random.json", random_cases(5, 120))
