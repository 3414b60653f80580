"""XL-BEL end to end: this harness against the query-by-query procedure of SapBERT's evaluation, figures compared.

    python benchmarks/dense/end_to_end.py --kb open --output FOLDER [--model offline:e5-small] [--pooling mean]
        [--limit N] [--names N] [--storage fp32|fp16]

The procedure (`plugins/sapbert/tests/sapbert_oracle.py`, the oracle of the protocol): the names are encoded in fixed
order, padded to 25 tokens, in batches of 256; then each mention is encoded alone, multiplied with all names and
sorted. The names' encoding is timed on `--names` of them and scaled up, and their vectors are compared with
ours, which then serve as its dictionary (as stored: fp32 is SapBERT's, fp16 the default of runs); every mention is
searched for real, or the first `--limit` of each language.

Prints times and ratios, and for each language whether acc@1 and acc@5 are the same; mentions whose hit depends on how
an unstable sort orders (nearly) equal scores are counted and listed in FOLDER/end_to_end.json.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bioelx_bench import load_dataset
from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "sapbert" / "tests"))
LANGUAGES = ("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th")


def run_ours(options: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """One run of the harness in a process of its own: its result, and its wall time in seconds."""
    program = str(Path(sys.executable).with_name("bioelx-bench"))
    command = [
        *(program, "run", "--dataset", "xl-bel", "--kb", options.kb, "--json"),
        *("--protocol", "sapbert", "--retriever", "sapbert", "--ranker", "none", "--fresh"),
        *("--output", str(options.output / "runs"), "-R", f"model={options.model}"),
        *("-R", f"pooling={options.pooling}", "-R", "dtype=fp32", "-R", f"storage={options.storage}"),
    ]
    if options.limit:
        command += ["--limit", str(options.limit)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout), time.perf_counter() - start


def our_vectors(options: argparse.Namespace, environment: Environment, kb: Any) -> Any:
    """The cached vectors, as fp32, of every name row, in the order of rows."""
    from bioelx_bench_sapbert.model_files import locate_model
    from bioelx_bench_sapbert.name_strings import group_names
    from bioelx_bench_sapbert.name_vectors import NameEncoding, embed_names
    from bioelx_bench_sapbert.options import SapBertOptions

    settings = SapBertOptions(
        model=options.model, pooling=options.pooling, dtype="fp32", storage=options.storage
    )
    strings = group_names(kb, True)
    encoding = NameEncoding(settings, locate_model(options.model, environment), options.storage)
    vectors = embed_names(kb, strings, encoding, environment).matrix()
    rows = np.empty((kb.name_count, vectors.shape[1]), np.float32)
    for string, vector in enumerate(vectors):
        rows[strings.rows[strings.offsets[string] : strings.offsets[string + 1]]] = vector
    return rows


def plain_names(plain: Any, kb: Any, count: int) -> tuple[list[int], Any, float]:
    """Encode a sample of the names plainly: their rows and vectors, and seconds for all names at that rate."""
    rows = sorted(random.Random(0).sample(range(kb.name_count), min(count, kb.name_count)))
    texts = [kb.name_text(row).lower() for row in rows]
    plain.encode(texts[:64])
    start = time.perf_counter()
    vectors = plain.encode(texts)
    return rows, vectors, (time.perf_counter() - start) * kb.name_count / len(rows)


def compare(language: str, accuracy: Any, rows: Any, scores: dict[str, Any]) -> dict[str, Any]:
    """Both figures of a language, and the mentions that ties leave open."""
    found = {}
    for k in (1, 5):
        ours = scores[language]["retrieval"]["figures"][f"recall@{k}"]
        low, high = accuracy.bounds(k)
        found[f"acc@{k}"] = {
            "same": low - 1e-9 <= ours <= high + 1e-9,
            "ours": ours,
            "theirs_at_least": low,
            "theirs_at_most": high,
            "left_open_by_ties": [rows[i]["id"] for i in accuracy.open[k]],
        }
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kb", default="open")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="offline:e5-small")
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--storage", choices=("fp32", "fp16"), default="fp32")
    parser.add_argument("--names", type=int, default=2000)
    return parser.parse_args()


def main() -> None:
    """Run both and compare."""
    from bioelx_bench_sapbert.model_files import locate_model
    from sapbert_oracle import PlainEncoder, evaluate

    options = arguments()
    environment = Environment(
        cache=Cache(default_cache_folder()), plugins=load_plugins(), progress=Progress(enabled=False)
    )
    kb = open_knowledge_base(options.kb, environment)
    first, first_seconds = run_ours(options)
    again, again_seconds = run_ours(options)
    vectors = our_vectors(options, environment, kb)
    plain = PlainEncoder(locate_model(options.model, environment, None).folder, options.pooling)
    sample, sample_vectors, names_seconds = plain_names(plain, kb, options.names)
    dictionary = {
        kb.concept_id(row): np.arange(kb.name_offsets[row], kb.name_offsets[row + 1])
        for row in range(len(kb))
    }
    languages = {}
    mentions_seconds = 0.0
    for language in LANGUAGES:
        rows = load_dataset("xl-bel", subset=language)
        rows = rows.select(range(options.limit)) if options.limit else rows
        queries = [(row["mention"], "|".join(row["gold"])) for row in rows]
        accuracy = evaluate(plain, dictionary, vectors, queries)
        mentions_seconds += accuracy.seconds
        languages[language] = compare(language, accuracy, rows, again["scores"])
        print(language, json.dumps(languages[language]), flush=True)
    figures = [figure for language in languages.values() for figure in language.values()]
    summary = {
        "same_figures": all(figure["same"] for figure in figures),
        "left_open_by_ties": sum(len(figure["left_open_by_ties"]) for figure in figures),
        "first_run_scores_equal_second": first["scores"] == again["scores"],
        "names_compared": len(sample),
        "names_greatest_difference": float(np.abs(sample_vectors - vectors[sample]).max()),
        "seconds": {
            "ours_first_run": first_seconds,
            "ours_second_run": again_seconds,
            "theirs_names_scaled_up": names_seconds,
            "theirs_mentions": mentions_seconds,
        },
        "ratio_first_run": (names_seconds + mentions_seconds) / first_seconds,
        "ratio_second_run": (names_seconds + mentions_seconds) / again_seconds,
        "ratio_mentions_only": mentions_seconds / again_seconds,
    }
    (options.output / "end_to_end.json").write_text(json.dumps({**summary, "languages": languages}, indent=1))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
