"""How stock is shared between channels, in plain values: what each rule claims, and who is filled first when there is too little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What a channel claims: `fixed` units, or a share of all that is there, or (neither) the rest; between floor and ceiling."""

    channel: str
    fixed: int | None = None
    share_percent: int | None = None
    floor: int = 0
    ceiling: int | None = None

    @property
    def takes_rest(self) -> bool:
        """Whether it takes what the others leave."""
        return self.fixed is None and self.share_percent is None

    def wanted(self, total: int) -> int:
        """The units that it wants of `total`; a share is rounded down. The rest wants its floor only."""
        if self.takes_rest:
            return self.floor
        units = self.fixed if self.fixed is not None else total * (self.share_percent or 0) // 100
        return max(self.floor, self.capped(units))

    def capped(self, units: int) -> int:
        """So many units, or its ceiling."""
        return units if self.ceiling is None else min(units, self.ceiling)


def spread(claims: Sequence[Claim], held: Mapping[str, int], units: int) -> dict[str, int]:
    """Channel -> units that it gets of `units` that came in, by these claims in their order; who holds enough gets none.

    First every floor, then every claim, then the rest. What nobody may take (ceilings) is left out.
    """
    has = {claim.channel: held.get(claim.channel, 0) for claim in claims}
    total = sum(has.values()) + units
    given = dict.fromkeys(has, 0)

    def fill(claim: Claim, goal: int) -> None:
        nonlocal units
        more = max(0, min(units, goal - has[claim.channel] - given[claim.channel]))
        given[claim.channel] += more
        units -= more

    for claim in claims:
        fill(claim, claim.floor)
    for claim in claims:
        fill(claim, claim.wanted(total))
    for claim in claims:
        if claim.takes_rest:
            fill(claim, claim.capped(total))
    return {channel: more for channel, more in given.items() if more}


def shares(claims: Sequence[Claim], total: int) -> dict[str, int]:
    """Channel -> units that it holds when `total` is shared by these claims from scratch; every claim's channel named."""
    return {claim.channel: 0 for claim in claims} | spread(claims, {}, total)


def shortfall(claims: Sequence[Claim], held: Mapping[str, int]) -> dict[str, int]:
    """Channel -> units that it is short of its fixed amount or its floor."""
    short = {}
    for claim in claims:
        missing = max(claim.floor, claim.capped(claim.fixed or 0)) - held.get(claim.channel, 0)
        if missing > 0:
            short[claim.channel] = missing
    return short
