"""Reading what a model wrote: its reasoning is cut off, its tokens are read as words, whatever form they come in."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bioelx_bench_llm.answer_cache import Answer, Position

MAX_CHARACTERS: Final = 20_000
"""Characters of an answer's end that are read; a model that rambles on is cut off."""
MIN_MASS: Final = 0.01
"""Probability that the wanted words must have together where the chosen token is none of them. A model that is about
to think or to quote gives them far less, and their ratio then says nothing of its answer."""
MAX_LOG_ODDS: Final = 20.0
"""Log-probabilities come in 32 or 16 bits; beyond this a difference is rounding."""

THINKING: Final = (
    r"(?:\w{1,8}:)?(?:think|thinking|thought|thoughts|reasoning|reason|reflection|analysis|scratchpad)"
)
OPENED: Final = re.compile(
    rf"<\s*{THINKING}\s*>|<\|\s*(?:begin_of_thought|START_THINKING|begin_of_think)\s*\|>|\[THINK\]|◁think▷"
    r"|<unused94>|<\|channel>\s*thought|Here is my thought process:",
    re.I,
)
CLOSED: Final = re.compile(
    rf"<\s*/\s*{THINKING}\s*>|<\|\s*(?:end_of_thought|END_THINKING|end_of_think)\s*\|>|\[/THINK\]|◁/think▷"
    r"|<unused95>|<channel\|>|Here is my response:",
    re.I,
)
CHANNEL: Final = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>\s*\w*\s*)?<\|message\|>", re.I)
ENDED: Final = re.compile(r"<\|(?:end|return|call|start)\|>.*", re.S)
MARKS: Final = re.compile(
    r"<\|[\w ]{1,40}\|>|</?s>|<(?:bos|eos|pad|end_of_turn|start_of_turn)>|<｜[^｜<>]{1,40}｜>|\ufeff"
)
DRESSING: Final = " \t\r\n\"'`*_.,:;!?()[]{}<>«»“”‘’„#-–—=\\/|Ċ"
"""What may stand around a word in a token."""


def final_text(text: str) -> str:
    """What a model answered after its reasoning, in plain digits and without marks of chat formats.

    Empty where the reasoning never ended. Full-width and other scripts' digits become ASCII ones.
    """
    channels = list(CHANNEL.finditer(text))
    if channels:
        if channels[-1][1].lower() not in {"final", "commentary"}:
            return ""
        text = ENDED.sub("", text[channels[-1].end() :])
    closed = list(CLOSED.finditer(text))
    if closed:
        text = text[closed[-1].end() :]
    opened = OPENED.search(text)
    if opened:
        text = text[: opened.start()]
    text = unicodedata.normalize("NFKC", MARKS.sub(" ", text)[-MAX_CHARACTERS:])
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text)
    return text.strip()


def word_of(token: str) -> str:
    """A token as a word in lower case, whatever marks its tokenizer puts before it and whatever stands around it."""
    if token.startswith("bytes:"):
        token = bytes_of(token[6:])
    token = token.replace("Ġ", " ").replace("▁", " ").replace("Ċ", "\n").replace("##", "")
    token = re.sub(r"<0x([0-9A-Fa-f]{2})>", lambda m: chr(int(m[1], 16)), token)
    return unicodedata.normalize("NFKC", token).strip(DRESSING).casefold()


def bytes_of(escaped: str) -> str:
    r"""The text of `\x20Yes`, as some servers write tokens that are no whole characters."""
    data = re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), escaped.encode())
    return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says about the words that were asked for.

    Attributes:
        log_masses: Natural logarithm of each word's probability, in the order of the words; None where the answer
            could not be read.
        fallback: The repair that was needed, or empty.
    """

    log_masses: tuple[float, ...] | None
    fallback: str = ""


def read_words(answer: Answer, words: Sequence[str]) -> Reading:
    """The probabilities of the words an answer may begin with.

    They are read where the answer stands: at its first token, or behind tokens that lead up to it (spaces, quotes,
    marks of emphasis, reasoning that has ended). A word that is not among a token's alternatives can be no likelier
    than the least likely of them, nor than what the listed ones leave. So one token's probability alone is set
    against its complement.

    Fallbacks: `logprobs_missing` (the word alone was read and counts as certain to `WORD_PROBABILITY`),
    `thinks_first` (the model began to think aloud, and the bound of the answer ended it), `undecided`.
    """
    if answer.positions is None:
        said = said_word(answer.text, words)
        if said is None:
            return Reading(None, "thinks_first" if begins_to_think(answer.text) else "undecided")
        return Reading(certain(words, said), "logprobs_missing")
    for number, position in enumerate(answer.positions):
        chosen = word_of(position.token)
        if number == 0 and len(answer.positions) == 1 and unreadable(position.token):
            chosen = said_word(answer.text, words) or chosen
        masses = masses_at(position, chosen, words)
        if chosen in words or (number == 0 and math.fsum(masses.values()) >= MIN_MASS):
            return Reading(filled(masses, position, words))
        if chosen and not is_reasoning(answer.positions[: number + 1]):
            break
    thinks = any(begins_to_think(p.token) for p in answer.positions[:2])
    return Reading(None, "thinks_first" if thinks else "undecided")


WORD_PROBABILITY: Final = 0.9
"""What a word without its probability counts for: it was the likeliest one, and no more is known."""


def certain(words: Sequence[str], said: str) -> tuple[float, ...]:
    """Log-probabilities where only the word is known."""
    rest = (1 - WORD_PROBABILITY) / max(len(words) - 1, 1)
    return tuple(math.log(WORD_PROBABILITY if word == said else rest) for word in words)


def masses_at(position: Position, chosen: str, words: Sequence[str]) -> dict[str, float]:
    """Probability of each wanted word at a token, over all its spellings; words that are not listed are left out."""
    masses: dict[str, float] = {}
    listed = dict(position.alternatives)
    for token, value in listed.items():
        word = chosen if token == position.token else word_of(token)
        if word in words:
            masses[word] = masses.get(word, 0.0) + math.exp(value)
    if position.token not in listed and chosen in words:
        masses[chosen] = masses.get(chosen, 0.0) + math.exp(position.logprob)
    return masses


def filled(masses: Mapping[str, float], position: Position, words: Sequence[str]) -> tuple[float, ...]:
    """Log-probabilities of all words; those not listed share what is left, each at most the least that is listed."""
    known = [v for token, v in position.alternatives if token == position.token or not unreadable(token)]
    values = known or [position.logprob]
    left = max(1.0 - math.fsum(map(math.exp, values)), 0.0)
    missing = sum(word not in masses for word in words)
    least = min(math.exp(min(values)), left / max(missing, 1))
    floor = math.exp(-MAX_LOG_ODDS)
    return tuple(math.log(max(masses.get(word, least), floor)) for word in words)


def is_reasoning(positions: Sequence[Position]) -> bool:
    """Whether the tokens so far are reasoning that goes on, or has just ended."""
    text = "".join(p.token for p in positions)
    return bool(OPENED.match(text.lstrip()) or CLOSED.search(text))


def begins_to_think(text: str) -> bool:
    """Whether a text begins as reasoning does."""
    start = text.lstrip()
    return bool(OPENED.match(start)) or start.startswith(
        ("<think", "<thought", "<|channel", "<|start", "[THINK", "◁")
    )


def unreadable(token: str) -> bool:
    """Whether a token is shown by its number, as some servers do."""
    return bool(re.fullmatch(r"(?:token_id:)?\d+", token))


def said_word(text: str, words: Sequence[str]) -> str | None:
    """The wanted word that an answer is or begins with, or that alone is its last line."""
    lines = final_text(text).splitlines()
    if not lines:
        return None
    first = re.match(r"[\W_]*(\w+)", lines[0])
    found = first[1].casefold() if first else ""
    if found in words:
        return found
    last = re.sub(r"^.*(?:answer|is)\s*:?\s*", "", lines[-1], flags=re.I).strip(DRESSING).casefold()
    return last if last in words else None
