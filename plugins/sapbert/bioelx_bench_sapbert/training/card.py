"""The model card that training writes, in the Hub's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jinja2

from bioelx_bench.files import write_text
from bioelx_bench.kb.store import KnowledgeBase

TEMPLATE: Final = """\
---
library_name: {{ "peft" if report.settings.lora_rank or report.settings.adapter_rank else "transformers" }}
base_model: {{ report.base_model }}
tags:
- biomedical-entity-linking
- cross-lingual
- sapbert
- feature-extraction
language:
{% for language in languages %}- {{ language }}
{% endfor %}---

# {{ title }}

A retriever for cross-lingual biomedical entity linking: `{{ report.base_model }}` trained by SapBERT's method on the
names of the knowledge base `{{ report.kb.name }}`. Made by `bioelx-bench train sapbert-x`.

## Use

    bioelx-bench run --retriever sapbert-x -R model=FOLDER

Pooling `{{ report.settings.pooling }}`, {{ "lowercased" if report.settings.lowercase else "cased" }} names,
{{ "prefix `" ~ report.settings.prefix ~ "`" if report.settings.prefix else "no prefix" }}, at most \
{{ report.settings.max_length }} tokens; cosine similarity.

## Data

| | |
|---|---|
| knowledge base | `{{ report.kb.name }}`, sha256 `{{ report.kb.sha256 }}` |
| concepts, names | {{ report.kb.concepts }}, {{ report.kb.names }} |
| languages trained on | {{ languages | join(", ") }} |
| pairs | {{ report.pairs }} ({{ "%.1f" | format(100 * report.pair_shares.crosslingual_natural) }} % in two \
languages; drawn {{ "%.1f" | format(100 * report.pair_shares.crosslingual_drawn) }} %) |
| different aliases (`seen_aliases.npy`) | {{ report.seen_aliases }} |

Source files:

{% for file in files %}- `{{ file.path }}` sha256 `{{ file.sha256 }}`{{ ", " ~ file.licence if file.licence else "" }}
{% endfor %}
{% for name, sha in report.development.items() if sha is string %}- development: `{{ name }}` sha256 `{{ sha }}`
{% endfor %}
## Settings

| setting | value |
|---|---|
{% for key, value in report.settings.items() %}| {{ key }} | {{ value }} |
{% endfor %}| processes | {{ report.world_size }} |
| steps | {{ report.steps }} |
| precision, device | {{ report.precision }}, {{ report.device }} |
| trained parameters | {{ report.trained_parameters }} |
{% if report.adapter_share_of_change is defined %}| share of their squared change that the adapter keeps | \
{{ "%.1f" | format(100 * report.adapter_share_of_change) }} % |
{% endif %}
## Figures

{% if report.pairs_per_second %}Throughput {{ report.pairs_per_second }} pairs/s.{% endif %}

{% if development %}Recall@1 on development data ({{ development.queries }} mentions, a dictionary of \
{{ development.dictionary_names }} English names; not a benchmark):

| | untrained | trained |
|---|---|---|
{% for group, value in development.trained.items() %}| {{ group }} | \
{{ "%.1f" | format(100 * development.untrained[group]) }} | \
{{ "%.1f" | format(100 * value) }} |
{% endfor %}{% endif %}
## Weights

{% for name, sha in report.weights_sha256.items() %}- `{{ name }}` sha256 `{{ sha }}`
{% endfor %}
## Reproduce

    {{ report.command }}
"""


def write_card(folder: Path, report: dict[str, Any], kb: KnowledgeBase) -> None:
    """Write `README.md` from what `training.json` holds."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701 - Markdown
    figures = report.get("development_figures")
    text = environment.from_string(TEMPLATE).render(
        report=json.loads(json.dumps(report)),
        title=folder.name,
        languages=list(report["settings"]["languages"]) or sorted(kb.languages),
        files=[f.model_dump() for f in kb.manifest.files],
        development=figures,
    )
    write_text(folder / "README.md", text)
