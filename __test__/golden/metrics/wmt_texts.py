"""Tables of texts of WMT: a column for each system and reference."""

import gzip
import sys
from pathlib import Path

folder = Path(sys.argv[1]) / "conformance"


def columns(path):
    with gzip.open(folder / path, "rt", encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return dict(zip(rows[0], map(list, zip(*rows[1:]))))
