"""XL-BEL (Liu et al., ACL 2021): 1,000 Wikipedia mentions in each of ten languages, shipped in the package.

Upstream files are kept byte for byte (compressed) under `resources/xl_bel`; `sources` says where they come
from and what their hashes are. Revision `v1.0` has `CUI||mention||context` lines, the mention
between `<tgt>` and `</tgt>`; `v0.0` has `CUI||mention` only. The two list their rows in different orders, and
their English parts are different queries, so `xl-bel/de/0017` is the 18th line of the file of the revision
that is read.
"""

from __future__ import annotations

import hashlib
import lzma
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.sources import on_github
from bioelx_bench.datasets.text import split_fields
from bioelx_bench.declarations import CardText, DatasetSpec, Source
from bioelx_bench.errors import DataError, at
from bioelx_bench.io.text import decode, numbered_lines
from bioelx_bench.records import Document, LabelledMention, Span

LANGUAGES: Final = ("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th")
REPOSITORY: Final = ("cambridgeltl/sapbert", "1a528f66d277d91f99b6463b43ce5309a9279506")
FILE_LIMIT: Final = 16 << 20
OPEN, CLOSE = "<tgt>", "</tgt>"

SHA256: Final[Mapping[str, Mapping[str, str]]] = {
    "v0.0": {
        "en": "309efbf026baf32f556aea99e81d68994c04fb1032a24e80fb25ec94923e653b",
        "es": "7070d8a5e4c3fef5002129cb61fe10edaaeb110bba9de8bd410014639ff44a2d",
        "de": "b4e10eff39e65e027ec86e4ac5f3c30267d09a36d7f2eccc645d103337007b87",
        "fi": "7fe30d4120024aa951820ddf64dfe035c2e9bd18efc6f0a1e90a7862e7bde6cb",
        "ru": "67e188c8ac4fa0f5b8822bf7826104e832604bd05696bf45ab6adcc96fe800c4",
        "tr": "06c10170bd3469b3694c9f6765e9d54675e1bd3d7d0c5b7c8f88c036ab666588",
        "ko": "7448facccd2d56eed4a29c55c96c3952fb5f61303ce186a9fbf6054a61ffc2be",
        "zh": "54921f5b811e04d44245b7d70962cf8cce0977725829f8780e4ff7dbf5707158",
        "ja": "1e7ba34007875e18ef9035e5c7f256f3b65d4252de4e0f8dadad599992d750a1",
        "th": "e62768dbb8f472872d188c92429b8b99f4cdd5689bef122475e4bbf67e709d93",
    },
    "v1.0": {
        "en": "0200852635b1d45a907166afa5473222d4753b89013064cbfd0a1cda34f1aaf3",
        "es": "a3f509dd6046039cbf2ed4f36ae59ee9702d3e12ab528585114612aa7013e46b",
        "de": "b00a26ff4249a654865c07ee6f61ff0be6d40a0b31de74d5bcd427ba8d1e047e",
        "fi": "7f01c3ae81fb37658620cda6ea5364dc48f0747fedf94d4e7215a8f0a8bddcf5",
        "ru": "e78ee1079cec9e5ec9ea0f3f665e28f59f033d2a5d9896ceb200d2f2718c599d",
        "tr": "caa8c65407c187e8080fe9836e7f780921e1e966bd66f89d10eb8ae4cf61b937",
        "ko": "531569c41a4769c2e4e4a02650a4fbb1999d10d2ffd65aef0695c1b2bfce97f2",
        "zh": "498d37f1514f9e3452a043adc09bae4b25912107334507aa1d45029354816e15",
        "ja": "7c499bbdd63835dd92445218d6667294b4644b727fb909d66677b12dbc1a3e13",
        "th": "acb75cf727ec6d8f1a8d22381bc8f75683d104b8471d5796dd7df2cd05e165ef",
    },
}
"""sha256 of the file of each revision and language of XL-BEL."""

SPEC: Final = DatasetSpec(
    name="xl-bel",
    summary="XL-BEL: 1,000 Wikipedia mentions in each of ten languages",
    factory="bioelx_bench.datasets.xl_bel:XlBel",
    revisions=("v1.0", "v0.0"),
    subsets=LANGUAGES,
    licence="MIT",
    homepage="https://github.com/cambridgeltl/sapbert",
    context="sentence",
    shipped=True,
    sources="bioelx_bench.datasets.xl_bel:sources",
    expected_mentions={(revision, "test"): dict.fromkeys(LANGUAGES, 1000) for revision in ("v1.0", "v0.0")},
    card=CardText(
        title="XL-BEL",
        licence="mit",
        about=(
            "XL-BEL is a benchmark for cross-lingual biomedical entity linking: 1,000 mentions in each of "
            "ten languages, found in Wikipedia through links to articles that bear a UMLS identifier. "
            "Revision v1.0 gives each mention the sentence it stands in; v0.0 has the mentions alone, and "
            "other mentions for English."
        ),
        annotation=(
            "Gold concepts are UMLS 2020AA identifiers, taken from the target of the link and not annotated "
            "by hand. Some rows name several. A few identifiers do not have the form of a CUI (`gold not "
            "cui`); they are kept as they are."
        ),
        context="The sentence around the mention.",
        citation="""
@inproceedings{liu2021learning,
  title = {Learning Domain-Specialised Representations for Cross-Lingual Biomedical Entity Linking},
  author = {Liu, Fangyu and Vuli{\\'c}, Ivan and Korhonen, Anna and Collier, Nigel},
  booktitle = {ACL-IJCNLP}, year = {2021}
}""",
        attribution=(
            "Data: XL-BEL (MIT licence, see bioelx_bench/resources/xl_bel). Sentence: Wikipedia, CC BY-SA."
        ),
        quotable=True,
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The file of a revision and language, which is also shipped in the package."""
    name = f"{subset}_1k_test_query{'_with_context' if revision == 'v1.0' else ''}.txt"
    return [
        on_github(
            REPOSITORY,
            f"evaluation/xl_bel/xlbel_{revision}/{name}",
            at=f"xl_bel/{revision}/{name}",
            licence="MIT",
            sha256=SHA256[revision][subset],
        )
    ]


class XlBel(BaseDataset):
    """Reads one language of one revision; see `bioelx_bench.base.BaseDataset`.

    A file under `<data root>/xl_bel/` is read in place of the shipped one, and must have the same bytes.

    Oddities: `empty_span` (nothing between the marks; the mention is put there), `irregular_spaces` (runs of spaces
    in the context made single, and taken off its ends; the mention is untouched), `duplicate` (an earlier row is
    equal), `repeated_query` (an earlier row has this gold and mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self.language = request.subset
        self.with_context = request.revision == "v1.0"
        self.fields = ("CUI", "mention", "context") if self.with_context else ("CUI", "mention")
        (source,) = sources(request.revision, request.split, request.subset)
        data, self.where = read_upstream(source, request.data_root)
        self.text = decode(data, self.where)
        self.sources = {source.path: str(source.sha256)}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row once, in the order of the file."""
        rows: set[tuple[str, str, str]] = set()
        queries: set[tuple[str, str]] = set()
        documents: dict[str, Document] = {}
        for number, line in numbered_lines(self.text):
            gold, text, *rest = split_fields(line, self.fields, at(self.where, number))
            marked = rest[0] if rest else ""
            odd: list[str] = []
            context, span = self.find_mention(text, marked, number, odd) if self.with_context else ("", None)
            identifier = f"xl-bel/{self.language}/{number - 1:04d}"
            document = Document(identifier, context, self.language)
            if context:
                document = documents.setdefault(context, document)
            odd += ["duplicate"] * ((gold, text, marked) in rows)
            odd += ["repeated_query"] * ((gold, text) in queries)
            rows.add((gold, text, marked))
            queries.add((gold, text))
            yield LabelledMention(
                id=identifier,
                document=document,
                spans=(span,) if span else (),
                text=text,
                language=self.language,
                gold=(gold,),
                oddities=tuple(odd),
            )

    def find_mention(self, text: str, marked: str, number: int, odd: list[str]) -> tuple[str, Span]:
        """The context without marks and with regular spaces, and the mention's span in it."""
        before, opening, rest = marked.partition(OPEN)
        inside, closing, after = rest.partition(CLOSE)
        if not opening or not closing or OPEN in inside + after or CLOSE in before + after:
            raise DataError(
                f"the context must hold one {OPEN}mention{CLOSE}",
                where=at(self.where, number),
                why=f"it is {marked[:80]!r}",
            )
        if not inside:
            odd.append("empty_span")
        elif inside != text:
            raise DataError(
                f"the marked text {inside!r} is not the mention {text!r}", where=at(self.where, number)
            )
        left = re.sub(r"\s+", " ", before).lstrip()
        right = re.sub(r"\s+", " ", after).rstrip()
        if (left, right) != (before, after):
            odd.append("irregular_spaces")
        return left + text + right, Span(len(left), len(left) + len(text))


def read_upstream(source: Source, data_root: Path | None) -> tuple[bytes, str]:
    """The bytes of an upstream file below the data root or in the package, verified, and where they are.

    Raises:
        DataError: Its hash differs from the known one.
    """
    local = data_root / source.path if data_root else None
    if local is not None and local.is_file():
        data, where = local.read_bytes(), str(local)
        hint = f"fetch it again from {source.url}, or remove it from the data root"
    else:
        packed = files("bioelx_bench") / "resources" / f"{source.path}.xz"
        data, where = unpack(packed.read_bytes(), str(packed)), str(packed)
        hint = "reinstall bioelx-bench"
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise DataError(
            "the file is not the upstream one: its sha256 differs",
            where=where,
            why=f"expected {source.sha256}, found {found}; figures on other data cannot be compared",
            hint=hint,
        )
    return data, where


def unpack(packed: bytes, where: str) -> bytes:
    """Decompress a shipped file, at most `FILE_LIMIT` bytes of it."""
    try:
        return lzma.LZMADecompressor().decompress(packed, max_length=FILE_LIMIT)
    except (lzma.LZMAError, EOFError) as error:
        raise DataError(
            "a shipped file is damaged", where=where, why=str(error), hint="reinstall bioelx-bench"
        ) from error
