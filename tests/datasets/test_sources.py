"""Finding, verifying and downloading upstream files, against a real HTTP server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bioelx_bench.datasets.sources import acknowledge, locate, sources_of
from bioelx_bench.declarations import Source
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.plugins import load_plugins

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    stop_after: int | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server_state: Server, *arguments: object) -> None:
        self.state = server_state
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.state.ranges.append(asked)
        if self.path not in self.state.files:
            self.send_error(404)
            return
        content = self.state.files[self.path]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        body = content[start:]
        if self.state.stop_after is not None:
            body = body[: self.state.stop_after]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server("")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, state))
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def source(server: Server) -> Source:
    server.files["/corpus.bin"] = CONTENT
    return Source(
        path="corpus/corpus.bin",
        url=f"{server.url}/corpus.bin",
        page="https://example.org/corpus",
        licence="GPL-3.0",
        size=len(CONTENT),
        sha256=SHA256,
    )


def test_a_file_is_downloaded_once_and_then_found_offline(server, source, make_request):
    found = locate(source, make_request(offline=False), "corpus")
    assert found.path.read_bytes() == CONTENT
    assert found.sha256 == SHA256
    assert locate(source, make_request(offline=True), "corpus") == found
    assert len(server.ranges) == 1


def test_a_stopped_download_is_continued(server, source, make_request, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(
        "huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000
    )  # 10 MiB else, more than this file
    server.stop_after = 10_000
    found = locate(source, make_request(offline=False), "corpus")
    assert found.path.read_bytes() == CONTENT
    assert server.ranges[:3] == [None, "bytes=10000-", "bytes=20000-"]


def test_bytes_that_a_kill_left_are_not_fetched_again(server, source, make_request):
    request = make_request(offline=False)
    server.files["/corpus.bin"] = CONTENT[:100]
    with pytest.raises(MissingError, match="download failed"):
        locate(source, request, "corpus")
    server.files["/corpus.bin"] = CONTENT
    assert locate(source, request, "corpus").sha256 == SHA256
    assert server.ranges[-1] == "bytes=100-"


def test_a_file_that_is_gone_upstream_is_an_error_with_its_address(server, source, make_request):
    with pytest.raises(MissingError, match="404") as caught:
        locate(replace(source, url=f"{server.url}/gone"), make_request(offline=False), "corpus")
    assert caught.value.where == f"{server.url}/gone"


def test_a_wrong_hash_is_refused_and_not_kept(server, source, make_request):
    request = make_request(offline=False)
    server.files["/corpus.bin"] = CONTENT[::-1]
    with pytest.raises(DataError, match="sha256 differs"):
        locate(source, request, "corpus")
    server.files["/corpus.bin"] = CONTENT
    assert locate(source, request, "corpus").sha256 == SHA256


def test_a_login_page_in_place_of_the_file_is_recognised(server, source, make_request):
    page = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    server.files["/corpus.bin"] = page
    with pytest.raises(DataError, match="HTML page"):
        locate(replace(source, size=None, sha256=None), make_request(offline=False), "corpus")


def test_offline_says_how_to_get_the_file(source, make_request, tmp_path: Path):
    with pytest.raises(MissingError) as caught:
        locate(source, make_request(offline=True, data_root=tmp_path), "corpus")
    assert source.url in str(caught.value)
    assert str(tmp_path / "corpus" / "corpus.bin") in str(caught.value)


def test_the_data_root_is_looked_at_first_and_verified(source, make_request, tmp_path: Path):
    local = tmp_path / "corpus" / "corpus.bin"
    local.parent.mkdir()
    local.write_bytes(CONTENT)
    request = make_request(offline=True, data_root=tmp_path)
    assert locate(source, request, "corpus").path == local
    local.write_bytes(CONTENT + b"x")
    with pytest.raises(DataError, match="sha256 differs"):
        locate(source, request, "corpus")


def test_an_alternative_path_counts_and_an_unknown_hash_is_recorded(source, make_request, tmp_path: Path):
    (tmp_path / "corpus.bin.gz").write_bytes(b"other")
    other = replace(source, sha256=None, alternatives=("corpus.bin.gz",))
    found = locate(other, make_request(data_root=tmp_path), "corpus")
    assert found.sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_licence_is_accepted_once(source, make_request):
    strict = replace(source, acknowledge=True)
    request = make_request(offline=False)
    with pytest.raises(MissingError, match="licence") as caught:
        locate(strict, request, "corpus")
    assert "--accept-licence" in str(caught.value)
    acknowledge(strict.page, strict.licence, request.cache)
    assert locate(strict, request, "corpus").sha256 == SHA256
    assert locate(strict, request, "another-name").sha256 == SHA256


def test_the_hash_of_a_large_file_is_remembered_until_it_changes(source, make_request, tmp_path, monkeypatch):
    monkeypatch.setattr("bioelx_bench.datasets.sources.MEMORISE_FROM", 1)
    local = tmp_path / "corpus" / "corpus.bin"
    local.parent.mkdir()
    local.write_bytes(CONTENT)
    request = make_request(data_root=tmp_path)
    assert locate(source, request, "corpus") == locate(source, request, "corpus")
    assert len(list((request.cache.root / "hashes").iterdir())) == 1
    local.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="sha256 differs"):
        locate(source, request, "corpus")


def test_every_upstream_file_is_registered_with_its_licence_and_a_pinned_address():
    plugins = load_plugins(disable="all")
    for found in plugins.all("datasets"):
        spec = found.spec
        for revision in spec.revisions:
            for split in spec.splits_of(revision):
                sources = sources_of(spec, revision, split)
                assert sources or spec.options.endswith(
                    ("TableOptions", "BigBioOptions", "PubTatorOptions", "BratOptions")
                )
                for source in sources:
                    assert source.licence
                    assert source.page.startswith("https://")
                    pinned = re.search("/[0-9a-f]{40}/", source.url)
                    assert pinned or not source.url or source.sha256 is None
