"""Run by torchrun in `test_train.py`: train with the arguments of a JSON file and write the losses."""

import json
import sys
from pathlib import Path

from bioelx_bench_sapbert.training.run import TrainingRequest, train
from bioelx_bench_sapbert.training.settings import TrainingSettings

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.store import KnowledgeBase

given = json.loads(Path(sys.argv[1]).read_text())
train(
    TrainingRequest(
        model=given["model"],
        kb=KnowledgeBase.open(Path(given["kb"])),
        output=Path(given["output"]),
        settings=TrainingSettings(**given["settings"]),
        keep_checkpoints=True,
    ),
    Environment(cache=Cache(Path(given["output"]).parent / "cache")),
)
