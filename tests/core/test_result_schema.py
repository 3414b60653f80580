"""The published JSON Schema is that of the models. `python tests/core/test_result_schema.py` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from bioelx_bench.results import Result

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "result.schema.json"


def schema_text() -> str:
    return json.dumps(Result.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def test_the_published_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
