"""Reading RRF: UTF-8 lines of fields that each end with `|`, without quoting or a header.

pyarrow reads fast and strictly; when it refuses, a slow reader finds the line. Lines end with LF, CRLF or
CR, and empty lines are passed over, by both.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from bioelx_bench.errors import DataError, at
from bioelx_bench.kb import schemas
from bioelx_bench.kb.staging import first_violation
from bioelx_bench.kb.umls.release import Piece, joined, open_piece

BLOCK_BYTES: Final = 16 << 20
MAX_LINE: Final = 1 << 20
FIX: Final = "get the release again; an RRF file must not be edited or converted"


@dataclass(frozen=True, slots=True)
class RrfFile:
    """An RRF file's columns, and which of them must be CUIs or TUIs (or may be empty)."""

    columns: tuple[str, ...]
    rules: dict[str, str]
    optional: tuple[str, ...] = ()


MRCONSO: Final = RrfFile(
    (
        "CUI",
        "LAT",
        "TS",
        "LUI",
        "STT",
        "SUI",
        "ISPREF",
        "AUI",
        "SAUI",
        "SCUI",
        "SDUI",
        "SAB",
        "TTY",
        "CODE",
        "STR",
        "SRL",
        "SUPPRESS",
        "CVF",
    ),
    {"CUI": "cui"},
)
MRSTY: Final = RrfFile(("CUI", "TUI", "STN", "STY", "ATUI", "CVF"), {"CUI": "cui", "TUI": "tui"})
MRDEF: Final = RrfFile(("CUI", "AUI", "ATUI", "SATUI", "SAB", "DEF", "SUPPRESS", "CVF"), {"CUI": "cui"})
MRREL: Final = RrfFile(
    (
        "CUI1",
        "AUI1",
        "STYPE1",
        "REL",
        "CUI2",
        "AUI2",
        "STYPE2",
        "RELA",
        "RUI",
        "SRUI",
        "SAB",
        "SL",
        "RG",
        "DIR",
        "SUPPRESS",
        "CVF",
    ),
    {"CUI1": "cui", "CUI2": "cui"},
)
MRCUI: Final = RrfFile(
    ("CUI1", "VER", "REL", "RELA", "MAPREASON", "CUI2", "MAPIN"), {"CUI1": "cui", "CUI2": "cui"}, ("CUI2",)
)
MRFILES: Final = RrfFile(("FIL", "DES", "FMT", "CLS", "RWS", "BTS"), {})
REST: Final = "(after the last pipe)"


def read_rrf(
    pieces: Sequence[Piece],
    file: RrfFile,
    columns: Sequence[str],
    advance: Callable[[float], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read some columns of an RRF file as strings.

    Args:
        pieces: Its pieces, in order.
        file: Its format.
        columns: Names of the columns to give.
        advance: Is told how many rows were read.

    Raises:
        DataError: A line is broken, not UTF-8, or has a bad CUI or TUI; says piece and line.
    """
    for piece in joined(pieces):
        try:
            with open_piece(piece) as stream:
                yield from read_stream(stream, file, columns, advance)
        except pa.ArrowException as error:
            find_error(piece, file)
            raise DataError(
                "the RRF file cannot be read", where=piece.label, why=str(error), hint=FIX
            ) from error


def read_stream(
    stream: io.BufferedReader, file: RrfFile, columns: Sequence[str], advance: Callable[[float], None] | None
) -> Iterator[pa.RecordBatch]:
    """Read one piece fast; `pa.ArrowInvalid` comes out, also for a value that breaks a rule."""
    if not stream.peek(1):
        return
    checked = dict.fromkeys([*columns, *file.rules, REST])
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(column_names=[*file.columns, REST], block_size=BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(delimiter="|", quote_char=False, double_quote=False),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(checked),
            column_types=dict.fromkeys(checked, pa.string()),
            strings_can_be_null=False,
            check_utf8=True,
        ),
    )
    for batch in reader:
        check_batch(batch, file)
        if advance is not None:
            advance(batch.num_rows)
        yield batch.select(list(columns))


def check_batch(batch: pa.RecordBatch, file: RrfFile) -> None:
    """Raise `pa.ArrowInvalid` where a value breaks a rule."""
    import pyarrow.compute as pc

    if pc.max(pc.binary_length(batch.column(REST))).as_py():
        raise pa.ArrowInvalid("text after the last pipe")
    for column, rule in file.rules.items():
        values = batch.column(column)
        if column in file.optional:
            values = values.filter(pc.not_equal(values, ""))
        if len(values) and first_violation(values, rule) is not None:
            raise pa.ArrowInvalid(f"column {column}: {schemas.RULES[rule][1]}")


def find_error(piece: Piece, file: RrfFile) -> None:
    """Read a piece line by line and raise for the first thing that is wrong.

    Raises:
        DataError: Names piece, line and column.
    """
    with open_piece(piece) as stream:
        number = 0
        while block := stream.readline(MAX_LINE):
            for line in block.splitlines():  # pyarrow also ends lines at CR
                number += 1
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        "the text is not UTF-8", where=at(piece.label, number), why=error.reason, hint=FIX
                    ) from error
                if text:
                    check_line(text, file, piece.label, number)


def check_line(text: str, file: RrfFile, label: str, number: int) -> None:
    """Raise for the first thing that is wrong in a line."""
    fields = text.split("|")
    if len(fields) != len(file.columns) + 1:
        raise DataError(
            "the row is broken",
            where=at(label, number),
            why=f"it has {len(fields) - 1} fields that end with '|', not {len(file.columns)}",
            hint=FIX,
        )
    if fields[-1]:
        raise DataError("the row does not end with '|'", where=at(label, number), hint=FIX)
    row = dict(zip(file.columns, fields, strict=False))
    for column, rule in file.rules.items():
        if row[column] == "" and column in file.optional:
            continue
        if why := schemas.validation_error(rule, row[column]):
            raise DataError(
                f"{row[column]!r} is not a {rule.upper()}",
                where=at(label, number, column),
                why=why,
                hint=FIX,
            )
