"""Addresses of endpoints: which are on this machine, and what of one may be shown."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


def is_loopback(address: str | None) -> bool:
    """Whether an http address is on this machine.

    Only IP addresses and the names that the standards reserve for this machine (RFC 6761) can be: any other name is
    somebody's entry in a name server, such as `127.evil.example`, and looking it up would leave the machine. The
    reserved names are resolved, since a hosts file may send them elsewhere.
    """
    host = host_of(address)
    if host is None:
        return False
    try:
        return is_local(host)
    except ValueError:
        pass
    if host not in LOCAL_NAMES and not host.endswith(".localhost"):
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return host == "localhost"  # clients cannot resolve it either, so nothing is sent
    return bool(found) and all(is_local(str(entry[4][0])) for entry in found)


def is_local(ip: str) -> bool:
    """Whether an IP address in text form is a loopback one.

    Raises:
        ValueError: It is not an IP address.
    """
    found = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


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
