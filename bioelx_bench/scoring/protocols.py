"""Scoring protocols: named bundles of policies, recorded with every result."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.records import Mention, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringProtocol:
    """How candidates are counted.

    Attributes:
        name: What the user types.
        summary: One line.
        unit: What takes a place in the candidate list: a distinct concept or a name row.
        match: `any`: one gold concept suffices; `all`: all must be among the first k.
        split: Whether a mention is split on `+` and `|` into parts that must all hit.
        split_gold: Whether `+` and `|` stand between gold ids of which any counts, as in SapBERT's evaluation.
        nil: What becomes of mentions whose gold is in no knowledge base: `count` keeps them in the denominator
            as misses, `skip` leaves them out of it (coverage is reported either way).
        retired: `map`: a gold concept that the knowledge base's release retired counts as its successors (where
            the knowledge base knows them); `keep`: it stays as the dataset gives it.
        ranked: Whether a ranker may reorder the candidates.
    """

    name: str
    summary: str
    unit: Unit = "concept"
    match: Literal["any", "all"] = "any"
    split: bool = False
    split_gold: bool = False
    nil: Literal["count", "skip"] = "count"
    retired: Literal["map", "keep"] = "map"
    ranked: bool = True

    def describe(self) -> dict[str, Any]:
        """The form in which a result records it."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "summary"}


PROTOCOLS: Final[Mapping[str, ScoringProtocol]] = {
    p.name: p
    for p in (
        ScoringProtocol(
            name="bioelx", summary="distinct concepts, any gold concept counts, every mention counts"
        ),
        ScoringProtocol(
            name="sapbert",
            summary="SapBERT's XL-BEL evaluation: name rows, mentions split on + and |, every mention counts",
            unit="name",
            split=True,
            split_gold=True,
            retired="keep",
            ranked=False,
        ),
        ScoringProtocol(
            name="sapbert-fast",
            summary="SapBERT's evaluation of MedMentions and COMETA: name rows, no splitting",
            unit="name",
            split_gold=True,
            retired="keep",
            ranked=False,
        ),
    )
}


def find_protocol(name: str, changes: Mapping[str, str]) -> ScoringProtocol:
    """A named protocol, with single policies changed.

    Args:
        name: A key of `PROTOCOLS`.
        changes: Policy names (`match`, `nil`, `retired`) and their values; the changed protocol's name says so.

    Raises:
        UsageError: Unknown protocol, policy or value.
    """
    if name not in PROTOCOLS:
        raise UsageError(
            f"unknown protocol {name!r}{did_you_mean(name, list(PROTOCOLS))}", where="--protocol"
        )
    allowed = {"match": ("any", "all"), "nil": ("count", "skip"), "retired": ("map", "keep")}
    for key, value in changes.items():
        if key not in allowed:
            raise UsageError(f"unknown policy {key!r}{did_you_mean(key, list(allowed))}", where="--policy")
        if value not in allowed[key]:
            raise UsageError(
                f"{key} must be one of {', '.join(allowed[key])}", where=f"--policy {key}={value}"
            )
    protocol = PROTOCOLS[name]
    changed = {k: v for k, v in changes.items() if getattr(protocol, k) != v}
    if not changed:
        return protocol
    suffix = ",".join(f"{k}={v}" for k, v in sorted(changed.items()))
    policies: dict[str, Any] = dict(changed)
    return dataclasses.replace(protocol, name=f"{protocol.name}[{suffix}]", **policies)


PART_MARK: Final = "#"


def part_ids(mention: Mention, protocol: ScoringProtocol) -> list[str]:
    """The ids of what `sub_mentions` gives."""
    if not protocol.split or ("+" not in mention.text and "|" not in mention.text):
        return [mention.id]
    return [part.id for part in sub_mentions(mention, protocol)]


def sub_mentions(mention: Mention, protocol: ScoringProtocol) -> Iterator[Mention]:
    """The mentions to search for one mention: itself, or its parts under a protocol that splits.

    A part's id is the mention's id with `#` and the part's number. An empty part is a part all the same, as
    in SapBERT's evaluation (cambridgeltl/sapbert, `evaluation/xl_bel`: the mention is split on `+` and `|`).
    """
    parts = re.split(r"[+|]", mention.text) if protocol.split else [mention.text]
    if len(parts) == 1:
        yield mention
        return
    for number, part in enumerate(parts):
        yield dataclasses.replace(mention, id=f"{mention.id}{PART_MARK}{number}", text=part)
