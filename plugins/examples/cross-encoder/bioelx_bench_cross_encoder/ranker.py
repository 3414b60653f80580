"""Pairs of the mention in its context and a candidate's names, scored by a CrossEncoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.errors import MissingError
from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.models import resolve_model
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench_cross_encoder.options import CrossEncoderOptions

MENTIONS: Final = 64
"""Mentions whose pairs are scored in one call."""

DECIMALS: Final = 4
"""Evidence is rounded to what does not depend on the shape of a batch."""


class CrossEncoderRanker(BaseRanker):
    """Ranks by a CrossEncoder's score, which is the evidence as well."""

    def __init__(self, options: CrossEncoderOptions, environment: Environment) -> None:
        from sentence_transformers import CrossEncoder
        from torch import nn

        self._options = options
        self._kb = environment.kb
        folder = resolve_model(options.model, environment)
        if folder is None and environment.offline:
            raise MissingError(
                f"the model {options.model!r} would have to be downloaded",
                where="-K model=",
                why="--offline allows no connection",
                hint="give the folder of a model, or run once without --offline",
            )
        # logits rather than probabilities: evidence is mixed with retrievers' scores on a scale without ends
        self._model = CrossEncoder(
            str(folder or options.model),
            revision=options.revision,
            device=options.device,
            activation_fn=nn.Identity(),
            num_labels=1,
        )
        if folder is None:
            self.model_revision = options.revision
        else:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            self.model_revision = hash_json({str(p.relative_to(folder)): hash_file(p) for p in files})

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """Rank one mention's candidates."""
        return next(self.rank_many([(mention, candidates)]))

    def rank_many(self, items: Iterable[tuple[Mention, Sequence[Candidate]]]) -> Iterator[Ranking]:
        """Rank many mentions, the pairs of several in one batch."""
        pending = iter(items)
        while block := list(islice(pending, MENTIONS)):
            pairs = [(self.context(m), self.names(c)) for m, candidates in block for c in candidates]
            scores: list[float] = []
            if pairs:
                found = self._model.predict(pairs, batch_size=self._options.batch, show_progress_bar=False)
                scores = np.round(np.asarray(found, np.float64).reshape(len(pairs)), DECIMALS).tolist()
            start = 0
            for mention, candidates in block:
                own = scores[start : start + len(candidates)]
                start += len(candidates)
                order = sorted(range(len(own)), key=lambda place, own=own: -own[place])  # type: ignore[misc]
                yield Ranking(
                    mention.id,
                    tuple(candidates[place] for place in order),
                    evidence=tuple(own[place] for place in order),
                )

    def context(self, mention: Mention) -> str:
        """The mention, marked in what stands around it."""
        text, window = mention.document.text, self._options.window
        if not (mention.spans and window):
            return clean(mention.text)
        start, end = mention.spans[0].start, mention.spans[-1].end
        before, after = text[max(start - window, 0) : start], text[end : end + window]
        return clean(f"{before}[{text[start:end]}]{after}")

    def names(self, candidate: Candidate) -> str:
        """The candidate's best name, and others of the concept."""
        others: list[str] = []
        if self._kb is not None and candidate.concept_id in self._kb:
            names = self._kb.concept(candidate.concept_id).names
            others = [name.text for name in names if name.text != candidate.name][: self._options.aliases]
        return clean(" | ".join([candidate.name, *others]))


def clean(text: str) -> str:
    """Text as tokenizers take it: bounded, without surrogates that stand alone."""
    return text[:2000].encode("utf-8", "replace").decode("utf-8")
