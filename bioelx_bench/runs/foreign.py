"""Calling the code of plugins: whatever goes wrong in it is named with plugin, component, stage and line."""

from __future__ import annotations

import contextlib
import inspect
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bioelx_bench.errors import BenchError, MissingError

CORE_FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose code runs, for errors.

    Attributes:
        kind: `retriever`, `ranker` or `dataset`.
        name: The component's name.
        plugin: `plugin/name`, or None for a live object.
        target: The live object or its class.
    """

    kind: str
    name: str
    plugin: str | None
    target: object

    def __str__(self) -> str:
        owner = f" of the plugin {self.plugin.partition('/')[0]}" if self.plugin else " (a live object)"
        return f"the {self.kind} {self.name!r}{owner}"

    def place(self, method: str) -> str | None:
        """File and line of a method of its class; of the class where the method is inherited from the core."""
        kind = self.target if inspect.isclass(self.target) else type(self.target)
        for candidate in (inspect.unwrap(getattr(kind, method, kind)), kind):
            with contextlib.suppress(OSError, TypeError):
                file = inspect.getsourcefile(candidate)
                if file is not None and (candidate is kind or not is_core(file)):
                    return f"{file}:{inspect.getsourcelines(candidate)[1]}"
        return None


def is_core(file: str) -> bool:
    """Whether a file is the harness's own."""
    return Path(file).resolve().is_relative_to(CORE_FOLDER)


def raised_at(error: BaseException) -> str | None:
    """The last line of an exception's traceback that lies outside the harness, or the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not is_core(f.filename) and "site-packages" not in f.filename]
    chosen = (outside or [f for f in frames if not is_core(f.filename)] or list(frames))[-1:]
    return f"{chosen[0].filename}:{chosen[0].lineno}" if chosen else None


def broken_contract(origin: Origin, method: str, what: str, mention_id: str | None = None) -> BenchError:
    """The error of a component that gives what it must not."""
    at_mention = f" for the mention {mention_id}" if mention_id is not None else ""
    return BenchError(
        f"{origin}: {method} {what}{at_mention}",
        where=origin.place(method),
        why=f"that breaks the contract of bioelx_bench.base.Base{origin.kind.capitalize()}",
        hint="mend the component's code; bioelx_bench.testing has conformance tests for it",
    )


@contextlib.contextmanager
def calling(origin: Origin, stage: str) -> Iterator[None]:
    """Run a component's code.

    Args:
        origin: Whose code.
        stage: What it does, such as `search`.

    Raises:
        BenchError: The code raised; errors made for users pass as they are.
    """
    try:
        yield
    except (BenchError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{origin} needs the Python module {error.name!r}, which is not installed",
            where=raised_at(error),
            hint="pip install the plugin's distribution with its dependencies",
        ) from error
    except MemoryError as error:
        raise BenchError(
            f"{origin} ran out of memory in {stage}", where=raised_at(error), hint="lower its batch size"
        ) from error
    except BaseException as error:
        text = " ".join(str(error).split())
        raise BenchError(
            f"{origin} failed in {stage}: {type(error).__name__}: {text}"[:2000],
            where=raised_at(error),
            hint="--debug shows the whole traceback; it is the component's code that raised",
        ) from error
