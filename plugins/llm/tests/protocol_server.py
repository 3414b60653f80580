"""A local HTTP server that speaks the OpenAI protocol and misbehaves on command.

What it does with a request depends on the request's content alone (and, for faults in transport, on how often
the same request was sent before), so that every run against it ends the same. Run as a program, it serves
until its stdin closes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

TRANSPORT = ("429", "500", "drop", "stall", "truncated_body")
CONTENT = ("not_json", "out_of_range", "repeated", "empty", "refusal", "prose", "partial")
CONTENT_POINTWISE = ("no_logprobs", "empty", "refusal")


@dataclass
class Behaviour:
    """What the server does.

    Attributes:
        faults: Share of requests that something is wrong with.
        delay: Seconds every answer takes.
        stall: Seconds a stalled request hangs.
        retry_after: The header's value on a 429.
        refuse_forms: Values of response_format's type that are answered with a 400.
        no_logprobs: Whether `logprobs` is answered with a 400.
        echo: Text put into error messages and answers.
        status: Answer everything with this status.
        kinds: The faults in transport to choose from.
    """

    faults: float = 0.0
    delay: float = 0.0
    stall: float = 30.0
    retry_after: str = "0.05"
    refuse_forms: tuple[str, ...] = ()
    no_logprobs: bool = False
    echo: str = ""
    status: int = 200
    kinds: tuple[str, ...] = TRANSPORT
    content: bool = True


@dataclass
class Server:
    """The server; its counts are read by tests."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    port: int = 0
    requests: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    busiest: int = 0
    _busy: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, ready: Any = None, stop: asyncio.Event | None = None) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]
        if ready is not None:
            ready()
        if stop is not None:
            await stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                match = re.search(r"content-length: *(\d+)", head, re.I)
                body = await reader.readexactly(int(match.group(1)) if match else 0)
                self._busy += 1
                self.busiest = max(self.busiest, self._busy)
                try:
                    if not await self._answer(head, body, writer):
                        break
                finally:
                    self._busy -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False closes the connection."""
        do = self.behaviour
        self.requests += 1
        path = head.split(" ", 2)[1]
        if path.endswith("/models"):
            return await send(writer, 200, {"object": "list", "data": [{"id": "test", "object": "model"}]})
        request = json.loads(body)
        self.bodies.append(request)
        self.headers.append(head)
        if do.delay:
            await asyncio.sleep(do.delay)
        if do.status != 200:
            return await send(writer, do.status, {"error": {"message": f"no: {do.echo}", "type": "error"}})
        kind = (request.get("response_format") or {}).get("type")
        if kind in do.refuse_forms or (do.no_logprobs and request.get("logprobs")):
            return await send(writer, 400, {"error": {"message": "this parameter is not supported"}})
        name = hashlib.sha256(body).hexdigest()
        self.tried[name] += 1
        fault = self._fault(name, request)
        if fault:
            self.faults[fault] += 1
        if fault == "429":
            headers = {"retry-after": do.retry_after}
            return await send(writer, 429, {"error": {"message": f"slow down {do.echo}"}}, headers)
        if fault == "500":
            return await send(writer, 500, {"error": {"message": f"oops {do.echo}"}})
        if fault == "drop":
            return False
        if fault == "stall":
            await asyncio.sleep(do.stall)
            return False
        rerank = path.endswith("/rerank")
        answer = rerank_answer(request, fault) if rerank else chat_answer(request, fault, do.echo)
        if fault == "truncated_body":
            data = json.dumps(answer).encode()[:-20]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(f"content-length: {len(data)}\r\n\r\n".encode() + data)
            await writer.drain()
            return True
        self.answered[name] += 1
        return await send(writer, 200, answer)

    def _fault(self, name: str, request: dict[str, Any]) -> str | None:
        do, dice = self.behaviour, random.Random(name)
        if dice.random() >= do.faults:
            return None
        if dice.random() < 0.5 or not do.content:
            kind, times = dice.choice(do.kinds), dice.randint(1, 3)
            return kind if self.tried[name] <= times else None
        return dice.choice(CONTENT_POINTWISE if request.get("logprobs") else CONTENT)


def prompt_of(request: dict[str, Any]) -> str:
    return str(request["messages"][-1]["content"])


def liking(text: str) -> float:
    """A fixed number in (0, 1) that the model 'thinks' of a text."""
    return (int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) + 1) / (2**32 + 2)


def chat_answer(request: dict[str, Any], fault: str | None, echo: str) -> dict[str, Any]:
    """A chat completion."""
    prompt = prompt_of(request)
    lines = re.findall(r"^(\d+)\. (.*)$", prompt, re.M)
    letters = re.findall(r"^([A-Z]): (.*)$", prompt, re.M)
    logprobs = None
    if lines:
        order = [int(n) for n, text in sorted(lines, key=lambda line: -liking(line[1]))]
        text = json.dumps({"ranking": order}) + echo
    elif letters:
        total = sum(liking(t) for _, t in letters)
        logprobs = [(letter, math.log(liking(t) / total)) for letter, t in letters]
        text = max(logprobs, key=lambda pair: pair[1])[0]
    else:
        value = liking(prompt.rpartition("Candidate:")[2])
        logprobs = [("yes", math.log(value)), ("No", math.log(1 - value)), (" maybe", -20.0)]
        text = "yes" if value > 0.5 else "no"
    text, logprobs, finish = spoil(text, logprobs, fault, len(lines))
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice["message"] = {"role": "assistant", "content": text}
    if logprobs and request.get("logprobs"):
        top = [{"token": t, "logprob": v, "bytes": None} for t, v in logprobs]
        choice["logprobs"] = {"content": [{**max(top, key=lambda a: a["logprob"]), "top_logprobs": top}]}
    usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 1 + len(text) // 4}
    usage["total_tokens"] = sum(usage.values())
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [choice],
        "usage": usage,
    }


def spoil(text: str, logprobs: Any, fault: str | None, count: int) -> tuple[str, Any, str]:
    """Put a fault into an answer's content."""
    if fault == "no_logprobs":
        return text, None, "stop"
    if fault == "empty":
        return "", None, "stop"
    if fault == "refusal":
        return "I'm sorry, but I cannot give medical advice.", None, "stop"
    if fault == "not_json":
        return text[: len(text) // 2], logprobs, "length"
    if fault == "out_of_range" and count:
        return json.dumps({"ranking": [99, *range(2, count + 1), -3]}), logprobs, "stop"
    if fault == "repeated" and count:
        return json.dumps({"ranking": [2, 2, *range(1, count + 1)]}), logprobs, "stop"
    if fault == "partial" and count:
        return json.dumps({"ranking": [2]}), logprobs, "stop"
    if fault == "prose":
        return (
            "The best candidate of all 10 is probably the one that was named in the text.",
            logprobs,
            "stop",
        )
    return text, logprobs, "stop"


def rerank_answer(request: dict[str, Any], fault: str | None) -> dict[str, Any]:
    """A rerank answer."""
    results = [{"index": i, "relevance_score": liking(d)} for i, d in enumerate(request["documents"])]
    if fault in {"out_of_range", "repeated", "partial"}:
        results = [{"index": 99, "relevance_score": 0.5}, results[0], results[0]]
    if fault in {"empty", "refusal", "prose", "not_json"}:
        results = []
    return {"id": "x", "results": results, "meta": {"tokens": {"input_tokens": 7, "output_tokens": 0}}}


async def send(
    writer: asyncio.StreamWriter, status: int, value: Any, headers: dict[str, str] | None = None
) -> bool:
    data = json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}"]
    lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()
    return True


class Running:
    """A server in a thread, for a `with` block."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.server = Server(behaviour or Behaviour())
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def work() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await self.server.serve(self._ready.set, self._stop)

        asyncio.run(work())

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(10)
        return self.server

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def main() -> None:
    """Serve until stdin closes; print the port."""
    with Running(Behaviour(**json.loads(sys.argv[1]))) as server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
