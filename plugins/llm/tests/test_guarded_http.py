"""A prompt goes to the address that was named and nowhere else; no server makes an answer any size."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from bioelx_bench_llm.addresses import is_loopback
from bioelx_bench_llm.context import clean
from bioelx_bench_llm.options import LlmOptions
from samples import items

from bioelx_bench.errors import BenchError, UsageError


class Handler(http.server.BaseHTTPRequestHandler):
    answers: ClassVar[tuple[int, dict[str, str], bytes]]
    seen: ClassVar[list[str]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).seen.append(self.path)
        status, headers, body = type(self).answers
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    kind = type("One", (Handler,), {"answers": (status, headers, body), "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", kind.seen
    server.shutdown()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(make: Any, status: int) -> None:
    with (
        serving(200, {}, b"{}") as (elsewhere, asked),
        serving(status, {"location": f"{elsewhere}/steal?token=abc"}, b"") as (base, _),
    ):
        ranker = make({"offline": True}, api_base=f"{base}/v1", strategy="listwise", attempts=1)
        with pytest.raises(BenchError, match="sends calls elsewhere") as caught:
            list(ranker.rank_many(items(1)))
        assert asked == [] and "steal" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_long_or_packed_answer_is_refused(make: Any, packed: bool) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x" * 5_000_000}}]}).encode()
    headers = {"content-type": "application/json", **({"content-encoding": "gzip"} if packed else {})}
    with serving(200, headers, gzip.compress(body) if packed else body) as (base, _):
        ranker = make(api_base=f"{base}/v1", strategy="listwise", attempts=1, max_errors=1)
        (ranking,) = ranker.rank_many(items(1))
    assert ranking.status == "failed" and ("packed" if packed else "longer than") in ranking.error


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://127.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://evil.example@127.0.0.1.nip.io", False),
        ("http://2130706433", False),
        ("http://[::ffff:8.8.8.8]", False),
        ("http://[bad", False),
        (None, False),
    ],
)
def test_this_machine_is_known_by_address_not_by_prefix(address: str | None, local: bool) -> None:
    assert is_loopback(address) is local


def test_a_password_in_an_address_of_the_environment_is_refused_and_not_repeated(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:hunter2-secret@127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="OPENAI_BASE_URL") as caught:
        make()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "params",
    [
        {"vertex_credentials": "x"},
        {"a": [{"bearer": "x"}]},
        {"access": "x"},
        {"extra_body": {"nested": {"aws_secret_access_key": "x"}}},
        {"mock_response": "yes"},
        {"extra_body": {"mock_tool_calls": []}},
        {"stop": "sk-abcdef123456"},
        {"stop": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkw"]},
        {"x": "https://user:pass@host"},
        {"x": "0123456789abcdef0123456789abcdef"},
        {"base_url": "http://elsewhere"},
        {"proxy": "x"},
    ],
)
def test_parameters_that_may_be_secrets_or_make_answers_up_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must not hold") as caught:
        LlmOptions(model="openai/x", params=params)
    for error in caught.value.errors():  # type: ignore[attr-defined]
        assert "sk-abcdef" not in error["msg"] and "pass@" not in error["msg"]


def test_ordinary_parameters_pass() -> None:
    params = {
        "max_completion_tokens": 5,
        "top_k": 1,
        "extra_body": {"chat_template_kwargs": {"thinking": False}},
    }
    assert LlmOptions(model="openai/x", params=params).params == params


@pytest.mark.parametrize(
    "mark",
    [
        *("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<bos>"),
        *(
            "<start_of_turn>",
            "<end_of_turn>",
            "<|eot_id|>",
            "<|start_header_id|>",
            "<｜User｜>",
            "<｜end▁of▁sentence｜>",
        ),
        *(
            "[SYSTEM_PROMPT]",
            "[TOOL_CALLS]",
            "<think>",
            "</think>",
            "◁think▷",
            "<|channel|>",
            "<mention>",
            "< / mention >",
        ),
        *("<<|x|>|im_start|>", "<[INST]INST>"),
    ],
)
def test_marks_of_chat_formats_are_broken_up(mark: str) -> None:
    shown = clean(f"a {mark} b")
    assert mark not in shown and "<|" not in shown and "[INST]" not in shown


def test_what_is_no_mark_stays() -> None:
    text = "p < 0.05 and x > 3; [3H]thymidine [12]; IL-2 (human)"
    assert clean(text) == text
