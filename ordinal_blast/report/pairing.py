"""Seeds that variants have in common: whatever is compared is compared over these alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ordinal_blast.report.formats import count, listed, quoted


def common(seeds: Mapping[str, Collection[int]], *variants: str) -> tuple[int, ...]:
    """The seeds that all these variants finished, ascending; of all variants where none is named."""
    finished = [set(seeds[variant]) for variant in variants or seeds]
    return tuple(sorted(set.intersection(*finished))) if finished else ()


def fewer(counts: Mapping[str, int], planned: int, what: str = "both finished") -> str:
    """Which variants rest on fewer seeds than planned, as a sentence that starts with a space; empty where none does.

    counts: per variant, how many seeds what is told of it rests on.
    """
    short: dict[int, list[str]] = {}
    for variant, seeds in counts.items():
        if seeds < planned:
            short.setdefault(seeds, []).append(quoted(variant))
    if not short:
        return ""
    counted = ", ".join(
        f"{seeds or 'none'} for {listed(names)}" for seeds, names in sorted(short.items(), reverse=True)
    )
    return f" Of {count(planned, 'planned seed')} {what}: {counted}."
