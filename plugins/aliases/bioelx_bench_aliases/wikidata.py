"""What the Wikidata sources share: joining items to concepts, and names from an entity's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.records import Alias
from bioelx_bench_aliases.crosswalk import PROPERTIES, Crosswalk, read_crosswalk
from bioelx_bench_aliases.options import WikidataOptions

SOURCE: Final = "Wikidata"
LABEL: Final = "rdfs:label"
ALT_LABEL: Final = "skos:altLabel"


def joining_properties(options: WikidataOptions) -> tuple[tuple[str, ...], Crosswalk]:
    """The properties to join by, and the crosswalk they need.

    Raises:
        UsageError: A property is unknown, or needs a crosswalk that is not given or lacks its vocabulary.
    """
    crosswalk = read_crosswalk(options.crosswalk) if options.crosswalk else Crosswalk()
    for name in options.joining():
        if name not in PROPERTIES:
            raise UsageError(
                f"no identifier is known to stand in the property {name!r}{did_you_mean(name, list(PROPERTIES))}",
                where=f"-O properties={options.properties}",
            )
        if name != "P2892" and PROPERTIES[name] not in crosswalk.vocabularies():
            raise UsageError(
                f"{name} needs a crosswalk from {PROPERTIES[name]} identifiers to CUIs",
                where=f"-O properties={options.properties}",
                hint="-O crosswalk=MRCONSO.RRF, or a TSV with the columns vocabulary, id, cui",
            )
    return options.joining(), crosswalk


def entity_aliases(
    entity: Mapping[str, Any],
    properties: tuple[str, ...],
    crosswalk: Crosswalk,
    languages: frozenset[str],
    date: str,
) -> Iterator[Alias]:
    """The aliases of one entity of the JSON dump (Wikibase's JSON data model)."""
    joined = dict(concepts_of(entity, properties, crosswalk))
    if not joined:
        return
    item = str(entity.get("id", ""))
    for concept, by in joined.items():
        for kind, field in ((LABEL, "labels"), (ALT_LABEL, "aliases")):
            values = entity.get(field)
            if not isinstance(values, Mapping):
                continue  # an empty list stands for an empty map
            for language, found in values.items():
                if languages and language not in languages:
                    continue
                for name in found if isinstance(found, list) else [found]:
                    yield Alias(
                        concept_id=concept,
                        language=str(language),
                        text=str(name["value"]),
                        source=SOURCE,
                        preferred=kind == LABEL,
                        item=item,
                        property=kind,
                        joined_by=by,
                        date=date,
                    )


def concepts_of(
    entity: Mapping[str, Any], properties: tuple[str, ...], crosswalk: Crosswalk
) -> Iterator[tuple[str, str]]:
    """Concept ids of an entity with the property each comes by; those of a CUI of its own (P2892) come alone."""
    claims = entity.get("claims")
    if not isinstance(claims, Mapping):
        return
    for name in sorted(properties, key=lambda p: (p != "P2892", p)):
        found = [
            concept
            for value in claim_values(claims.get(name))
            for concept in crosswalk.concepts(PROPERTIES[name], value)
        ]
        yield from ((concept, name) for concept in found)
        if found:
            return


def claim_values(claims: Any) -> Iterator[str]:
    """The string values of a property's statements that are not deprecated."""
    for claim in claims if isinstance(claims, list) else ():
        if claim.get("rank") == "deprecated":
            continue
        value = claim.get("mainsnak", {}).get("datavalue", {}).get("value")
        if isinstance(value, str):
            yield value
