"""What Keras' TensorBoard callback writes with TensorFlow, for given losses: each event without the time that it begins with."""

import json
import os
import struct
import tempfile
from types import SimpleNamespace

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCHS, STEPS, ACCURACY = 2, 5, 0.5
LOSSES = [[4, 2, 3, 1.5, 2], [1, 1.25, 0.75, 1, 0.5]]
VALIDATION = [2.5, 1.125]


def events(folder):
    """The records of the only file in a folder; the first one says the version."""
    (name,) = os.listdir(folder)
    with open(os.path.join(folder, name), "rb") as file:
        content = file.read()
    found, place = [], 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        found.append(content[place + 12 : place + 12 + length][9:].hex())
        place += 16 + length
    return found[1:]


def run(update_freq):
    with tempfile.TemporaryDirectory() as folder:
        callback = keras.callbacks.TensorBoard(folder, update_freq=update_freq, write_graph=False)
        optimizer = keras.optimizers.SGD(0.01)
        callback.set_model(SimpleNamespace(optimizer=optimizer, stop_training=False))
        callback.on_train_begin()
        for epoch in range(EPOCHS):
            callback.on_epoch_begin(epoch)
            for step in range(STEPS):
                callback.on_train_batch_begin(step)
                optimizer.iterations.assign_add(1)
                so_far = LOSSES[epoch][: step + 1]
                logs = {"loss": sum(so_far) / len(so_far), "accuracy": ACCURACY}
                callback.on_train_batch_end(step, dict(logs))
            validation = {"loss": VALIDATION[epoch], "accuracy": ACCURACY}
            callback.on_test_begin()
            callback.on_test_batch_begin(0)
            callback.on_test_batch_end(0, dict(validation))
            callback.on_test_end(dict(validation))
            logs.update({f"val_{name}": value for name, value in validation.items()})
            callback.on_epoch_end(epoch, logs)
        callback.on_train_end()
        return {name: events(os.path.join(folder, name)) for name in ("train", "validation")}


if __name__ == "__main__":
    document = {
        "losses": LOSSES,
        "validation": VALIDATION,
        "runs": [{"updateFreq": freq, **run(freq)} for freq in ("epoch", "batch", 3)],
    }
    with open(os.path.join(HERE, "tensor-board.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
