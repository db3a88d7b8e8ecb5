"""Routes of the catalogue."""

from __future__ import annotations

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, FromQuery

from service.api.dependencies import GivenStore, Limit
from service.catalogue.documents import SkillContent, read_content
from store.contract.catalogue import SkillRecord, SkillVersion
from store.contract.metrics import SkillMetrics


class SkillPage(msgspec.Struct, frozen=True, kw_only=True):
    """Skills in order of their names; repeat the request with ``after=next`` for more."""

    skills: list[SkillRecord]
    next: str | None


class SkillDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One skill and its metrics."""

    skill: SkillRecord
    metrics: SkillMetrics | None


class SimilarSkill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill similar to another in meaning; `similarity` is the cosine of their vectors.

    `near_identical` skills have nearly the same text; a search shows them as one.
    """

    skill_name: str
    category: str | None
    similarity: float
    near_identical: bool


class SkillController(Controller):
    """Skills, their documents and versions."""

    path = "/api/skills"
    tags = ["skills"]

    @get(operation_id="listSkills", sync_to_thread=True)
    def list_skills(
        self,
        store: GivenStore,
        after: FromQuery[str] = "",
        limit: Limit = 100,
        category: FromQuery[str | None] = None,
        removed: FromQuery[bool] = False,
        declared: FromQuery[bool] = False,
    ) -> SkillPage:
        """List the skills that are served, that were removed, or that a project declared without a document."""
        skills = store.skills(after=after, limit=limit, category=category, removed=removed, declared=declared)
        return SkillPage(skills=skills, next=skills[-1].skill_name if len(skills) == limit else None)

    # A slash of a name is percent-encoded in the path; see service.api.transport.
    @get("/{skill_name:str}", operation_id="getSkill", sync_to_thread=True)
    def skill(self, skill_name: FromPath[str], store: GivenStore) -> SkillDetail:
        """Return one skill with its metrics."""
        return SkillDetail(skill=store.skill(skill_name), metrics=store.skill_metrics(skill_name))

    @get("/{skill_name:str}/content", operation_id="getSkillContent", sync_to_thread=True)
    def content(self, skill_name: FromPath[str], store: GivenStore, file: FromQuery[str | None] = None) -> SkillContent:
        """Return the document of a skill, or a file beside it. Hidden files are not served. The text is untrusted."""
        return read_content(store.skill(skill_name), file)

    @get("/{skill_name:str}/versions", operation_id="getSkillVersions", sync_to_thread=True)
    def versions(self, skill_name: FromPath[str], store: GivenStore) -> list[SkillVersion]:
        """Return all versions of the document, newest first."""
        return store.versions(skill_name)

    @get("/{skill_name:str}/similar", operation_id="getSimilarSkills", sync_to_thread=True)
    def similar(self, skill_name: FromPath[str], store: GivenStore, limit: Limit = 10) -> list[SimilarSkill]:
        """Return the skills that are most similar in meaning, and which of them are near-identical."""
        near = store.similar(skill_name, limit=limit)
        itself = store.skill(skill_name).id
        groups = store.near_duplicates([itself, *(candidate.skill_id for candidate in near)])
        same = next((set(group) for group in groups if itself in group), set())
        return [
            SimilarSkill(
                skill_name=candidate.skill_name,
                category=candidate.category,
                similarity=candidate.similarity or 0.0,
                near_identical=candidate.skill_id in same,
            )
            for candidate in near
        ]
