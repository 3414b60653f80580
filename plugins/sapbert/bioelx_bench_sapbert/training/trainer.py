"""The transformers Trainer, taught pairs, the loss over all processes and small checkpoints."""

# ruff: noqa: ARG002 - the Trainer fixes the arguments of what it calls

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bioelx_bench.errors import BenchError
from bioelx_bench.files import write_json
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Task
from bioelx_bench_sapbert.hardware import has_fast_bf16, is_out_of_memory
from bioelx_bench_sapbert.training.loss import PairLoss
from bioelx_bench_sapbert.training.settings import TrainingSettings

TRAINED_WEIGHTS: Final = "trained.safetensors"
"""A checkpoint's weights: only those that are trained, since the others are the base model's."""


GPU_WORKERS: Final = 2
"""Processes that draw pairs and negatives and make tokens ahead of a GPU; on a CPU they would take its cores."""

MIN_CHUNK_NAMES: Final = 4
"""Names encoded at once below which out of memory is an error."""

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3); 32 MB is the most that glibc takes for the latter."""


class PairTrainer(Trainer):
    """Trains a `NameEncoder` on batches of `PairCollator`."""

    def __init__(self, *, pair_loss: PairLoss, kb: KnowledgeBase, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.pair_loss = pair_loss
        self.kb = kb
        self.model_accepts_loss_kwargs = False
        self.oom_retries = 0

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **named: Any
    ) -> torch.Tensor:
        """One step; where memory runs out it is done again with gradient caching, in smaller and smaller chunks.

        Raises:
            BenchError: Memory does not suffice for chunks of `MIN_CHUNK_NAMES` names, or one of several processes ran
                out of it, which the others cannot know.
        """
        state = random_state()
        while True:
            try:
                return super().training_step(model, inputs, *arguments, **named)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self.lower_chunks(inputs, error)
            model.zero_grad(set_to_none=True)  # the pass that failed may have left some
            set_random_state(state)

    def lower_chunks(self, inputs: Mapping[str, Any], error: Exception) -> None:
        """Halve the names that are encoded at once."""
        encoder: Any = self.accelerator.unwrap_model(self.model)
        names = max(len(chunk["input_ids"]) for chunk in inputs["chunks"])
        size = min(encoder.chunk_names or names, names) // 2
        if size < MIN_CHUNK_NAMES or self.args.world_size > 1:
            raise BenchError(
                f"memory does not suffice for a step of {len(inputs['order'])} names",
                where=f"--set batch_pairs={self.args.per_device_train_batch_size}",
                why=str(error).strip().splitlines()[0],
                hint="lower batch_pairs or max_length"
                if self.args.world_size == 1
                else f"--set chunk_names={max(size, MIN_CHUNK_NAMES)} (then lower batch_pairs or max_length)",
            ) from error
        encoder.chunk_names = size
        self.oom_retries += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of a batch.

        Raises:
            BenchError: It is not a finite number; the batch is saved beside the checkpoints.
        """
        vectors = model(inputs["chunks"], inputs["order"])
        with torch.autocast(vectors.device.type, enabled=False):
            loss = self.pair_loss(vectors, inputs["concepts"])
        if not torch.isfinite(loss):
            self.refuse(inputs, float(loss.detach()))
        return (loss, vectors) if return_outputs else loss

    def refuse(self, inputs: Mapping[str, Any], loss: float) -> None:
        """Save the batch and stop."""
        path = Path(str(self.args.output_dir)) / f"bad_batch_step{self.state.global_step}.json"
        rows = inputs["rows"].tolist()
        names = [
            {
                "row": r,
                "concept": self.kb.concept_id(int(self.kb.name_concepts[r])),
                "name": self.kb.name_text(r),
            }
            for r in rows
        ]
        write_json(path, {"step": self.state.global_step, "loss": repr(loss), "names": names})
        raise BenchError(
            f"the loss became {loss} at step {self.state.global_step + 1}",
            where=path,
            why="the batch is saved there; a learning rate that is too high is the usual cause",
            hint="lower it (--set learning_rate=...), add --set warmup_steps=... or --set precision=fp32, and "
            "train into a new folder",
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        """The dataset is already in training order."""
        dataset: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(dataset)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        encoder: Any = self.model
        save_file(trained_weights(encoder), folder / TRAINED_WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target: Any = model if model is not None else self.model
        weights = load_file(Path(resume_from_checkpoint) / TRAINED_WEIGHTS)
        parameters = dict(target.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                parameters[name].copy_(value)


def random_state() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The state of torch's random numbers, on the CPU and every GPU."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def set_random_state(state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
    """Go back to a state, so that a step that is done again draws the same dropout."""
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])


def trained_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that are trained, by name."""
    return {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


class BarCallback(TrainerCallback):
    """Moves the progress bar by pairs."""

    def __init__(self, task: Task, pairs: int) -> None:
        self.task = task
        self.pairs = pairs

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One step is done."""
        self.task.advance(self.pairs)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss beside the bar."""
        if logs and "loss" in logs:
            self.task.advance(0, note=f"loss {float(logs['loss']):.4f}")


def resolve_precision(settings: TrainingSettings, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`: what is asked for, or for `auto` bf16 where the hardware computes it."""
    if settings.precision != "auto":
        return settings.precision
    if has_fast_bf16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "fp32"


def training_arguments(
    settings: TrainingSettings, folder: Path, steps: int, precision: str, *, cpu: bool
) -> TrainingArguments:
    """The Trainer's arguments for these settings."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_pairs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=schedule_name(settings),
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        seed=settings.seed,
        data_seed=settings.seed,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=2,
        logging_steps=settings.logging_steps,
        logging_strategy="steps",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=reporters(),
        remove_unused_columns=False,
        use_cpu=cpu,
        dataloader_num_workers=0 if cpu else GPU_WORKERS,
        dataloader_persistent_workers=not cpu,
        ddp_find_unused_parameters=False,
        optim="adamw_torch_fused",
    )


def keep_freed_memory() -> bool:
    """Let this process keep memory that is freed, where the C library is glibc; says whether it does.

    A step on a CPU frees and takes a hundred megabytes of gradients and activations many times. By default glibc
    gives large blocks back to the system, which must then find and clear pages again each time.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))


def schedule_name(settings: TrainingSettings) -> str:
    """The Trainer's name of the learning rate's course."""
    if settings.schedule == "constant" and settings.warmup_steps:
        return "constant_with_warmup"
    return settings.schedule


def reporters() -> list[str]:
    """TensorBoard and W&B, where installed; W&B only when its key or mode is set, since it asks otherwise."""
    import importlib.util
    import os

    found = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    if importlib.util.find_spec("wandb") and (
        os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE")
    ):
        found.append("wandb")
    return found
