"""A SPARQL endpoint on this machine: pyoxigraph behind HTTP, which can be told to misbehave."""

from __future__ import annotations

import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyoxigraph as ox

WDT = "http://www.wikidata.org/prop/direct/"
WD = "http://www.wikidata.org/entity/"
LABEL = ox.NamedNode("http://www.w3.org/2000/01/rdf-schema#label")
ALT = ox.NamedNode("http://www.w3.org/2004/02/skos/core#altLabel")

Item = tuple[str, dict[str, str], list[tuple[str, str, bool]]]


def make_store(items: list[Item]) -> ox.Store:
    """A store of items: id, identifiers by property, names (language, text, whether it is the label)."""
    store = ox.Store()
    for item, identifiers, names in items:
        node = ox.NamedNode(WD + item)
        for name, value in identifiers.items():
            store.add(ox.Quad(node, ox.NamedNode(WDT + name), ox.Literal(value)))
        for language, text, label in names:
            store.add(ox.Quad(node, LABEL if label else ALT, ox.Literal(text, language=language)))
    return store


@dataclass
class Endpoint:
    """Where it is, what it was asked, and what it does with the next requests.

    `plan` holds one word a request: `429`, `500`, `400`, `cut` (truncated JSON), `slow` (no answer in time).
    """

    url: str
    plan: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)


@contextmanager
def serve(store: ox.Store) -> Iterator[Endpoint]:
    """Run the endpoint in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            query = urllib.parse.parse_qs(body)["query"][0]
            endpoint.queries.append(query)
            endpoint.agents.add(self.headers["User-Agent"])
            act = endpoint.plan.pop(0) if endpoint.plan else ""
            if act == "slow":
                time.sleep(1.0)
                return
            if act in {"429", "500", "400"}:
                self.send_response(int(act))
                if act == "429":
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(b"no")
                return
            data = store.query(query).serialize(format=ox.QueryResultsFormat.JSON)
            assert data is not None
            if act == "cut":
                data = data[: len(data) // 2]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/sparql")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
