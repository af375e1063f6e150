"""When Keras' callbacks stop training and lower the learning rate, for given losses."""

import json
import os
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


stops = []
for losses, options in STOPS:
    callback = callbacks.EarlyStopping(monitor="loss", restore_best_weights=True, **options)
    rates, weights = run(callback, losses)
    stops.append({"losses": losses, "options": camel(options), "epochs": len(rates), "bestEpoch": callback.best_epoch, "weightsOf": weights})
reductions = []
for losses, options in REDUCTIONS:
    rates, _ = run(callbacks.ReduceLROnPlateau(monitor="loss", **options), losses)
    reductions.append({"losses": losses, "options": camel(options), "rates": rates})
with open(os.path.join(HERE, "callbacks.json"), "w", encoding="utf-8") as file:
    json.dump({"stops": stops, "reductions": reductions}, file, indent=1)
    file.write("\n")
