"""What a grid writes of the choice that a run is to make: `decide` and `search`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Usd = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class GridPart(BaseModel):
    """A part of a grid: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _ChoiceSpec(GridPart):
    """What `decide` and `search` share."""

    within: float | None = Field(default=None, ge=0, le=100)
    """Points of accuracy that do not matter; 1 unless `at_least` is given."""
    at_least: float | None = Field(default=None, gt=0, le=1)
    """For `cheapest`, in place of `within`: the accuracy that is enough, as a share of 1."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1, strict=True)
    """Probability that no choice of the grid is wrong."""

    @property
    def margin(self) -> float:
        """`within` in units of the score."""
        usual = 1.0 if self.at_least is None else 0.0
        return (usual if self.within is None else self.within) / 100

    def check_level(self, want: str) -> None:
        """Check that the accuracy that is enough is given once, and where it counts.

        Raises:
            ValueError: if not.
        """
        if self.at_least is not None and want != "cheapest":
            raise ValueError(f"at_least goes with want: cheapest, not with {want}")
        if self.at_least is not None and self.within is not None:
            raise ValueError("expected at most one of within, at_least")


class DecideSpec(_ChoiceSpec):
    """The choice that a run is to make: it stops when that is sure."""

    want: Literal["cheapest", "most_accurate", "front"]
    """`cheapest`: the cheapest system that is accurate enough; `most_accurate`: one that no other
    beats by more than `within`; `front`: the systems that none beats at no higher cost."""
    claim: Literal["items", "questions"] = "items"
    """What the choice must be sure for: `items`, what the whole grid would show over its items, or
    questions like these, which takes more items. The certificate tells of both."""
    budget_usd: Usd | None = None
    """The most that a run may spend for it, if `budget_usd` of the grid is not less."""

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        self.check_level(self.want)
        return self


class SearchSpec(_ChoiceSpec):
    """What a run is to find among more systems than can be run."""

    want: Literal["cheapest", "most_accurate", "front"]
    """As for `decide`."""
    budget_usd: Usd | None = None
    """The most that all runs of the search may spend together. Stored answers are free."""
    trials: int | None = Field(default=None, ge=10, le=10**9, strict=True)
    """The most trials that it may take, in place of `budget_usd` or beside it."""
    held_out: float = Field(default=0.2, ge=0, le=0.9)
    """Share of the items that the search never sees: the system that it finds is measured on
    them."""
    candidates: int = Field(default=1000, ge=2, le=20_000, strict=True)
    """The most systems among which it searches: as many are drawn if the grid has more."""

    @model_validator(mode="after")
    def _limited(self) -> Self:
        self.check_level(self.want)
        if self.budget_usd is None and self.trials is None:
            raise ValueError("expected at least one of budget_usd, trials")
        return self
