"""Which way calls go: never through a proxy to this machine, and by LiteLLM's own client to the user's servers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bioelx_bench_llm.litellm_setup import OWN_HTTP_CLIENT, import_litellm, keep_off_proxies
from protocol_server import Running
from samples import items

from bioelx_bench.errors import BenchError, MissingError


class Proxy:
    """A server in a proxy's place: it counts connections and refuses what is asked."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.recv(1 << 16)
                connection.sendall(
                    b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    found = Proxy()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, found.address)
        monkeypatch.setenv(name.lower(), found.address)
    yield found
    found.close()


@pytest.mark.parametrize("own_client", ["true", "false"])
@pytest.mark.parametrize(("model", "strategy"), [("openai/test", "listwise"), ("hosted_vllm/test", "rerank")])
def test_this_machine_is_never_asked_through_a_proxy(
    make: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, model: str, strategy: str, own_client: str
) -> None:
    monkeypatch.setenv(OWN_HTTP_CLIENT, own_client)
    with Running() as server:
        ranker = make({"offline": True}, model=model, api_base=server.base, strategy=strategy)
        assert [r.status for r in ranker.rank_many(items(2))] == ["ok", "ok"]
        assert server.requests == 2 and proxy.connections == 0


def test_elsewhere_is_asked_through_the_proxy(make: Any, proxy: Proxy) -> None:
    ranker = make(api_base="http://models.invalid/v1", strategy="listwise", attempts=1, max_errors=0)
    with pytest.raises(BenchError):
        list(ranker.rank_many(items(1)))
    assert proxy.connections


def test_hosts_are_added_to_those_the_user_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    for _ in range(2):
        keep_off_proxies("127.0.0.1")
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "example.org,127.0.0.1"
    monkeypatch.setenv("no_proxy", "*")
    keep_off_proxies("localhost")
    assert os.environ["no_proxy"] == "*"


def test_a_server_that_is_not_there_stops_the_run_with_the_command_that_starts_it(make: Any) -> None:
    options = {"model": "hosted_vllm/Qwen/Qwen3-Reranker-0.6B", "api_base": "http://127.0.0.1:9/v1"}
    with pytest.raises(MissingError, match="no server answers") as caught:
        list(make(**options, attempts=2).rank_many(items(40)))
    assert "vllm serve Qwen/Qwen3-Reranker-0.6B --port 9" in str(caught.value)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_qwen3_is_asked_not_to_think(make: Any, provider: str) -> None:
    with Running() as server:
        ranker = make(model=f"{provider}/Qwen/Qwen3-Reranker-0.6B", api_base=server.base)
        assert next(ranker.rank_many(items(1))).usage.calls == 10
        assert ranker.notes().facts["prompt"] == "qwen3-reranker"
        (body, *_) = server.bodies
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)
    lines = body["messages"][1]["content"].split("\n")
    assert [line.partition(":")[0] for line in lines] == ["<Instruct>", "<Query>", "<Document>"]


def test_an_unknown_model_has_no_price_and_a_known_one_keeps_its_own(make: Any) -> None:
    with Running() as server:
        for number in range(2):  # the second one finds the entry of the first
            ranker = make(model="openai/some-model-of-mine", api_base=server.base, strategy="listwise")
            (ranking,) = ranker.rank_many(items(1, candidates=5 + number))
            assert ranking.usage.calls == 1 and ranking.usage.cost_usd == 0  # on this machine
            endpoint = ranker._endpoint
            assert os.environ[OWN_HTTP_CLIENT] == "true" and not endpoint._priced
            endpoint.base = "http://models.example.org/v1"
            assert endpoint._cost(None, 10, 10) is None  # not nothing: nobody knows
        known = make(model="openai/gpt-4o-mini", api_base=server.base, strategy="listwise")
        list(known.rank_many(items(1)))
        assert known._endpoint._priced
    assert import_litellm().get_model_info("openai/gpt-4o-mini")["input_cost_per_token"] > 0
