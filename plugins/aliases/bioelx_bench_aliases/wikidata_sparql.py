"""`wikidata-sparql`: aliases from any SPARQL endpoint with Wikidata's vocabulary, page by page.

A page asks for the items of some identifiers (`VALUES`), so that its cost is bounded and no order or offset over
millions of rows is needed. Answers are logged; after a stop the same command asks only for the missing pages.
A page that takes too long is asked for again in halves.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.errors import BenchError, DataError, MissingError
from bioelx_bench.files import JsonLines, hash_file, hash_json
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.records import Alias
from bioelx_bench_aliases.crosswalk import PREFIXES, PROPERTIES
from bioelx_bench_aliases.options import SparqlOptions
from bioelx_bench_aliases.wikidata import ALT_LABEL, LABEL, SOURCE, joining_properties

if TYPE_CHECKING:
    import httpx

RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_WAIT_SECONDS: Final = 120.0
MAX_ANSWER_BYTES: Final = 64 << 20
"""A page of 2,000 identifiers has some 10 MB; larger answers are asked for in halves, and in the end refused."""

QUERY: Final = """\
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
SELECT DISTINCT ?id ?item ?p ?name WHERE {{
  VALUES ?id {{ {values} }}
  ?item wdt:{property} ?id .
  VALUES ?p {{ rdfs:label skos:altLabel }}
  ?item ?p ?name .
  {filter}
}}"""

NAMES_OF: Final = {
    "http://www.w3.org/2000/01/rdf-schema#label": LABEL,
    "http://www.w3.org/2004/02/skos/core#altLabel": ALT_LABEL,
}


class TimedOutError(Exception):
    """The endpoint did not answer a page in time, or cut the answer off."""


class WikidataSparql(BaseAliasSource):
    """See the module."""

    def __init__(self, options: SparqlOptions, environment: Environment) -> None:
        super().__init__()
        self.options = options
        self.environment = environment
        self.properties, self.crosswalk = joining_properties(options)
        self.languages = sorted(options.wanted())
        self.kb = open_knowledge_base(options.kb, environment)
        self.files = {f"knowledge base {self.kb.name}": self.kb.sha256}
        if options.crosswalk is not None:
            self.files[options.crosswalk.name] = hash_file(options.crosswalk)

    def key(self) -> str:
        """What the pages depend on."""
        asked = {
            "endpoint": self.options.endpoint,
            "properties": list(self.properties),
            "languages": self.languages,
            "files": self.files,
            "page": self.options.page,
        }
        return hash_json(asked)[:32]

    def close(self) -> None:
        """Remove the logged answers."""
        folder = self.environment.cache.folder("aliases-sparql", self.key())
        if folder.is_dir():
            shutil.rmtree(folder)

    def pages(self) -> list[tuple[str, list[str]]]:
        """Property and identifiers of each page, the same each time."""
        known = self.kb.concepts.column("id").to_pylist()
        wanted = frozenset(known)
        pages = []
        for name in self.properties:
            vocabulary = PROPERTIES[name]
            identifiers = (
                known
                if vocabulary == "umls"
                else [
                    i
                    for i in self.crosswalk.identifiers(vocabulary)
                    if wanted & set(self.crosswalk.concepts(vocabulary, i))
                ]
            )
            size = self.options.page
            pages += [(name, identifiers[at : at + size]) for at in range(0, len(identifiers), size)]
        return pages

    def __iter__(self) -> Iterator[Alias]:
        """Every alias of every page.

        Raises:
            BenchError: The endpoint goes on failing; what was answered so far is kept.
            DataError: It answers with something else than SPARQL results.
        """
        import httpx

        if self.environment.offline:
            raise MissingError(
                "wikidata-sparql needs a connection, and --offline forbids it", where="wikidata-sparql"
            )
        pages = self.pages()
        folder = self.environment.cache.folder("aliases-sparql", self.key())
        log = JsonLines(folder / "pages.jsonl")
        headers = {"User-Agent": self.options.user_agent, "Accept": "application/sparql-results+json"}
        try:
            done = 0
            for entry in log:
                done = int(entry["page"]) + 1
                self.counts["pages"] += 1
                yield from self.aliases(str(entry["property"]), entry["rows"], str(entry["date"]))
            with (
                self.environment.progress.task("SPARQL", total=len(pages), unit="pages", done=done) as task,
                httpx.Client(headers=headers, timeout=self.options.timeout, follow_redirects=False) as client,
            ):
                for number in range(done, len(pages)):
                    name, identifiers = pages[number]
                    rows = self.ask(client, name, identifiers)
                    date = datetime.datetime.now(datetime.UTC).date().isoformat()
                    log.append([{"page": number, "property": name, "date": date, "rows": rows}])
                    self.counts["pages"] += 1
                    task.advance()
                    yield from self.aliases(name, rows, date)
                    time.sleep(self.options.pause)
        finally:
            log.close()

    def aliases(self, name: str, rows: Sequence[Sequence[str]], date: str) -> Iterator[Alias]:
        """The aliases of a page's rows."""
        for identifier, item, kind, language, text in rows:
            self.counts["rows"] += 1
            for concept in self.crosswalk.concepts(PROPERTIES[name], identifier):
                if concept in self.kb:
                    yield Alias(
                        concept_id=concept,
                        language=language.lower(),
                        text=text,
                        source=SOURCE,
                        preferred=kind == LABEL,
                        item=item,
                        property=kind,
                        joined_by=name,
                        date=date,
                    )

    def ask(self, client: httpx.Client, name: str, identifiers: Sequence[str]) -> list[list[str]]:
        """The rows of some identifiers, asked for in halves where the endpoint is too slow for all."""
        query = self.query(name, identifiers)
        try:
            return self.rows(self.request(client, query, may_split=len(identifiers) > 1))
        except TimedOutError:
            self.counts["split_pages"] += 1
            middle = len(identifiers) // 2
            return self.ask(client, name, identifiers[:middle]) + self.ask(client, name, identifiers[middle:])

    def query(self, name: str, identifiers: Sequence[str]) -> str:
        """The query of a page; identifiers and languages are quoted as SPARQL strings."""
        prefix = PREFIXES.get(PROPERTIES[name], "")
        values = " ".join(quote(prefix + i) for i in identifiers)
        tags = ", ".join(quote(x) for x in self.languages)
        condition = f"FILTER(LANG(?name) IN ({tags}))" if tags else ""
        return QUERY.format(values=values, property=name, filter=condition)

    def request(self, client: httpx.Client, query: str, *, may_split: bool) -> dict[str, Any]:
        """One answer, asked for again after errors that pass.

        Raises:
            TimedOutError: It took too long or broke off twice, and the page can be split.
            BenchError: The endpoint refuses, or all attempts failed.
        """
        import httpx

        trouble, slow = "", 0
        for attempt in range(self.options.retries + 1):
            if attempt:
                self.counts["retries"] += 1
            self.counts["requests"] += 1
            asked_to_wait = None
            try:
                with client.stream("POST", self.options.endpoint, data={"query": query}) as answer:
                    content = read_bounded(answer)
                if answer.status_code == 200:
                    return parse(content)
                trouble = describe_refusal(answer, content)
                if answer.status_code not in RETRIED:
                    break
                slow += answer.status_code in {408, 504}
                asked_to_wait = retry_after(answer.headers.get("Retry-After", ""))
            except (httpx.TransportError, ValueError) as error:
                trouble = f"{type(error).__name__}: {error}"
                slow += isinstance(error, httpx.TimeoutException | ValueError)
            if may_split and slow >= 2:
                raise TimedOutError
            if attempt < self.options.retries:
                time.sleep(waiting_time(attempt, asked_to_wait))
        raise BenchError(
            "the SPARQL endpoint does not answer",
            where=self.options.endpoint,
            why=trouble,
            hint="repeat the command later: it continues with the missing pages; -O page=50 asks for less at once",
        )

    def rows(self, answer: dict[str, Any]) -> list[list[str]]:
        """Identifier, item, kind of name, language and name of each row.

        Raises:
            DataError: They are not what was asked for.
        """
        try:
            return [
                [
                    row["id"]["value"],
                    row["item"]["value"].rpartition("/")[2],
                    NAMES_OF[row["p"]["value"]],
                    row["name"].get("xml:lang", "und"),
                    row["name"]["value"],
                ]
                for row in answer["results"]["bindings"]
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                "the endpoint's answer is not the SPARQL result that was asked for",
                where=self.options.endpoint,
                why=f"{type(error).__name__}: {error}",
                hint="check that the endpoint serves Wikidata",
            ) from error


def read_bounded(answer: httpx.Response) -> bytes:
    """The decoded content of an answer; raises `ValueError` beyond `MAX_ANSWER_BYTES`."""
    content = bytearray()
    for block in answer.iter_bytes():
        content += block
        if len(content) > MAX_ANSWER_BYTES:
            raise ValueError(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MB")
    return bytes(content)


def describe_refusal(answer: httpx.Response, content: bytes) -> str:
    """What a server said instead of an answer; redirects are not followed, so that no query goes astray."""
    if answer.is_redirect:
        return f"HTTP {answer.status_code}: it redirects to {answer.headers.get('Location', '')[:200]}"
    return f"HTTP {answer.status_code}: {content[:200].decode(errors='replace').strip()}"


def parse(content: bytes) -> dict[str, Any]:
    """The JSON of an answer; raises `ValueError` if it was cut off."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("the answer is no JSON object")
    return value


def quote(text: str) -> str:
    """A SPARQL string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def retry_after(header: str) -> float | None:
    """Seconds that a Retry-After header asks to wait (RFC 9110: seconds or a date), or None."""
    if header.strip().isdigit():
        return float(header)
    try:
        when = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, when.timestamp() - time.time())


def waiting_time(attempt: int, asked: float | None) -> float:
    """Seconds to wait after an attempt: as asked, else doubling from one second, with a random part."""
    if asked is not None:
        return min(asked, MAX_WAIT_SECONDS)
    return min(MAX_WAIT_SECONDS, 2.0**attempt) * (0.5 + random.random() / 2)  # noqa: S311 - spreading, not secrecy
