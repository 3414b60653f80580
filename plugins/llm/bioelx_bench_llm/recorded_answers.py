"""Recorded answers: a run's answers in one small file, from which anyone computes the run again without a model.

The file is JSON lines in gzip: a header, then one line a question, in order of their hashes. A line holds the
question's hash (the first 16 bytes of `Request.question_hash`, in base64) and what the strategy reads of the
answer, with log-probabilities to three decimals. It holds no text of a prompt, no address and no key.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.files import atomic_path
from bioelx_bench_llm.answer_cache import Answer, Position

FORMAT: Final = "bioelx-bench answers 1"
HASH_BYTES: Final = 16
DECIMALS: Final = 3
MAX_UNPACKED_BYTES: Final = 500_000_000
"""A million answers are below a fifth of it."""


def short_key(key: str) -> str:
    """A question's hash as the file writes it."""
    return base64.b64encode(bytes.fromhex(key)[:HASH_BYTES]).decode().rstrip("=")


def encode(answer: Answer) -> dict[str, Any]:
    """What a line says of an answer, beside its hash."""
    value: dict[str, Any] = {}
    if answer.text:
        value["t"] = answer.text
    if answer.positions is not None:
        value["p"] = [
            [p.token, rounded(p.logprob), *(item for t, v in p.alternatives for item in (t, rounded(v)))]
            for p in answer.positions
        ]
    if answer.scores is not None:
        value["s"] = [[i, round(s, 5)] for i, s in answer.scores]
    if answer.finish_reason not in {"", "stop"}:
        value["f"] = answer.finish_reason
    if answer.prompt_tokens or answer.completion_tokens:
        value["n"] = [answer.prompt_tokens, answer.completion_tokens]
    return value


def decode(value: Mapping[str, Any]) -> Answer:
    """Read what `encode` wrote.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: It is something else.
    """
    positions = scores = None
    if "p" in value:
        positions = tuple(
            Position(
                str(t),
                float(v),
                tuple((str(a), float(b)) for a, b in zip(rest[::2], rest[1::2], strict=True)),
            )
            for t, v, *rest in value["p"]
        )
    if "s" in value:
        scores = tuple((int(i), float(s)) for i, s in value["s"])
    prompt, completion = value.get("n", (0, 0))
    return Answer(
        text=str(value.get("t", "")),
        positions=positions,
        scores=scores,
        prompt_tokens=int(prompt),
        completion_tokens=int(completion),
        finish_reason=str(value.get("f", "stop")),
        cost_usd=0.0,
    )


def rounded(value: float) -> float:
    """A log-probability as it is written; zero without a sign."""
    return round(value, DECIMALS) + 0.0


def write_recorded(
    path: Path, answers: Mapping[str, Answer], compact: Callable[[Answer], Answer], facts: Mapping[str, Any]
) -> None:
    """Write answers; the same ones give the same file, byte for byte.

    Args:
        path: The file, usually `NAME.jsonl.gz`.
        answers: Answers by `Request.question_hash`.
        compact: Reduces an answer to what its strategy reads.
        facts: What the header says beside the format: model, strategy and other JSON values.
    """
    lines = [
        json.dumps({"format": FORMAT, **facts, "answers": len(answers)}, ensure_ascii=False, sort_keys=True)
    ]
    for key, answer in sorted((short_key(key), answer) for key, answer in answers.items()):
        value = {"k": key, **encode(compact(answer))}
        lines.append(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0, filename="") as packed:
        packed.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
    with atomic_path(path) as part:
        part.write_bytes(buffer.getvalue())


class RecordedAnswers:
    """Answers that are replayed from a file; nothing is added to it.

    Args:
        path: A file that `write_recorded` wrote.

    Raises:
        MissingError: It is not there.
        DataError: It is something else, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}
        self._answers: dict[str, Answer] = {}
        if not path.is_file():
            raise MissingError(
                f"there is no file of recorded answers {path}",
                where="-K replay",
                hint="bioelx-bench answers export RUN --output FILE writes one",
            )
        for number, line in enumerate(read_lines(path), 1):
            try:
                value = orjson.loads(line)
                if number == 1:
                    if value["format"] != FORMAT:
                        raise ValueError(f"the format is not {FORMAT!r}")
                    self.facts = value
                else:
                    self._answers[str(value["k"])] = decode(value)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise DataError(
                    "the file does not hold recorded answers of this version",
                    where=at(path, number),
                    why=str(error),
                ) from error

    @property
    def revision(self) -> str | None:
        """The revision of the model that answered."""
        found = self.facts.get("model_revision")
        return None if found is None else str(found)

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        return {key: self._answers[short] for key in keys if (short := short_key(key)) in self._answers}

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Nothing is kept: what was published stays as it is."""

    def close(self) -> None:
        """Nothing is open."""


def read_lines(path: Path) -> Iterable[bytes]:
    """The lines of a packed file, which may unpack to no more than `MAX_UNPACKED_BYTES`."""
    size = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(MAX_UNPACKED_BYTES):
                size += len(line)
                if size > MAX_UNPACKED_BYTES:
                    raise DataError("the file unpacks to more than recorded answers can be", where=path)
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("the file of recorded answers cannot be read", where=path, why=str(error)) from error
