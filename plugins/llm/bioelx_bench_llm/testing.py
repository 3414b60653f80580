"""The conformance class of strategies, and a small server that answers as models do; needs pytest.

Example:
    class TestMine(StrategyConformance):
        strategy = "my_package.component:MINE"
"""

from __future__ import annotations

import hashlib
import json
import math
import string
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.testing import RankerConformance
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.ranker import LlmRanker

WORDS: Final = ("yes", "no", *string.ascii_uppercase[:20], *map(str, range(1, 21)))
"""What an answer may begin with: what strategies ask for."""


class AnsweringServer:
    """Speaks the chat protocol of OpenAI on 127.0.0.1; an answer depends on its request alone."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        """The base address, for `api_base`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer with likelihoods of words that follow from the messages."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(answer(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to a chat request, in OpenAI's form."""
    seed = hashlib.sha256(json.dumps(asked["messages"]).encode()).digest()
    weights = {word: 1 + seed[place % len(seed)] for place, word in enumerate(WORDS)}
    total = sum(weights.values())
    ranked = sorted(weights, key=lambda word: -weights[word])[: asked.get("top_logprobs") or 1]
    tokens = [
        {"token": w, "logprob": math.log(weights[w] / total), "bytes": list(w.encode())} for w in ranked
    ]
    return {
        "id": "answer",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ranked[0]},
                "finish_reason": "stop",
                "logprobs": {"content": [{**tokens[0], "top_logprobs": tokens}]}
                if asked.get("logprobs")
                else None,
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    }


class StrategyConformance(RankerConformance):
    """Subclass it as `Test...` and name the strategy; pytest then runs every check of rankers with it.

    Attributes:
        strategy: What `-K strategy=` takes: a name, or `package.module:NAME`.
    """

    __test__ = False
    strategy: ClassVar[str]
    server: ClassVar[AnsweringServer]

    def __init_subclass__(cls) -> None:
        """Collect subclasses, not this class."""
        cls.__test__ = True

    @classmethod
    def setup_class(cls) -> None:
        """Start the server."""
        cls.server = AnsweringServer()
        super().setup_class()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the server."""
        super().teardown_class()
        cls.server.close()

    @classmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        """The ranker with the strategy."""
        options = LlmOptions(model="openai/test", api_base=cls.server.base, strategy=cls.strategy)
        return LlmRanker(options, environment)
