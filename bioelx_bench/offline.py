"""The wall of `--offline`: while it stands, no socket of this process leaves the machine."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Final

from bioelx_bench.errors import BenchError

LOCAL_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


class OfflineError(BenchError, OSError):
    """A connection beyond this machine was tried while `--offline` holds."""


def is_loopback(address: str) -> bool:
    """Whether an address (not a name) is of this machine, IPv4 addresses written as IPv6 ones included."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def refusal(target: object) -> OfflineError:
    """The error for a target; nothing but its host is named, since addresses may hold passwords."""
    return OfflineError(
        f"a connection to {target} was refused: --offline allows none beyond this machine",
        why="a component or library tried to leave the machine",
        hint="give what it needs as a local file or server, or leave out --offline",
    )


def check_host(host: object) -> None:
    """Refuse a host that is neither a loopback address nor one of `LOCAL_NAMES`.

    Other names are refused before they are resolved, because a query to a name server leaves the machine too.

    Raises:
        OfflineError: It is of another machine.
    """
    if host is None or host == "" or host == b"":
        return
    text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    if text.rstrip(".").casefold() not in LOCAL_NAMES and not is_loopback(text):
        raise refusal(text)


def check_address(family: int, address: Any) -> None:
    """Refuse the address of a socket call; Unix sockets are of this machine.

    Raises:
        OfflineError: It is of another machine.
    """
    if family == getattr(socket, "AF_UNIX", None):
        return
    if family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(address, tuple):
        raise refusal("another network")
    if address[0] in ("", "0.0.0.0", "::"):  # noqa: S104 - a connection to it reaches this machine
        return
    check_host(address[0])


@contextlib.contextmanager
def offline_guard() -> Iterator[None]:
    """Let no socket of this process reach beyond loopback while the block runs.

    It guards the methods of `socket.socket` and the resolving functions, in which every Python library ends, so that
    a library that follows a redirect is stopped as well. Child processes and native code that opens sockets of its
    own are not covered.
    """
    with contextlib.ExitStack() as stack:
        for name, position in (("connect", 0), ("connect_ex", 0), ("sendto", -1), ("sendmsg", 3)):
            guard_method(stack, name, position)
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            guard_function(stack, name)
        yield


def guard_method(stack: contextlib.ExitStack, name: str, position: int) -> None:
    """Check the address at `position` of the arguments of a method of `socket.socket` until the stack is left."""
    original = getattr(socket.socket, name, None)
    if original is None:  # `sendmsg` is not there on every platform
        return
    own = name in vars(socket.socket)

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[position] if len(arguments) > position else None
        if address is not None:
            check_address(self.family, address)
        return original(self, *arguments)

    setattr(socket.socket, name, guarded)
    if own:
        stack.callback(setattr, socket.socket, name, original)
    else:
        stack.callback(delattr, socket.socket, name)


def guard_function(stack: contextlib.ExitStack, name: str) -> None:
    """Check the host that a resolving function of `socket` is asked for, until the stack is left."""
    original = getattr(socket, name)

    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        check_host(host)
        return original(host, *arguments, **options)

    setattr(socket, name, guarded)
    stack.callback(setattr, socket, name, original)
