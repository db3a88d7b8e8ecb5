"""What the tools do: each reads its arguments, calls what every face calls, and keeps its answer short.

A model pays for every token that it reads, so an answer holds what decides and nothing else; more is a call away.
"""

from __future__ import annotations

import uuid

from migrations.errors import SkillrankError
from service.catalogue.documents import read_content, read_raw
from service.catalogue.packages import SkillPackage, find_packaged, package_uri, read_package
from service.mcp.results import (
    FinishedSkill,
    FoundSkill,
    FoundSkills,
    PackageEntry,
    PackagePage,
    SkillReport,
    SkillText,
    StartedSkill,
)
from service.search.answers import RankedSkill, SearchRequest
from service.search.engine import SkillSearch
from store.contract.metrics import SkillMetrics
from store.contract.tracking import NewInvocation, NewOutcome, Outcome
from store.errors import NotFound
from store.protocol import Store

MAX_TEXT_CHARACTERS = 100_000
_DESCRIPTION_CHARACTERS = 160
_WHY_CHARACTERS = 160
_MOST_NAMED = 3
_PAGE = 20


class NothingStarted(SkillrankError):
    """A use is to be finished that was never started in this session."""


class SkillTools:
    """The tools of one store.

    Parameters
    ----------
    store : Store
    searching : SkillSearch
    """

    def __init__(self, store: Store, searching: SkillSearch) -> None:
        self._store = store
        self._searching = searching

    def find(self, query: str, *, limit: int, project: str | None, session_id: str | None) -> FoundSkills:
        """Return the skills that fit a query, none when confidence is ``none``; recorded as a search."""
        answer = self._searching.answer(
            SearchRequest(query=query, limit=limit, project_id=project, session_id=session_id)
        )
        fitting = [] if answer.confidence == "none" else answer.results
        return FoundSkills(
            search_id=answer.search_id,
            confidence=answer.confidence,
            message="; ".join([answer.message if fitting else "No skill fits this query.", *answer.degraded]),
            skills=[_found(skill) for skill in fitting],
        )

    def read(self, name: str, file: str | None) -> SkillText:
        """Return a skill's document, or one of the files beside it, cut after 100,000 characters."""
        content = read_content(self._store.skill(name), file)
        return SkillText(
            name=content.skill_name,
            file=content.file,
            text=content.text[:MAX_TEXT_CHARACTERS],
            size_bytes=content.size_bytes,
            truncated=len(content.text) > MAX_TEXT_CHARACTERS,
            files=content.files,
        )

    def start(self, name: str, *, search_id: str | None, session_id: str | None) -> StartedSkill:
        """Record that a use of a skill began."""
        begun = self._store.start_invocation(
            NewInvocation(id=str(uuid.uuid4()), skill_name=name, search_id=search_id, session_id=session_id)
        )
        return StartedSkill(invocation_id=begun.id, name=begun.skill_name, known=begun.skill_known)

    def finish(
        self, outcome: Outcome, *, invocation_id: str | None, note: str | None, session_id: str | None
    ) -> FinishedSkill:
        """Record how a use ended: the one named, else the latest of the session that is still open.

        A note on a failure is kept as its error type, any other as a follow-up action. Raises `NothingStarted`.
        """
        wanted = invocation_id or self._latest_open(session_id)
        failed = outcome == "failed"
        ended = NewOutcome(
            outcome=outcome,
            error_type=note if failed else None,
            follow_up_actions=[note] if note and not failed else [],
        )
        finished = self._store.finish_invocation(wanted, ended).invocation
        return FinishedSkill(
            invocation_id=finished.id,
            name=finished.skill_name,
            outcome=finished.outcome or outcome,
            duration_seconds=finished.duration_seconds,
        )

    def report(self, name: str) -> SkillReport:
        """Return what is recorded of a skill's uses. Raises `NotFound` for a name that is neither indexed nor used."""
        metrics = self._store.skill_metrics(name)
        if metrics is None:
            self._store.skill(name)
        return _report(name, metrics)

    def packages(self, after: str) -> PackagePage:
        """Return the packages of the skills named after `after`; skills that are no packages are left out."""
        skills = self._store.skills(after=after, limit=_PAGE)
        read = [package for skill in skills if (package := read_package(skill)) is not None]
        return PackagePage(
            entries=[_entry(package) for package in read],
            next_name=skills[-1].skill_name if len(skills) == _PAGE else None,
        )

    def package(self, uri: str) -> PackageEntry | None:
        """Return the package whose SKILL.md has this URI, None when there is none."""
        try:
            skill, _ = find_packaged(self._store, uri)
        except NotFound:
            return None
        package = read_package(skill)
        return None if package is None or package.uri != uri else _entry(package)

    def resource(self, uri: str) -> str | bytes:
        """Return a file of a skill: text where it is UTF-8, else bytes. Raises `NotFound`, `DocumentUnavailable`."""
        skill, file = find_packaged(self._store, uri)
        raw = read_raw(skill, None if uri == package_uri(skill) else file).raw
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    def _latest_open(self, session_id: str | None) -> str:
        begun = [] if session_id is None else self._store.session_invocations(session_id)
        unfinished = [each.id for each in begun if each.outcome is None]
        if not unfinished:
            raise NothingStarted("no skill is in use in this session: give the invocation_id that start_skill returned")
        return unfinished[-1]


def _found(skill: RankedSkill) -> FoundSkill:
    return FoundSkill(
        name=skill.skill_name,
        description=_cut(skill.description, _DESCRIPTION_CHARACTERS),
        why=_cut("; ".join(skill.reasons), _WHY_CHARACTERS),
    )


def _entry(package: SkillPackage) -> PackageEntry:
    return {
        "uri": package.uri,
        "frontmatter": package.frontmatter,
        "resources": [{"uri": file.uri, "digest": file.digest, "size": file.size_bytes} for file in package.files],
    }


def _report(name: str, metrics: SkillMetrics | None) -> SkillReport:
    if metrics is None:
        return SkillReport(
            name=name,
            uses=0,
            completed=0,
            failed=0,
            running=0,
            completion_rate=None,
            median_seconds=None,
            last_used=None,
            common_errors={},
        )
    rate = metrics.completion_rate
    errors = sorted(metrics.common_errors.items(), key=lambda each: (-each[1], each[0]))
    return SkillReport(
        name=name,
        uses=metrics.total_invocations,
        completed=metrics.completed_invocations,
        failed=metrics.failed_invocations,
        running=metrics.running_invocations,
        completion_rate=None if rate is None else round(rate / 100, 4),
        median_seconds=metrics.p50_duration_seconds,
        last_used=metrics.last_invoked,
        common_errors=dict(errors[:_MOST_NAMED]),
    )


def _cut(text: str, most: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[:most].rsplit(" ", 1)[0] + " …"
