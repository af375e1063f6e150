"""Packs the dictionary of jieba (MIT): writes dictionary.gz from dict.txt of the crate jieba-rs.

    python dictionary.py ~/.cargo/registry/src/*/jieba-rs-0.11.0/src/data/dict.txt

Words come in the order of code points, each as how many of its first characters the word before has too (a character from `0` on), and the rest;
after an empty line come their counts. Parts of speech are left out.
"""

import gzip
import sys
from pathlib import Path

entries = sorted(line.split(" ")[:2] for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines() if line)
lines, before = [], ""
for word, _ in entries:
    shared = 0
    while shared < min(len(word), len(before), 78) and word[shared] == before[shared]:
        shared += 1
    lines.append(chr(ord("0") + shared) + word[shared:])
    before = word
text = "\n".join(lines) + "\n\n" + "\n".join(count for _, count in entries) + "\n"
packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
Path(__file__).with_name("dictionary.gz").write_bytes(packed)
print(f"{len(entries)} words, {len(text.encode())} bytes, packed {len(packed)}")
