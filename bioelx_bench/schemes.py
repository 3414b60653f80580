"""Id schemes of concepts, and the one step that brings ids from datasets and tables into a scheme's canonical form.

Concept ids are opaque strings everywhere else. A knowledge base and a dataset each declare the scheme of theirs:
one of `SCHEMES`, or a regular expression of the user's own. `normalise_ids` is for whatever a data set or a
table holds in its id column; it never raises, and counts what it changed.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Final

from bioelx_bench.errors import UsageError

MISSING: Final = frozenset(
    {"", "-", "-1", "-1.0", "cui-less", "cuiless", "cui_less", "none", "null", "nan", "nil", "n/a", "<na>"}
)
"""What people write where there is no concept, in lower case."""

SEPARATORS: Final = re.compile(r"\s*[,;|+/\s]\s*")
PREFIXED: Final = re.compile(r"([A-Za-z][A-Za-z0-9 ._-]*?)\s*:\s*(\S.*)", re.DOTALL)
OBO_STYLE: Final = re.compile(r"([A-Za-z]+)_([0-9A-Za-z]+)")
URL: Final = re.compile(r"<?https?://\S*[/#=]([^\s/#=>]+)/?>?", re.IGNORECASE)
FLOAT: Final = re.compile(r"([0-9]+)\.0+")
PLAIN_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*[0-9]*")


@dataclass(frozen=True, slots=True)
class IdScheme:
    """How the ids of one vocabulary are written.

    Attributes:
        name: Such as `umls`; for a user's scheme the pattern itself.
        pattern: What an id in canonical form matches, from its first to its last character.
        prefixes: Prefixes before a `:` under which the ids are written elsewhere, in lower case.
        keeps: The prefix, with its `:`, that belongs to the canonical form (`MONDO:`); empty where there is none.
        upper: Whether letters are upper case in canonical form; False leaves them as they are.
    """

    name: str
    pattern: str
    prefixes: tuple[str, ...] = ()
    keeps: str = ""
    upper: bool = True
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.pattern))

    @property
    def opaque(self) -> bool:
        """Whether any text is an id, so that nothing may be taken off it."""
        return self.name == ANY

    def matches(self, identifier: str) -> bool:
        """Whether an id is in canonical form."""
        return self._compiled.fullmatch(identifier) is not None

    def canonical(self, text: str) -> str | None:
        """The canonical form of one id, or None where the text is no id of this scheme.

        Prefixes (`UMLS:`, `MESH:`, ...), the address of an id's page, blanks, invisible characters, lower case and
        the `.0` of ids read as floating-point numbers are taken for what they are.
        """
        identifier = clean(text)
        if self.matches(identifier):
            return identifier
        if self.opaque:
            return None
        if address := URL.fullmatch(identifier):
            identifier = address[1]
        for found in self._variants(identifier):
            if self.matches(found):
                return found
        return None

    def _variants(self, identifier: str) -> Iterable[str]:
        """Readings of an id, the most literal first."""
        bare = identifier
        for split in (PREFIXED.fullmatch(identifier), OBO_STYLE.fullmatch(identifier)):
            if split is not None and split[1].lower().replace(" ", "_") in self.prefixes:
                bare = split[2].strip()
                break
        if number := FLOAT.fullmatch(bare):
            yield self.keeps + number[1]
        cased = bare.upper() if self.upper else bare
        yield self.keeps + cased
        yield cased
        if self.name == "icd10":
            code = cased.rstrip("+*†")
            yield code
            yield f"{code[:3]}.{code[3:]}"


ANY: Final = "any"
UMLS: Final = IdScheme("umls", r"C[0-9]{7}", ("umls", "umls_cui", "umlscui", "cui"))
SCHEMES: Final = {
    scheme.name: scheme
    for scheme in (
        UMLS,
        IdScheme("mesh", r"[CD][0-9]{6}([0-9]{3})?", ("mesh", "msh", "mesh_id")),
        IdScheme("mondo", r"MONDO:[0-9]{7}", ("mondo",), keeps="MONDO:"),
        IdScheme("snomed", r"[1-9][0-9]{5,17}", ("snomed", "snomedct", "snomedct_us", "snomed_ct", "sctid")),
        IdScheme(
            "icd10", r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?", ("icd10", "icd10cm", "icd-10", "icd10_cm")
        ),
        IdScheme("doid", r"DOID:[0-9]{1,7}", ("doid", "do"), keeps="DOID:"),
        IdScheme("hpo", r"HP:[0-9]{7}", ("hp", "hpo"), keeps="HP:"),
        IdScheme("wikidata", r"Q[1-9][0-9]*", ("wikidata", "wd")),
        IdScheme("omim", r"[0-9]{6}", ("omim", "mim", "omimps")),
        IdScheme("ncit", r"C[0-9]{2,6}", ("ncit", "nci", "ncit_code")),
        IdScheme("orphanet", r"[1-9][0-9]{0,5}", ("orphanet", "orpha", "ordo")),
        IdScheme(ANY, r"[^\x00-\x20\x7f|]([^\x00-\x1f\x7f|]*[^\x00-\x20\x7f|])?", upper=False),
    )
}
"""Schemes that are known by name. `any` takes every text without `|` and control characters as it stands."""


def find_scheme(name_or_pattern: str, where: str = "--ids") -> IdScheme:
    """A known scheme, or one whose ids match a regular expression.

    Args:
        name_or_pattern: One of `SCHEMES`, or a pattern such as `TOY:[0-9]{7}`.
        where: The option or field it was given in, for errors.

    Raises:
        UsageError: It is a plain word that names no scheme, or not a regular expression.
    """
    if known := SCHEMES.get(name_or_pattern.lower()):
        return known
    hint = f"one of {', '.join(SCHEMES)}, or a regular expression such as 'TOY:[0-9]{{7}}'"
    if not name_or_pattern or PLAIN_WORD.fullmatch(name_or_pattern):
        raise UsageError(f"unknown id scheme {name_or_pattern!r}", where=where, hint=hint)
    try:
        return IdScheme(name_or_pattern, name_or_pattern, upper=False)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{name_or_pattern!r} is no regular expression", where=where, why=str(error), hint=hint
        ) from error


def schemes_of(identifier: str) -> list[str]:
    """Names of the schemes of which an id is one as it stands or by its prefix, for messages; `any` is left out.

    An id without letters fits several schemes; one with a known prefix fits the scheme of the prefix alone.
    """
    text = clean(identifier)
    if prefixed := PREFIXED.fullmatch(text):
        prefix = prefixed[1].lower().replace(" ", "_")
        return [s.name for s in SCHEMES.values() if prefix in s.prefixes and s.canonical(text)]
    return [s.name for s in SCHEMES.values() if not s.opaque and s.matches(text.upper())]


def normalise_ids(value: Any, scheme: IdScheme, counts: Counter[str]) -> tuple[str, ...]:
    """Ids in canonical form from whatever a dataset or table holds where its ids stand.

    Joined ids are split at `,` `;` `|` `+` `/` and spaces where every piece is an id of the scheme, has another
    scheme's known prefix, or says that there is none; otherwise only at `|`. An opaque id with a `/` stays whole.
    An id that is none of the scheme stays as it is written.

    Args:
        value: A text, a number, a list of either, a JSON list as text, None or NaN.
        scheme: The scheme that the dataset or table declares.
        counts: Gets, for each kind, how many were met: `id_missing` (blank, `-1`, `CUI-less`, `null`, `nan`, ...),
            `ids_joined` (values that were split), `id_rewritten` (prefix, case, blanks, `.0`), `id_list_text`,
            `id_repeated`, `id_not_of_scheme` (kept).

    Returns:
        The distinct ids in the order given; empty where there is none.
    """
    found: dict[str, None] = {}
    for text in texts_of(value, counts):
        pieces = split_ids(text, scheme)
        counts["ids_joined"] += len(pieces) > 1
        for piece in pieces:
            identifier = one_id(piece, scheme, counts)
            if identifier is None:
                continue
            counts["id_repeated"] += identifier in found
            found[identifier] = None
    return tuple(found)


def split_ids(text: str, scheme: IdScheme) -> list[str]:
    """The pieces of joined ids, as they are written; see `normalise_ids` for where they are split."""
    whole = clean(text)
    if is_missing(whole) or (not scheme.opaque and scheme.canonical(whole) is not None):
        return [whole]
    pieces = [p for p in SEPARATORS.split(re.sub(r"(?<=[A-Za-z]):\s+", ":", whole)) if p]
    if len(pieces) > 1 and all(is_id(piece, scheme) for piece in pieces):
        return pieces
    return [piece.strip() for piece in whole.split("|")]


def is_id(piece: str, scheme: IdScheme) -> bool:
    """Whether a piece of joined ids can only be an id: of the scheme, with a known prefix, or one that is none."""
    if is_missing(piece) or (not scheme.opaque and scheme.canonical(piece) is not None):
        return True
    return PREFIXED.fullmatch(piece) is not None and bool(schemes_of(piece))


def is_missing(text: str) -> bool:
    """Whether a text says that there is no concept, with or without a prefix (`MESH:-1`)."""
    lower = text.lower()
    if lower in MISSING:
        return True
    prefix, colon, rest = lower.partition(":")
    return (
        bool(colon)
        and rest.strip() in MISSING
        and any(prefix.strip() in s.prefixes for s in SCHEMES.values())
    )


def one_id(piece: str, scheme: IdScheme, counts: Counter[str]) -> str | None:
    """One id in canonical form, or as it is written where it is none of the scheme; None where it says none."""
    text = clean(piece)
    if is_missing(text):
        counts["id_missing"] += 1
        return None
    identifier = scheme.canonical(text)
    if identifier is None:
        counts["id_not_of_scheme"] += 1
        return text
    counts["id_rewritten"] += identifier != piece
    return identifier


def texts_of(value: Any, counts: Counter[str], depth: int = 0) -> list[str]:
    """The texts that a value holds: its own, its items', or those of the list that its text is."""
    if value is None or (isinstance(value, Real) and not isinstance(value, Integral) and math.isnan(value)):
        counts["id_missing"] += 1
        return []
    if isinstance(value, (list, tuple)) and depth < 3:
        if not value:
            counts["id_missing"] += 1
        return [text for item in value for text in texts_of(item, counts, depth + 1)]
    text = str(value)
    items = list_text(text) if depth == 0 and text.lstrip()[:1] == "[" else None
    if items is None:
        return [text]
    counts["id_list_text"] += 1
    return texts_of(items, counts, depth + 1)


def list_text(text: str) -> list[Any] | None:
    """The items of a list written as text, in JSON or as Python prints it; None where it is no list of texts."""
    stripped = text.strip()
    for candidate in (stripped, stripped.replace("'", '"')):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, list) and all(isinstance(item, str | int | float | None) for item in found):
            return found
    bare = re.fullmatch(r"\[([^\[\]{}\"]*)\]", stripped)
    return [item.strip(" '") for item in bare[1].split(",")] if bare else None


def clean(text: str) -> str:
    """A text without outer blanks and invisible characters; characters of other widths in their plain form."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return text.strip()
