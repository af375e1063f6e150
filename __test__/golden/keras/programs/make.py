"""Random programs: a model of random layers, data, a loss with metrics, and three steps of an optimiser; numbers by Keras."""

import base64
import gzip
import json
import os
import random
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import keras
import numpy as np
import torch

import formula
import random_layers as layers
from described import make, metric

COUNT, ROWS, STEPS = int(os.environ.get("COUNT", 1200)), 5, 3
DISTURBANCE, SENSITIVITY = 1e-6, 25
PATTERNS = ("right", "left", "holes", "full")


def encoded(array):
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


class Program:
    """Values are Keras tensors; `calls` describes how they came about."""

    def __init__(self, number):
        self.number, self.rng = number, random.Random(7_000_000 + number)
        self.inputs, self.data, self.arrays, self.calls = [], [], [], []
        self.values, self.made, self.explicit_mask = [], [], False

    def keep(self, tensor):
        self.values.append(tensor)
        return len(self.values) - 1

    def input(self, shape, kind="float32", described=None):
        tensor = keras.Input(shape=shape[1:], dtype="int32" if kind == "int32" else "float64")
        self.inputs.append({"shape": shape[1:], "dtype": kind, "data": described})
        return self.keep(tensor)

    def call(self, description, inputs, state=(), outputs=1):
        layer = make(description)
        given = [self.values[index] for index in inputs]
        more = {}
        if state:
            more["initial_state"] = [self.values[index] for index in state]
            mask = getattr(given[0], "_keras_mask", None)
            if mask is not None:
                more["mask"], self.explicit_mask = mask, True
        result = layer(given if len(given) > 1 else given[0], **more)
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        assert len(results) == outputs, (description, len(results))
        self.calls.append({"layer": description, "inputs": list(inputs), **({"state": list(state)} if state else {}), "outputs": outputs})
        self.made.append(layer)
        return [self.keep(tensor) for tensor in results]

    def masked(self, value):
        return getattr(self.values[value], "_keras_mask", None) is not None

    def ids(self):
        """A sequence of ids through an embedding."""
        rng, steps, vocabulary = self.rng, self.rng.randint(1, 5), self.rng.randint(3, 7)
        seed = 1000 * self.number + 900 + len(self.inputs)
        array = formula.integers(seed, (ROWS, steps), 1, vocabulary)
        zero = rng.random() < 0.7
        pattern = rng.choice(PATTERNS) if zero else "full"
        for row in range(ROWS):
            kept = 1 + (row * 3 + seed) % steps
            if pattern == "right":
                array[row, kept:] = 0
            elif pattern == "left":
                array[row, : steps - kept] = 0
            elif pattern == "holes":
                array[row, formula.integers(seed + row + 1, (steps,), 0, 3) == 0] = 0
        self.arrays.append(array)
        value = self.input([ROWS, steps if rng.random() < 0.5 or pattern == "full" else None], "int32", {"shape": [ROWS, steps], "ids": array.ravel().tolist()})
        options = {"inputDim": vocabulary, "outputDim": rng.randint(1, 4), **layers.extras(rng, ["embeddings"])}
        if zero:
            options["maskZero"] = True
        return self.call({"type": "embedding", "options": options}, [value])[0]

    def floats(self, shape, holes=False):
        seed = 1000 * self.number + 900 + len(self.inputs)
        array = formula.values(seed, shape, 1.0)
        described = {"shape": list(shape), "seed": seed}
        if holes:
            zeroed = formula.integers(seed + 500, shape[:2], 0, 3) == 0
            array[zeroed] = 0
            described["zeroed"] = np.flatnonzero(zeroed.ravel()).tolist()
        self.arrays.append(array)
        value = self.input(list(shape), "float32", described)
        return self.call(layers.simple("masking"), [value])[0] if holes else value

    def start(self):
        kind = self.rng.choice(["ids", "ids", "sequence", "sequence", "holes", "vector"])
        if kind == "ids":
            return self.ids()
        if kind == "vector":
            return self.floats((ROWS, self.rng.randint(1, 6)))
        return self.floats((ROWS, self.rng.randint(1, 5), self.rng.randint(1, 4)), kind == "holes")

    def grow(self, value):
        """Adds one layer, or a branch that joins again, or a recurrent layer that starts from another's states."""
        rng, shape = self.rng, self.values[value].shape
        chance = rng.random()
        if chance < 0.15 and len(shape) in (2, 3):
            units = rng.randint(1, 4)
            parts = [self.call(layers.dense(rng, units), [value])[0] for _ in range(2)]
            return self.call(layers.binary(rng), parts)[0]
        if chance < 0.2 and len(shape) == 3 and not self.masked(value):
            other = self.call(layers.dense(rng, shape[-1]), [value])[0]
            options = {"axes": 2} if rng.random() < 0.5 else {"axes": 1}
            if rng.random() < 0.4:
                options["normalize"] = True
            return self.call(layers.simple("dot", **options), [value, other])[0]
        if chance < 0.3 and len(shape) == 3:
            first = layers.recurrent(rng)
            first["options"]["returnState"] = True
            states = 2 if first["type"] == "lstm" else 1
            found = self.call(first, [value], outputs=1 + states)
            second = {"type": first["type"], "options": {**first["options"], "returnState": False}}
            return self.call(second, [value], found[1:])[0]
        if chance < 0.35 and len(shape) == 3:
            wrapper = layers.bidirectional(rng, False)
            wrapper["options"]["layer"]["options"]["returnState"] = True
            states = 4 if wrapper["options"]["layer"]["type"] == "lstm" else 2
            found = self.call(wrapper, [value], outputs=1 + states)
            joined = self.call(layers.simple("concatenate"), [found[1], found[1 + states // 2]])[0]
            return self.call(layers.simple("add"), [joined, self.call(layers.dense(rng, self.values[joined].shape[-1]), [found[0]])[0]])[0]
        return self.call(layers.unary(rng, shape, self.masked(value)), [value])[0]

    def build(self):
        value = self.start()
        for _ in range(self.rng.randint(1, 3)):
            value = self.grow(value)
        self.finish(value)
        keras_inputs = [self.values[index] for index in self.input_values()]
        self.model = keras.Model(keras_inputs if len(keras_inputs) > 1 else keras_inputs[0], self.values[self.output])
        self.weights()

    def input_values(self):
        return [index for index, tensor in enumerate(self.values) if tensor._keras_history.operation.__class__.__name__ == "InputLayer"]

    def finish(self, value):
        """The head that the loss asks for."""
        rng = self.rng
        self.loss = {"type": rng.choice(["categoricalCrossentropy", "sparseCategoricalCrossentropy", "binaryCrossentropy", "meanSquaredError", "meanAbsoluteError", "klDivergence", "cosineSimilarity"]), "options": {}}
        kind = self.loss["type"]
        classes = rng.randint(2, 7) if "ategorical" in kind or kind in ("klDivergence", "cosineSimilarity") else rng.randint(1, 4)
        activation = "linear"
        if "rossentropy" in kind:
            if rng.random() < 0.4:
                self.loss["options"]["fromLogits"] = True
            else:
                activation = "sigmoid" if kind == "binaryCrossentropy" else "softmax"
            if kind != "sparseCategoricalCrossentropy" and rng.random() < 0.3:
                self.loss["options"]["labelSmoothing"] = 0.1
        elif kind == "klDivergence":
            activation = "softmax"
        head = layers.dense(rng, classes, activation)
        self.output = self.call(head, [value])[0]
        self.classes = classes

    def weights(self):
        """All weights by formula; seeds count up over the calls' layers."""
        number = 0
        for layer in self.made:
            for weight in layer.weights:
                weight.assign(formula.values(1000 * self.number + number, tuple(weight.shape), 0.7).astype(np.float64))
                number += 1

    def target(self, shape):
        kind, seed = self.loss["type"], 1000 * self.number + 990
        if kind == "sparseCategoricalCrossentropy":
            array = formula.integers(seed, shape[:-1], 0, self.classes)
            return array, {"shape": list(array.shape), "ids": array.ravel().tolist()}
        array = formula.values(seed, shape, 1.0)
        if kind in ("categoricalCrossentropy", "klDivergence"):
            array = np.abs(array) + np.float32(0.05)
            array = (array / array.sum(-1, keepdims=True)).astype(np.float32)
        elif kind == "binaryCrossentropy":
            array = (array > 0).astype(np.float32)
        return array, {"shape": list(array.shape), "floats": encoded(array)}

    def metrics(self):
        rng, kind = self.rng, self.loss["type"]
        logits = {"fromLogits": True} if self.loss["options"].get("fromLogits") else {}
        choices = {
            "categoricalCrossentropy": [("accuracy", {}), ("topKCategoricalAccuracy", {"k": 2}), ("categoricalAccuracy", {}), ("categoricalCrossentropy", logits)],
            "sparseCategoricalCrossentropy": [("accuracy", {}), ("sparseTopKCategoricalAccuracy", {"k": 2}), ("sparseCategoricalAccuracy", {}), ("sparseCategoricalCrossentropy", logits)],
            "binaryCrossentropy": [("binaryAccuracy", {}), ("binaryCrossentropy", logits)],
            "meanSquaredError": [("meanSquaredError", {}), ("rootMeanSquaredError", {}), ("meanAbsoluteError", {})],
            "meanAbsoluteError": [("meanAbsoluteError", {}), ("meanSquaredError", {})],
            "klDivergence": [("klDivergence", {}), ("categoricalAccuracy", {})],
            "cosineSimilarity": [("cosineSimilarity", {}), ("meanSquaredError", {})],
        }[kind]
        if self.masked(self.output):
            # In Keras, masks have no part in it.
            choices = [choice for choice in choices if choice[0] != "rootMeanSquaredError"]
        return [{"type": name, "options": options} for name, options in rng.sample(choices, rng.randint(1, min(2, len(choices))))]

    def optimizer(self):
        rng = self.rng
        if rng.random() < 0.5:
            # The plain gradient: the weights after one step show it.
            return {"type": "sgd", "options": {"learningRate": 1.0}}
        kind = rng.choice(["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "nadam", "adafactor", "lion"])
        options = {"learningRate": rng.choice([0.003, 0.01, 0.03])}
        some = lambda **more: options.update({name: rng.choice(values) for name, values in more.items() if rng.random() < 0.5})
        match kind:
            case "sgd":
                some(momentum=[0.5, 0.9], nesterov=[True])
            case "rmsprop":
                some(rho=[0.8], momentum=[0.5], centered=[True])
            case "adam" | "adamw":
                some(beta1=[0.8], beta2=[0.99], amsgrad=[True])
            case "adagrad":
                some(initialAccumulatorValue=[0.0, 0.2])
            case "adadelta":
                options["learningRate"] = 1.0
                some(rho=[0.9])
            case "adamax" | "nadam" | "lion":
                some(beta1=[0.8], beta2=[0.99])
            case "adafactor":
                some(clipThreshold=[0.5], relativeStep=[False], beta2Decay=[-0.5])
        if rng.random() < 0.2:
            options["weightDecay"] = 0.02
        if rng.random() < 0.3:
            options[rng.choice(["clipnorm", "globalClipnorm", "clipvalue"])] = rng.choice([0.05, 0.3])
        if rng.random() < 0.15:
            options.update(useEma=True, emaMomentum=0.8)
        return {"type": kind, "options": options}

    def gradients(self, x, y, w):
        """Predictions and gradients of the loss by all weights."""
        trained = self.model.trainable_variables
        tensors = [torch.tensor(array) for array in (x if isinstance(x, list) else [x])]
        predicted = self.model(tensors if len(tensors) > 1 else tensors[0], training=True)
        loss = self.model.compute_loss(y=torch.tensor(y), y_pred=predicted, sample_weight=None if w is None else torch.tensor(w))
        self.model.zero_grad()
        loss.backward()
        found = [np.zeros(variable.shape) if variable.value.grad is None else variable.value.grad.numpy().copy() for variable in trained]
        self.model.zero_grad()
        return [predicted.detach().numpy(), *found]

    def sensitivity(self, x, y, w):
        """How much larger relative errors of predictions and gradients are than those of the weights."""
        trained = self.model.trainable_variables
        before = [variable.numpy().copy() for variable in trained]
        exact = self.gradients(x, y, w)
        for number, (variable, value) in enumerate(zip(trained, before)):
            variable.assign(value * (1 + DISTURBANCE * formula.values(7 + number, value.shape).astype(np.float64)))
        disturbed = self.gradients(x, y, w)
        for variable, value in zip(trained, before):
            variable.assign(value)
        errors = [np.abs(a - b).max() / max(np.abs(a).max(), 1e-2) for a, b in zip(exact, disturbed) if a.size > 0]
        return max(errors) / DISTURBANCE

    def run(self):
        rng, model = self.rng, self.model
        tensors = [torch.tensor(array.astype(np.float64) if array.dtype == np.float32 else array) for array in self.arrays]
        with torch.no_grad():
            prediction = model(tensors if len(tensors) > 1 else tensors[0], training=False)
        shape = tuple(prediction.shape)
        case = {"number": self.number, "inputs": self.inputs, "calls": self.calls, "output": self.output, "shape": list(shape), "prediction": encoded(prediction)}
        if self.explicit_mask and getattr(self.values[self.output], "_keras_mask", None) is None:
            return case
        target, case["target"] = self.target(shape)
        case["loss"], case["metrics"], case["optimizer"] = self.loss, self.metrics(), self.optimizer()
        weight = None
        # With four axes Keras multiplies weights of rows along the wrong one.
        if rng.random() < 0.35 and len(shape) < 4:
            weighted = shape[:2] if len(shape) == 3 and rng.random() < 0.5 else shape[:1]
            weight = np.abs(formula.values(1000 * self.number + 995, weighted, 2.0))
            case["sampleWeight"] = {"shape": list(weighted), "floats": encoded(weight)}
        model.compile(optimizer=make(case["optimizer"]), loss=make(case["loss"]), metrics=[metric(entry) for entry in case["metrics"]], jit_compile=False)
        x, y = (self.arrays if len(self.arrays) > 1 else self.arrays[0]), target
        as_double = lambda array: array.astype(np.float64) if array is not None and array.dtype == np.float32 else array
        x = [as_double(array) for array in x] if isinstance(x, list) else as_double(x)
        y, w = as_double(y), as_double(weight)
        # Weights of rows have all axes, or Keras multiplies them into the mask wrongly.
        if w is not None and len(shape) == 3 and w.ndim == 1:
            w = np.repeat(w[:, None], shape[1], 1)
        evaluated = model.evaluate(x, y, batch_size=2, sample_weight=w, verbose=0, return_dict=True)
        names = ["loss", *(entry if isinstance(entry, str) else entry.name for entry in map(metric, case["metrics"]))]
        case["evaluation"] = [float(f"{evaluated[name]:.8e}") for name in names]
        if self.sensitivity(x, y, w) > SENSITIVITY:
            raise ValueError("32-bit floats cannot tell")
        history = []
        for step in range(STEPS):
            model.reset_metrics()
            history.append(float(f"{float(model.train_on_batch(x, y, sample_weight=w, return_dict=True)['loss']):.8e}"))
            if step == 0 and case["optimizer"] == {"type": "sgd", "options": {"learningRate": 1.0}}:
                case["updated"] = [encoded(weight.value.detach()) for layer in self.made for weight in layer.weights]
        case["history"] = history
        return case


def finite(value):
    if isinstance(value, float):
        return np.isfinite(value)
    if isinstance(value, (list, tuple)):
        return all(map(finite, value))
    return all(map(finite, value.values())) if isinstance(value, dict) else True


def main():
    keras.config.set_floatx("float64")
    cases, number, dropped = [], 0, 0
    while len(cases) < COUNT:
        keras.utils.clear_session(free_memory=False)
        program = Program(number)
        number += 1
        try:
            program.build()
            case = program.run()
        except (ValueError, RuntimeError, NotImplementedError, IndexError, TypeError, AttributeError) as error:
            # What Keras itself refuses, such as a reshape that does not fit.
            dropped += 1
            if "-v" in sys.argv:
                print(number - 1, type(error).__name__, str(error)[:300].replace("\n", " "))
            continue
        if not finite(case) or not np.isfinite(np.frombuffer(base64.b64decode(case["prediction"]), "<f4")).all():
            dropped += 1
            continue
        cases.append(case)
    lines = "\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n"
    with open(os.path.join(HERE, "programs.jsonl.gz"), "wb") as file:
        file.write(gzip.compress(lines.encode(), 9, mtime=0))
    print(f"{len(cases)} cases, {dropped} refused by Keras, {os.path.getsize(os.path.join(HERE, 'programs.jsonl.gz')) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
