"""One training run, from a knowledge base and a base model to a model folder; continues where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from transformers import PrinterCallback, TrainerCallback

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.files import hash_file, hash_json, write_json
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.models import resolve_model
from bioelx_bench_sapbert.model_files import ENCODING_FILE
from bioelx_bench_sapbert.seen_aliases import write_seen
from bioelx_bench_sapbert.training.adapter import extract_adapter
from bioelx_bench_sapbert.training.batches import PairCollator, PairDataset
from bioelx_bench_sapbert.training.card import write_card
from bioelx_bench_sapbert.training.development import DevelopmentCallback, recall_at_1
from bioelx_bench_sapbert.training.encoder import (
    NameEncoder,
    load_base,
    prepare_model,
    save_model,
)
from bioelx_bench_sapbert.training.loss import PairLoss
from bioelx_bench_sapbert.training.negatives import HardNegatives, NegativesCallback, Searcher
from bioelx_bench_sapbert.training.order import PairOrder
from bioelx_bench_sapbert.training.preparation import WAIT_TIMEOUT_SECONDS, Prepared, prepare
from bioelx_bench_sapbert.training.settings import TrainingSettings
from bioelx_bench_sapbert.training.trainer import (
    BarCallback,
    PairTrainer,
    keep_freed_memory,
    training_arguments,
)

RUN_FILE: Final = "training.json"
"""What was trained on what, with figures: in the finished model folder and, without figures, while it runs."""

WORK_FOLDER: Final = "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What to train.

    Attributes:
        model: Base model: a folder, an id on the Hub or `<source>:<model>`.
        kb: The knowledge base whose names are trained on.
        output: The model folder to make.
        settings: The settings.
        development: Files of `CUI||mention` lines.
        command: The command line, for the card.
        keep_checkpoints: Keep the checkpoints when training is done.
    """

    model: str
    kb: KnowledgeBase
    output: Path
    settings: TrainingSettings
    development: tuple[Path, ...] = ()
    command: str = ""
    keep_checkpoints: bool = False


def train(request: TrainingRequest, environment: Environment) -> dict[str, Any]:
    """Train, and write the model folder; the same request continues after a stop.

    Returns:
        What `training.json` holds.

    Raises:
        UsageError: The output holds something else, or a language is unknown.
        MissingError: The model or a development file is not there.
        DataError: There are no pairs, or one concept only.
        BenchError: The loss is no finite number; the batch is saved.
    """
    settings = request.settings
    if settings.threads:
        torch.set_num_threads(settings.threads)
    folder = resolve_model(request.model, environment)
    record = describe(request, folder)
    main_process = int(os.environ.get("RANK", "0")) == 0
    if not main_process:
        await_first_process(request.output, record)
    if (finished := check_output(request.output, record)) is not None:
        return finished
    begun = bool(read_record(request.output))
    work = request.output / WORK_FOLDER
    work.mkdir(parents=True, exist_ok=True)
    if main_process:
        write_json(request.output / RUN_FILE, record)
    try:
        ready = prepare(request, folder, environment, work / "pairs.npy", main_process)
    except BenchError:
        if main_process and not begun:
            shutil.rmtree(
                request.output
            )  # nothing is trained, and the mended command should not stumble over it
        raise
    own_group = not has_process_group()
    figures = fit(request, ready, environment)
    if own_group and has_process_group():
        dist.destroy_process_group()  # left to the interpreter's end, a process may abort when others are gone
    if not main_process:
        return record
    report = {**record, "status": "finished", "pairs": len(ready.pairs), **figures}
    report["pair_shares"] = pair_shares(ready.order, ready.groups, ready.crossing)
    finish(request, ready.encoder, ready.tokenizer, report)
    return report


def has_process_group() -> bool:
    """Whether this process is one of several that train together."""
    return bool(dist.is_available() and dist.is_initialized())


def describe(request: TrainingRequest, folder: Path | None) -> dict[str, Any]:
    """What the result depends on; two requests are the same if this is."""
    from bioelx_bench.options import identity_options

    weights = sorted(folder.glob("*.safetensors")) if folder is not None and folder.is_dir() else []
    inputs = {
        "base_model": request.model,
        "base_sha256": {w.name: hash_file(w) for w in weights},
        "kb": dict(request.kb.describe()),
        "settings": identity_options(request.settings),
        "development": {f.name: hash_file(f) for f in request.development if existing(f)},
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
    }
    return {"format": 1, "status": "running", "id": hash_json(inputs), **inputs, "command": request.command}


def existing(file: Path) -> bool:
    """True, or an error if the file is not there."""
    if not file.is_file():
        raise MissingError(f"there is no development file {file}", where="--dev")
    return True


def check_output(output: Path, record: dict[str, Any]) -> dict[str, Any] | None:
    """None if the output is free or an unfinished run of the same request; the report if that is finished.

    Raises:
        UsageError: It holds something else.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return None
    if output.is_file():
        raise UsageError(
            f"{output} is a file", where=f"--output {output}", hint="name a folder, which need not be there"
        )
    found = read_record(output)
    if found.get("id") == record["id"]:
        return dict(found) if found.get("status") == "finished" else None
    changed = [k for k in ("base_model", "kb", "settings", "development") if found.get(k) != record[k]]
    raise UsageError(
        f"the output folder {output} is not empty",
        where=f"--output {output}",
        why=f"it holds a training run that differs in {', '.join(changed)}"
        if found
        else "it holds other files",
        hint="choose another folder, or remove that one",
    )


def read_record(output: Path) -> dict[str, Any]:
    """What a folder's `training.json` holds; empty if there is none that can be read."""
    path = output / RUN_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def await_first_process(output: Path, record: dict[str, Any]) -> None:
    """Wait until the first process of several has begun this training in the output folder."""
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while read_record(output).get("id") != record["id"]:
        if time.monotonic() > deadline:
            raise DataError("the first process did not begin this training", where=output)
        time.sleep(0.2)


def fit(request: TrainingRequest, ready: Prepared, environment: Environment) -> dict[str, Any]:
    """Run the Trainer from the start or the last checkpoint; the figures of this process."""
    pairs, encoder, tokens, development = ready.pairs, ready.encoder, ready.tokens, ready.development
    settings, work = request.settings, request.output / WORK_FOLDER
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_step = settings.batch_pairs * world
    steps = settings.steps or max(1, round(settings.epochs * len(pairs) / per_step))
    device, precision = ready.device, ready.precision
    if device.type == "cpu":
        keep_freed_memory()
    arguments = training_arguments(settings, work, steps, precision, cpu=device.type == "cpu")
    checkpoint = last_whole_checkpoint(work)
    done = int(Path(checkpoint).name.rpartition("-")[2]) if checkpoint else 0
    measure = (
        partial(recall_at_1, encoder, tokens, precision, request.kb, development) if development else None
    )
    before = untrained_recall(work, measure) if measure else None
    negatives = hard_negatives(request, ready, environment, steps * per_step, world)
    with environment.progress.task(
        "Training", total=steps * per_step, unit="pairs", done=done * per_step
    ) as bar:
        callbacks: list[TrainerCallback | None] = [
            BarCallback(bar, per_step),
            DevelopmentCallback(measure, settings.eval_steps) if measure else None,
            NegativesCallback(negatives) if negatives else None,
        ]
        trainer = PairTrainer(
            model=encoder,
            args=arguments,
            train_dataset=PairDataset(pairs, ready.order, steps * per_step, negatives),
            data_collator=PairCollator(request.kb, tokens, settings),
            pair_loss=PairLoss(settings),
            kb=request.kb,
            callbacks=[c for c in callbacks if c is not None],
        )
        trainer.remove_callback(PrinterCallback)  # standard output is for the report
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=checkpoint)
        seconds = time.perf_counter() - started
    parameters = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    kept = keep_as_adapter(request, ready, environment) if settings.adapter_rank else None
    figures: dict[str, Any] = {
        "steps": steps,
        "precision": precision,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "trained_parameters": parameters,
        "pairs_per_second": round((steps - done) * per_step / seconds, 2) if steps > done else None,
        "seconds_of_last_process": round(seconds, 1),
        "oom_retries": trainer.oom_retries,
        "log": trainer.state.log_history,
    }
    if kept is not None:
        figures["adapter_share_of_change"] = round(kept, 4)
    if development and measure:
        figures["development_figures"] = {
            "queries": len(development.queries),
            "dictionary_names": len(development.dictionary),
            "untrained": before,
            "trained": measure(),
        }
    return figures


def keep_as_adapter(request: TrainingRequest, ready: Prepared, environment: Environment) -> float:
    """Replace the trained model by its base with an adapter; the share of the squared change that it keeps."""
    folder = resolve_model(request.model, environment)
    base, _ = load_base(request.model, folder, offline=environment.offline)
    encoder = ready.encoder
    adapted, kept = extract_adapter(
        prepare_model(base, request.settings), encoder.model, request.settings.adapter_rank
    )
    encoder.model = adapted.to(ready.device)
    return kept


def hard_negatives(
    request: TrainingRequest, ready: Prepared, environment: Environment, length: int, world: int
) -> HardNegatives | None:
    """The hard negatives of the run, if it is to have any."""
    if not request.settings.hard_negatives:
        return None
    searcher = Searcher(
        encoder=ready.encoder,
        tokens=ready.tokens,
        precision=ready.precision,
        progress=environment.progress,
    )
    return HardNegatives(
        request.kb,
        ready.pairs,
        ready.order,
        length,
        request.settings,
        world,
        searcher if int(os.environ.get("RANK", "0")) == 0 else None,
        request.output / WORK_FOLDER,
    )


def untrained_recall(work: Path, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Recall@1 before the first step, measured once; a checkpoint is loaded only after this."""
    path = work / "untrained.json"
    if not path.is_file():
        write_json(path, measure())
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def last_whole_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that was written to its end; half-written ones, left by a kill, are removed."""
    found = sorted(work.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
    for folder in reversed(found):
        try:
            json.loads(
                (folder / "trainer_state.json").read_text(encoding="utf-8")
            )  # the Trainer writes it last
        except (OSError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        return str(folder)
    return None


def device_name(device: torch.device) -> str:
    """The device, for the card."""
    return (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"CPU ({torch.backends.cpu.get_cpu_capability()})"
    )


def pair_shares(order: PairOrder, groups: Any, crossing: Any) -> dict[str, Any]:
    """How many pairs are cross-lingual, as they are and as they were drawn."""
    sizes = np.bincount(groups, minlength=len(crossing))
    return {
        "crosslingual_natural": round(float(sizes[crossing].sum() / sizes.sum()), 4),
        "crosslingual_drawn": round(float(order.shares[crossing].sum()), 4),
    }


def trained_texts(kb: KnowledgeBase, pairs_file: Path) -> list[str]:
    """The names that occur in pairs."""
    import pyarrow as pa

    pairs = np.load(pairs_file, mmap_mode="r", allow_pickle=False)
    rows = np.unique(pairs)
    return [str(t) for t in kb.names.column("text").take(pa.array(rows)).to_pylist()]


def finish(request: TrainingRequest, encoder: NameEncoder, tokenizer: Any, report: dict[str, Any]) -> None:
    """Write model, tokenizer, hashes of the aliases, pooling and card; `training.json` last."""
    output, settings = request.output, request.settings
    model: Any = encoder.model
    if settings.makes_adapter:
        shrink_adapter(model)
        model.peft_config["default"].base_model_name_or_path = request.model
    save_model(model, tokenizer, output, adapter=settings.makes_adapter)
    work = output / WORK_FOLDER
    report["seen_aliases"] = write_seen(trained_texts(request.kb, work / "pairs.npy"), output)
    write_json(
        output / ENCODING_FILE,
        {
            "pooling": settings.pooling,
            "lowercase": settings.lowercase,
            "max_length": settings.max_length,
            "prefix": settings.prefix,
            "normalize": True,
        },
    )
    weights = sorted(output.glob("*.safetensors"))
    report["weights_sha256"] = {w.name: hash_file(w) for w in weights}
    write_card(output, report, request.kb)
    write_json(output / RUN_FILE, report)
    if not request.keep_checkpoints:
        shutil.rmtree(work)


def shrink_adapter(model: Any) -> None:
    """Store the adapter in half precision: half the size, and the merged weights differ by less than 1e-3."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float16)
