"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import RetrieverSpec


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """Declare `char-ngram`."""
    return [
        RetrieverSpec(
            name="char-ngram",
            summary="TF-IDF over character n-grams, cosine (scikit-learn)",
            factory="bioelx_bench_char_ngram.retriever:CharNgram",
            options="bioelx_bench_char_ngram.options:CharNgramOptions",
            units=("concept", "name"),
        )
    ]
