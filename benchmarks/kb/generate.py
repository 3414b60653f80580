"""Makes realistic inputs of any size: a plain table of names, and a UMLS release in exact RRF.

Sizes follow UMLS 2020AA: about 4.6 rows a concept, two thirds of them English, a fifth suppressible. Names
have the lengths and the shared words of real ones, drawn with a fixed seed: a file is the same each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SYLLABLES = [
    "car",
    "di",
    "o",
    "my",
    "path",
    "neph",
    "ro",
    "sis",
    "hyper",
    "ten",
    "sion",
    "gly",
    "co",
    "gen",
    "ase",
    "trans",
    "fer",
    "in",
    "ter",
    "leu",
    "kin",
    "di",
    "a",
    "be",
    "tes",
]
LANGUAGES = ["ENG"] * 66 + ["SPA"] * 10 + ["FRE"] * 5 + ["JPN"] * 4 + ["GER"] * 4 + ["RUS"] * 3 + ["KOR"] * 2
LANGUAGES += ["FIN", "TUR", "CHI", "DUT", "ITA", "POR"]
SOURCES = ["SNOMEDCT_US", "MSH", "MDR", "NCI", "RXNORM", "MTH", "LNC", "ICD10CM", "OMIM", "GO", "HPO", "FMA"]
SOURCES += [f"SAB{i}" for i in range(60)]
TYPES = [
    ("T047", "B2.2.1.2.1"),
    ("T121", "A1.4.1.1.1"),
    ("T023", "A1.2.3.1"),
    ("T061", "B1.3.1.3"),
    ("T033", "A2.2"),
]
BLOCK = 100_000


def vocabulary(random: np.random.Generator, size: int = 60_000) -> np.ndarray:
    """Words of two to five syllables."""
    lengths = random.integers(2, 6, size)
    return np.array(["".join(random.choice(SYLLABLES, n)) for n in lengths], dtype=object)


def names(random: np.random.Generator, words: np.ndarray, count: int) -> list[str]:
    """Names of one to six words, common words more often; one in fifty carries a number."""
    lengths = random.choice([1, 2, 3, 4, 5, 6], count, p=[0.15, 0.3, 0.25, 0.15, 0.1, 0.05])
    picks = (random.power(0.5, int(lengths.sum())) * len(words)).astype(np.int64)
    found, at = [], 0
    for length in lengths.tolist():
        found.append(" ".join(words[picks[at : at + length]]))
        at += length
    for i in range(0, count, 50):
        found[i] += f" {i}"
    return found


def write_table(path: Path, rows: int) -> None:
    """A TSV of `rows` names, four a concept."""
    random = np.random.default_rng(7)
    words = vocabulary(random)
    with path.open("w", encoding="utf-8") as file:
        file.write("cui\tlang\tname\tsource\tpreferred\n")
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            texts = names(random, words, count)
            cuis = random.integers(1, max(rows // 4, 2), count).tolist()
            languages = random.choice(["en", "de", "es", "fr", "ja"], count).tolist()
            sources = random.choice(SOURCES, count).tolist()
            file.writelines(
                f"C{c:07d}\t{lang}\t{t}\t{s}\t{int(i % 4 == 0)}\n"
                for i, (c, lang, t, s) in enumerate(zip(cuis, languages, texts, sources, strict=True))
            )


def write_release(folder: Path, rows: int, concepts: int) -> None:
    """MRCONSO, MRSTY, MRDEF, MRREL, MRCUI and MRFILES of a release."""
    meta = folder / "2020AA" / "META"
    meta.mkdir(parents=True)
    random = np.random.default_rng(7)
    words = vocabulary(random)
    counts = {"MRCONSO": write_conso(meta / "MRCONSO.RRF", random, words, rows, concepts)}
    with (meta / "MRSTY.RRF").open("w", encoding="utf-8") as file:
        picks = random.integers(0, len(TYPES), concepts).tolist()
        file.writelines(
            f"C{c:07d}|{TYPES[p][0]}|{TYPES[p][1]}|Some Type|AT{c:08d}|256|\n" for c, p in enumerate(picks, 1)
        )
    counts["MRSTY"] = concepts
    with (meta / "MRDEF.RRF").open("w", encoding="utf-8") as file:
        defined = range(1, concepts, 12)
        texts = names(random, words, len(defined))
        file.writelines(
            f"C{c:07d}|A{c:07d}|AT{c:08d}||{SOURCES[c % 4]}|{t} {t} {t}, {t}.|N|256|\n"
            for c, t in zip(defined, texts, strict=True)
        )
    counts["MRDEF"] = len(defined)
    with (meta / "MRREL.RRF").open("w", encoding="utf-8") as file:
        for c in range(1, concepts):
            rela = "has_tradename" if c % 40 == 0 else "isa"
            file.write(
                f"C{c:07d}|A{c}|AUI|RO|C{c + 1:07d}|A{c + 1}|AUI|{rela}|R{c}||RXNORM|RXNORM|||N|4096|\n"
            )
    counts["MRREL"] = concepts - 1
    with (meta / "MRCUI.RRF").open("w", encoding="utf-8") as file:
        retired = range(9_000_000, 9_000_000 + concepts // 4)
        file.writelines(f"C{c:07d}|2019AB|SY|||C{c - 8_999_999:07d}|Y|\n" for c in retired)
    counts["MRCUI"] = len(retired)
    with (meta / "MRFILES.RRF").open("w", encoding="utf-8") as file:
        file.writelines(
            f"{name}.RRF|{name}||0|{n}|{(meta / f'{name}.RRF').stat().st_size}|\n"
            for name, n in counts.items()
        )


def write_conso(path: Path, random: np.random.Generator, words: np.ndarray, rows: int, concepts: int) -> int:
    """MRCONSO: rows spread over all concepts, grouped by concept as in a release; a fifth repeat a name."""
    per_concept = random.multinomial(rows - concepts, np.full(concepts, 1 / concepts)) + 1
    owners = np.repeat(np.arange(1, concepts + 1), per_concept)
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        for start in range(0, rows, BLOCK):
            cuis = owners[start : start + BLOCK].tolist()
            count = len(cuis)
            texts = names(random, words, count)
            languages = random.choice(LANGUAGES, count).tolist()
            sources = random.choice(SOURCES, count).tolist()
            suppress = random.choice(["N", "N", "N", "N", "N", "N", "N", "N", "O", "Y"], count).tolist()
            repeated = (random.random(count) < 0.2).tolist()
            lines, previous = [], 0
            for i, c in enumerate(cuis):
                first = c != previous
                if repeated[i] and not first:
                    texts[i], languages[i] = texts[i - 1], languages[i - 1]
                status = "P|L1|PF|S1|Y" if first else "S|L2|VO|S2|N"
                previous = c
                lines.append(
                    f"C{c:07d}|{languages[i]}|{status}|A{start + i:08d}||M{c}|D{c}|{sources[i]}|PT|{c}|"
                    f"{texts[i]}|0|{suppress[i]}|256|\n"
                )
            file.writelines(lines)
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["table", "umls"])
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--concepts", type=int, default=0)
    given = parser.parse_args()
    if given.kind == "table":
        write_table(given.output, given.rows)
    else:
        write_release(given.output, given.rows, given.concepts or given.rows * 35 // 160)


if __name__ == "__main__":
    main()
