"""Sentence pairs in Parquet files as pyarrow writes them; see ../README.md. Needs pyarrow."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
count = 2000
en = [f"sentence {index}" for index in range(count)]
zh = [f"句子 {index % 7} {index}" for index in range(count)]
en[3], zh[5], zh[6] = None, "", "  "
plain = pa.table({"id": range(count), "en": en, "zh": zh})
groups = {"row_group_size": 600}

for codec in ("none", "snappy", "gzip", "brotli", "zstd"):
    pq.write_table(plain, here / f"{codec}.parquet", compression=codec, **groups)
pq.write_table(plain, here / "version1.parquet", version="1.0", data_page_version="1.0", use_dictionary=False, compression="gzip", **groups)
pq.write_table(plain, here / "pages2.parquet", data_page_version="2.0", data_page_size=500, use_dictionary=False, compression="gzip", **groups)
nested = pa.table({"translation": [{"en": first, "zh": second} for first, second in zip(en, zh)]})
pq.write_table(nested, here / "nested.parquet", **groups)
pq.write_table(pa.table({"en": pa.array(["a", "b"]).dictionary_encode(), "zh": pa.array(["c", "d"], pa.large_string())}), here / "types.parquet")
pq.write_table(pa.table({"en": pa.array([], pa.string()), "zh": pa.array([], pa.string())}), here / "empty.parquet")
pq.write_table(pa.table({"en": pa.array([b"a", b"\xff\xfe"], pa.binary()), "zh": pa.array(["c", "d"])}), here / "binary.parquet")
