"""The other end of bench/worker.ts: answers requests, one JSON object a line; and what the peers share."""

import json
import os
import sys

import numpy as np


def memory(field):
    """A field of /proc/self/status in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))


class CaseFile:
    """Arrays of a file that bench/lstm-step-cases.ts wrote."""

    def __init__(self, path):
        self._bytes = np.memmap(path, np.uint8, "r")

    def read(self, place, dtype):
        size = int(np.prod(place["shape"])) * 4
        flat = self._bytes[place["offset"] : place["offset"] + size]
        return np.array(flat.view(dtype).reshape(place["shape"]))


def serve(commands):
    """commands: functions by name that take the request and return the answer."""
    # Libraries print too: only answers go to the real standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = commands[request["command"]](request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
