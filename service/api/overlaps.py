"""Skills that compete for the same queries."""

from __future__ import annotations

from litestar import Controller, get
from litestar.params import FromQuery

from service.api.dependencies import GivenStore, Limit
from service.catalogue.overlap import OverlappingSkills, overlapping_skills


class OverlapController(Controller):
    """Pairs of skills that compete."""

    path = "/api/overlaps"
    tags = ["skills"]

    @get(operation_id="listOverlaps", sync_to_thread=True)
    def overlaps(
        self,
        store: GivenStore,
        limit: Limit = 20,
        skill_name: FromQuery[str | None] = None,
        copies: FromQuery[bool] = False,
    ) -> list[OverlappingSkills]:
        """List the pairs that compete most: who takes whose traffic, which words cause it. Copies only on request."""
        return overlapping_skills(store, limit=limit, skill_name=skill_name, copies=copies)
