"""Addresses of endpoints: which are on this machine, and what of one may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from bioelx_bench import offline
from bioelx_bench.offline import LOCAL_NAMES


def is_loopback(address: str | None) -> bool:
    """Whether an http address is on this machine.

    Only IP addresses and the names that the standards reserve for this machine can be: any other name is somebody's
    entry in a name server, such as `127.evil.example`, and looking it up would leave the machine.
    """
    host = host_of(address)
    return host is not None and (host.rstrip(".") in LOCAL_NAMES or offline.is_loopback(host))


def host_of(address: str | None) -> str | None:
    """The host of an address in lower case, or None where it has none."""
    if not address:
        return None
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def address_problem(address: str) -> str | None:
    """Why an address cannot be an endpoint's base, or None. The address itself is never repeated in it."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return "must be an http or https address, such as http://localhost:8000/v1"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "must hold no user, password or query: keys come from the environment (api_key_env)"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must be an http or https address, such as http://localhost:8000/v1"
    return None
