"""Keeping API keys out of everything that is written or shown."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

REMOVED: Final = "[key removed]"
SECRET_NAME: Final = re.compile(r"(_KEY$|API_?KEY|TOKEN|SECRET|PASSW|CREDENTIAL|BEARER|_AUTH$)", re.I)
SECRET_OPTION: Final = re.compile(
    r"key(?!word)|token$|secret|passw|auth(?!or)|credential|bearer|cookie|private", re.IGNORECASE
)
"""Names of options, in files and parameters, that may hold a secret."""
SECRET_WORD: Final = re.compile(r"key|token\b|secret|passw|auth|credential|\b(sk|hf|pk)[-_]", re.IGNORECASE)
"""Words in a value by which it may hold a secret, for messages, which can do without the value."""
HIDDEN: Final = "(hidden)"
USER_PART: Final = re.compile(r"\w+://([^/@\s]+)@")
"""User and password in an address, whatever variable it stands in."""
MIN_SECRET_LENGTH: Final = 8
"""Values shorter than this are placeholders such as `none`, and common words besides."""
LOOKS_LIKE_KEY: Final = re.compile(
    r"\b(?:sk|pk|rk|hf|gsk|xai|ghp|gho|glpat|xox[abp]|AIza)[-_][A-Za-z0-9_*-]{6,}|\bAIza[\w-]{20,}"
    r"|\bA(?:KI|SI)A[A-Z0-9]{16}\b|\bya29\.[\w-]{10,}|\beyJ[\w-]{10,}\.[\w.-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:bearer|basic)\s+[\w.~+/*=-]{8,}"
    r"|(?<=://)[^/@\s:]*:[^/@\s]*(?=@)"
)
LONG_RANDOM: Final = re.compile(
    r"(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])[\w+/=-]{32,}|[0-9a-f]{32,}"
)


class Redactor:
    """Removes keys from text: the values of variables with secret names, and what looks like a key.

    Args:
        environment: The process's environment variables.
        extra: Further values to remove.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, extra: tuple[str, ...] = ()) -> None:
        variables = os.environ if environment is None else environment
        values = {v for k, v in variables.items() if SECRET_NAME.search(k)} | set(extra)
        parts = [match[1] for v in variables.values() for match in USER_PART.finditer(v)]
        values |= {part for whole in parts for part in (whole, unquote(whole), *password_of(whole))}
        forms = {form for value in values if len(value) >= MIN_SECRET_LENGTH for form in forms_of(value)}
        pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._known = re.compile(pattern) if pattern else None

    def __call__(self, text: str) -> str:
        """`text` without keys."""
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        return LOOKS_LIKE_KEY.sub(REMOVED, text)

    def known(self, text: str) -> str:
        """`text` without the keys this process knows; for model output, where look-alikes may be words."""
        return text if self._known is None else self._known.sub(REMOVED, text)


def password_of(user_part: str) -> tuple[str, ...]:
    """The password in `user:password`, as it stands and unquoted."""
    password = user_part.partition(":")[2]
    return (password, unquote(password)) if password else ()


def names_secret(name: str) -> bool:
    """Whether an option of this name may hold a secret; the name of a variable that holds one is none."""
    return bool(SECRET_OPTION.search(name)) and not name.lower().endswith("_env")


def hide_secrets(value: Any, name: str = "") -> Any:
    """A JSON value that may be shown: what has the name or the form of a secret, at any depth, is replaced.

    Args:
        value: The value.
        name: The option or key it stands under.
    """
    if value is not None and not isinstance(value, bool) and names_secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            HIDDEN if looks_like_secret(str(key)) else key: hide_secrets(item, str(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [hide_secrets(item, name) for item in value]
    if not isinstance(value, str):
        return value
    plain = value.startswith(("/", "~", "./", "../")) or "revision" in name
    return HIDDEN if LONG_RANDOM.fullmatch(value.strip()) and not plain else LOOKS_LIKE_KEY.sub(HIDDEN, value)


def looks_like_secret(value: str) -> bool:
    """Whether a value has the form of a key: a known prefix, an address with a password, or long and random."""
    return bool(LOOKS_LIKE_KEY.search(value) or LONG_RANDOM.fullmatch(value.strip()))


def forms_of(value: str) -> set[str]:
    """A key as it is, quoted for an address, and in base64 at each of the three alignments."""
    forms = {value, quote(value, safe=""), value.strip()}
    data = value.encode()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data).decode()
        first, last = (0, 2, 3)[shift], len(coded) - (4 if (shift + len(data)) % 3 else 0)
        forms |= {coded[first:last], coded[first:last].replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= MIN_SECRET_LENGTH}
