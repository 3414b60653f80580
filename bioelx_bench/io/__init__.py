"""Readers of other people's files, one of each kind: nothing in a file is trusted.

- `bioelx_bench.io.archives`: decompressing (gzip, bzip2, xz, by content and not by name) and zip archives, within
  limits; the one guard against archive bombs and paths that lead outside;
- `bioelx_bench.io.text`: decoding (UTF-8, byte order marks, UTF-16), web pages recognised, lines with numbers;
- `bioelx_bench.io.json_documents`: JSON, one document a line or all in one array;
- `bioelx_bench.io.tables`: rows of CSV, TSV, `id||name` dictionaries, JSON lines and Parquet, each with its place.
"""
