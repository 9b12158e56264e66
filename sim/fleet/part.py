"""Parts of a farm: consecutive turbines, simulated and delivered apart from the others."""

from __future__ import annotations

from dataclasses import dataclass

from sim.fleet.farm import Farm


@dataclass(frozen=True, eq=False)
class FarmPart:
    """The turbines first..last-1 of one farm, counted from 0.

    Raises ValueError for an empty part, and for turbines that the farm does not have.
    """

    farm: Farm
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.last <= self.farm.turbines:
            raise ValueError(
                f"turbines {self.first}..{self.last - 1} are no part of "
                f"farm {self.farm.farm_id}, which has {self.farm.turbines}"
            )

    @classmethod
    def whole(cls, farm: Farm) -> FarmPart:
        """Return all turbines of a farm."""
        return cls(farm, 0, farm.turbines)

    @classmethod
    def of(cls, which: Farm | FarmPart) -> FarmPart:
        """Return a part as it is, and a farm as all its turbines."""
        return which if isinstance(which, FarmPart) else cls.whole(which)

    @property
    def turbines(self) -> int:
        """Number of turbines of the part."""
        return self.last - self.first

    @property
    def own(self) -> slice:
        """The part's place in an array with one element per turbine of the farm."""
        return slice(self.first, self.last)

    @property
    def indices(self) -> range:
        """Indices of the part's turbines in the farm."""
        return range(self.first, self.last)

    @property
    def turbine_ids(self) -> list[str]:
        return self.farm.turbine_ids[self.own]

    @property
    def is_whole(self) -> bool:
        """True if the part is the whole farm."""
        return self.turbines == self.farm.turbines

    @property
    def name(self) -> str:
        """Name in files and reports: the farm's id, or `F-121-240` for turbines 121 to 240.

        A farm's id has no hyphen (`loader`), so no part has the name of another farm.
        """
        if self.is_whole:
            return self.farm.farm_id
        return f"{self.turbine_ids[0]}-{self.last:03d}"
