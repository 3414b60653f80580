"""No API key ends up in a file, a log or an error, in any form."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from protocol_server import Behaviour, Running
from samples import items

from bioelx_bench.errors import BenchError
from bioelx_bench.redaction import LOOKS_LIKE_KEY, Redactor
from bioelx_bench.testing import make_knowledge_base

KEY = "planted/Key+0123456789=abcDEF"
FORMS = (KEY, KEY[:14], quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode().rstrip("="))


def assert_clean(text: str, place: str) -> None:
    for form in FORMS:
        assert form not in text, place


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("strategy", ["listwise", "rerank"])
def test_a_server_that_echoes_the_key_leaks_nothing(
    make: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    status: int,
    strategy: str,
) -> None:
    monkeypatch.setenv("MY_ENDPOINT_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    echo = f" {KEY} {quote(KEY, safe='')} {base64.b64encode(KEY.encode()).decode()} Bearer {KEY}"
    with Running(Behaviour(status=status, echo=echo)) as server:
        ranker = make(
            model="hosted_vllm/test",
            api_base=server.base,
            api_key_env="MY_ENDPOINT_KEY",
            strategy=strategy,
            attempts=2,
            max_errors=0,
        )
        shown = ""
        try:
            rankings = list(ranker.rank_many(items(3)))
            shown += repr(rankings)
        except BenchError as error:
            shown += str(error) + repr(error)
            chain: BaseException | None = error
            while chain is not None:
                shown += repr(chain)
                chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
        assert any(KEY in head for head in server.headers), "the key is sent where it belongs"
        shown += json.dumps([dict(ranker.notes().facts), dict(ranker.identity())])
        shown += ranker.options.model_dump_json()
        ranker.close()
    assert_clean(shown, "results and errors")
    assert_clean(caplog.text, "logs")
    assert_clean("".join(capfd.readouterr()), "output")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert_clean(path.read_bytes().decode("latin-1"), str(path))


def test_a_providers_key_is_not_sent_to_another_address(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Running() as server:
        assert list(make(api_base=server.base, strategy="listwise").rank_many(items(1)))
        assert server.headers and not any(KEY in head for head in server.headers)


def test_a_key_given_as_an_option_is_not_repeated() -> None:
    code = (
        "import sys; from bioelx_bench.options import validate_options as v\n"
        "from bioelx_bench_llm.options import LlmOptions\n"
        "for k in ('api_key', 'api_key_env', 'token', 'params'):\n"
        f"    try: v(LlmOptions, {{'model': 'openai/x', k: '{{\"api_key\": \"%s\"}}' % {KEY!r}}}, 'x', '-K')\n"
        "    except Exception as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.count("api_key") >= 2 and not done.stderr
    assert_clean(done.stdout, "the error")


@pytest.mark.parametrize("shift", range(3))
def test_base64_is_found_at_any_alignment(shift: int) -> None:
    redact = Redactor({"X_API_KEY": KEY})
    coded = base64.b64encode(b"user:"[:shift] + KEY.encode() + b" and more").decode()
    assert redact(coded) != coded


def test_ordinary_words_stay() -> None:
    text = "The task-based risk-factor was skin-related; hf is heart failure."
    assert LOOKS_LIKE_KEY.sub("", text) == text


@pytest.mark.parametrize("status", [200, 401])
def test_a_whole_run_leaves_no_key_in_its_folder_or_in_the_cache(tmp_path: Path, status: int) -> None:
    kb = make_knowledge_base(tmp_path / "kb").folder
    echo = f" {KEY} {quote(KEY, safe='')} {base64.b64encode(KEY.encode()).decode()} Bearer {KEY}"
    with Running(Behaviour(status=status, echo=echo)) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from bioelx_bench.cli.main import main; main()"),
                *("run", "--plugin", str(Path(__file__).parent / "fixed_retriever.py"), "--json", "--debug"),
                *("--dataset", "xl-bel", "--subset", "de", "--limit", "5", "--kb", str(kb)),
                *("--output", str(tmp_path / "runs"), "--retriever", "fixed", "--k", "10"),
                *("--ranker", "hosted_vllm/test", "-K", f"api_base={server.base}", "-K", "strategy=listwise"),
                *("-K", "api_key_env=MY_ENDPOINT_KEY", "-K", "attempts=2", "-K", "max_errors=0"),
            ],
            env={
                **os.environ,
                "MY_ENDPOINT_KEY": KEY,
                "BIOELX_BENCH_CACHE": str(tmp_path / "cache"),
                "XDG_CONFIG_HOME": str(tmp_path),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert any(KEY in head for head in server.headers), "the key is sent where it belongs"
    assert (done.returncode == 0) == (status == 200), done.stderr
    assert_clean(done.stdout + done.stderr, "output")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"manifest.json", "sessions.jsonl"} <= {path.name for path in files}
    for path in files:
        assert_clean(path.read_bytes().decode("latin-1"), str(path))
