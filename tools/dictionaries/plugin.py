"""The alias source `dictionary`, as a plugin in a file.

    PYTHONPATH=tools bioelx-bench --plugin tools/dictionaries/plugin.py aliases fetch dictionary -O files=... ...

It reads FreeDict (dictd), EDICT and libhangul's hanja.txt (`pip install opencc`). It is no part of the product: the
embedded adapter was trained on names that it made, and `tools/training/experiment.sh` repeats that with it.

Names join concepts in both directions: `sokeritauti = diabetes mellitus` gives a Finnish alias to the concept with
the English name. A name with several senses (`max_senses`) or concepts (`max_concepts`), a short one or an acronym
joins nothing; longer translations than `max_words` are descriptions; what cannot be read surely is skipped. All is
counted. Give all dictionaries at once, since the senses that one has count for the others.
"""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import AliasSourceSpec


@hookimpl
def alias_sources() -> list[AliasSourceSpec]:
    """Bilingual dictionaries, joined by name."""
    return [
        AliasSourceSpec(
            name="dictionary",
            summary="Bilingual dictionaries, joined by name (FreeDict, EDICT, hanja)",
            factory="dictionaries.dictionary:DictionarySource",
            options="dictionaries.options:DictionaryOptions",
        )
    ]
