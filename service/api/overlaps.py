"""Skills that compete for the same queries."""

from __future__ import annotations

from litestar import Controller, get
from litestar.params import FromQuery

from service.api.dependencies import GivenStore, Limit
from service.api.schema import NOT_FOUND
from service.catalogue.overlap import OverlappingSkills, overlapping_skills


class OverlapController(Controller):
    """Pairs of skills that compete for the same queries."""

    path = "/api/overlaps"
    tags = ["skills"]

    @get(operation_id="listOverlaps", sync_to_thread=True, responses=NOT_FOUND)
    def overlaps(
        self,
        store: GivenStore,
        limit: Limit = 20,
        skill_name: FromQuery[str | None] = None,
        copies: FromQuery[bool] = False,
    ) -> list[OverlappingSkills]:
        """Return the pairs that compete most, with the queries they share and the words that cause it.

        Copies are left out unless `copies` is true.
        """
        return overlapping_skills(store, limit=limit, skill_name=skill_name, copies=copies)
