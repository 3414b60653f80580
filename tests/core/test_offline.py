"""The wall of `--offline`: loopback and Unix sockets only, in the whole process."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bioelx_bench.offline import OfflineError, is_loopback, offline_guard


class Redirecting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/")
        else:
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Redirecting)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://localhost:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_this_machine_is_reached_and_no_other(server: str) -> None:
    with offline_guard():
        assert urllib.request.urlopen(server).status == 200
        for address in (
            "http://192.0.2.1/",
            "http://127.evil.example/",
            "http://[2001:db8::1]/",
            f"{server}/away",
        ):
            with pytest.raises(urllib.error.URLError, match="--offline"):
                urllib.request.urlopen(address)


def test_datagrams_and_names_stay_too() -> None:
    with offline_guard(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for refused in (
            lambda: made.sendto(b"x", ("192.0.2.1", 53)),
            lambda: made.connect_ex(("192.0.2.1", 53)),
            lambda: socket.getaddrinfo("example.org", 80),
            lambda: socket.gethostbyname("example.org"),
        ):
            with pytest.raises(OfflineError):
                refused()


def test_unix_sockets_are_of_this_machine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as calling:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with offline_guard():
            calling.connect(str(tmp_path / "s"))


def test_the_wall_is_taken_down() -> None:
    before = socket.getaddrinfo, socket.socket.connect
    with offline_guard():
        assert socket.getaddrinfo is not before[0]
    assert (socket.getaddrinfo, socket.socket.connect) == before


@pytest.mark.parametrize(
    ("address", "local"),
    [
        *(
            ("127.0.0.1", True),
            ("127.8.9.1", True),
            ("::1", True),
            ("::ffff:127.0.0.1", True),
            ("fe80::1%lo", False),
        ),
        *(
            ("10.0.0.1", False),
            ("127.evil.example", False),
            ("::ffff:192.0.2.1", False),
            ("localhost.evil", False),
        ),
    ],
)
def test_addresses_are_read_not_compared_as_text(address: str, local: bool) -> None:
    assert is_loopback(address) is local
