"""Totals of workflow events and uses over many sessions, computed in SQL, never row by row."""

from __future__ import annotations

from typing import Any, Final, Literal

import apsw

from store.clock import normalise_time
from store.contract.workflows import PhaseTotal, StepTotal, StepTotals, TransitionTotal, WorkflowFilter
from store.sqlite.database import Database
from store.sqlite.rows import record, rows

# A session without a project has that of what was recorded in it. Sessions are read once, those of the filter only.
_CHOSEN: Final = """
chosen(session_id, project_id) AS MATERIALIZED (
    SELECT session_id, project_id FROM (
        SELECT s.id AS session_id, coalesce(
            s.project_id,
            (SELECT min(e.project_id) FROM workflow_event e WHERE e.session_id = s.id),
            (SELECT min(i.project_id) FROM skill_invocation i WHERE i.session_id = s.id),
            '') AS project_id
        FROM session s
        WHERE (:since IS NULL OR s.started_at >= :since)
          AND (:workflow IS NULL OR EXISTS (
              SELECT 1 FROM workflow_event e WHERE e.session_id = s.id AND e.workflow = :workflow)))
    WHERE :project IS NULL OR project_id = :project
)
"""
# The last judgement of each step in each session: its time and, as one more character, whether it is a failure. The
# step '' is all steps of a workflow together, if it has several; it fails if one of them does.
_JUDGED: Final = f"""
{_CHOSEN},
each_step(session_id, project_id, workflow, step, last) AS MATERIALIZED (
    SELECT c.session_id, c.project_id, e.workflow, e.step, max(e.occurred_at || (e.status = 'failed'))
    FROM chosen c CROSS JOIN workflow_event e ON e.session_id = c.session_id
    WHERE e.status IN ('passed', 'failed') AND (:workflow IS NULL OR e.workflow = :workflow)
    GROUP BY c.session_id, e.workflow, e.step
),
judged AS MATERIALIZED (
    SELECT * FROM each_step
    UNION ALL
    SELECT session_id, project_id, workflow, '', max(substr(last, 1, 27)) || max(substr(last, 28))
    FROM each_step
    WHERE workflow IN (SELECT workflow FROM each_step GROUP BY workflow HAVING count(DISTINCT step) > 1)
    GROUP BY session_id, workflow
)
"""
# Steps are numbered: sorting by a number, where there are hundreds of thousands of rows, takes two thirds of the time.
_STEP_TOTALS: Final = f"""
WITH {_JUDGED},
telling(number, workflow, step) AS MATERIALIZED (
    SELECT row_number() OVER (), workflow, step FROM (
        SELECT workflow, step FROM judged GROUP BY workflow, step
        ORDER BY min(sum(substr(last, 28) = '0'), sum(substr(last, 28) = '1')) DESC, count(*) DESC, workflow, step
        LIMIT :steps)
),
told(session_id, project_id, number, moment, passed) AS MATERIALIZED (
    SELECT session_id, project_id, number, substr(last, 1, 27), substr(last, 28) = '0'
    FROM judged JOIN telling USING (workflow, step)
),
totals(number, skill_name, project_id, sessions, passed) AS (
    SELECT number, NULL, project_id, count(*), sum(passed) FROM told GROUP BY number, project_id
    UNION ALL
    SELECT number, k.skill_name, project_id, count(*), sum(passed)
    FROM told CROSS JOIN session_skill k ON k.session_id = told.session_id AND k.first_invoked_at <= told.moment
    GROUP BY number, k.skill_name, project_id
)
SELECT workflow, step, skill_name, project_id, sessions, passed FROM totals JOIN telling USING (number)
"""
_STEPS: Final = f"""
WITH {_CHOSEN}
SELECT count(*) FROM (
    SELECT DISTINCT e.workflow, e.step FROM chosen c CROSS JOIN workflow_event e ON e.session_id = c.session_id
    WHERE e.status IN ('passed', 'failed') AND (:workflow IS NULL OR e.workflow = :workflow))
"""
_PHASE_TOTALS: Final = f"""
WITH {_CHOSEN}
SELECT i.workflow_phase AS phase, 'use' AS kind, coalesce(o.outcome, 'running') AS outcome, count(*)
FROM chosen c CROSS JOIN skill_invocation i ON i.session_id = c.session_id
     LEFT JOIN skill_outcome o ON o.invocation_id = i.id
WHERE i.workflow_phase IS NOT NULL GROUP BY phase, outcome
UNION ALL
SELECT e.phase AS phase, 'step' AS kind, e.status AS outcome, count(*)
FROM chosen c CROSS JOIN workflow_event e ON e.session_id = c.session_id
WHERE e.phase IS NOT NULL AND e.status <> 'started' AND (:workflow IS NULL OR e.workflow = :workflow)
GROUP BY phase, outcome
ORDER BY phase, kind, outcome
"""
_STAYS: Final[dict[str, str]] = {
    "skills": """
SELECT i.session_id, i.invoked_at AS moment, i.id, i.skill_name AS place
FROM chosen c CROSS JOIN skill_invocation i ON i.session_id = c.session_id
""",
    "phases": """
SELECT i.session_id, i.invoked_at AS moment, i.id, i.workflow_phase AS place
FROM chosen c CROSS JOIN skill_invocation i ON i.session_id = c.session_id WHERE i.workflow_phase IS NOT NULL
UNION ALL
SELECT e.session_id, e.occurred_at, e.id, e.phase
FROM chosen c CROSS JOIN workflow_event e ON e.session_id = c.session_id
WHERE e.phase IS NOT NULL AND (:workflow IS NULL OR e.workflow = :workflow)
""",
}
_TRANSITIONS: Final = f"""
WITH {_CHOSEN},
stay(session_id, moment, id, place) AS ({{stays}}),
step(session_id, before, after) AS (
    SELECT session_id, lag(place) OVER (PARTITION BY session_id ORDER BY moment, id), place FROM stay
)
SELECT before, after, count(*) AS n, count(DISTINCT session_id), sum(count(*)) OVER (PARTITION BY before)
FROM step WHERE before <> after GROUP BY before, after ORDER BY n DESC, before, after
"""


class SqliteWorkflowTotals:
    """The `store.contract.workflows.WorkflowTotals` of one SQLite file."""

    _db: Database

    def step_totals(self, wanted: WorkflowFilter, *, steps: int) -> StepTotals:
        bindings = _bindings(wanted)

        def query(connection: apsw.Connection) -> StepTotals:
            ((judged,),) = rows(connection, _STEPS, bindings)
            found = rows(connection, _STEP_TOTALS, bindings | {"steps": steps})
            return StepTotals(steps=judged, totals=[record(StepTotal, row) for row in found])

        return self._db.read("step_totals", query)

    def phase_totals(self, wanted: WorkflowFilter) -> list[PhaseTotal]:
        bindings = _bindings(wanted)
        found = self._db.read("phase_totals", lambda connection: rows(connection, _PHASE_TOTALS, bindings))
        return [record(PhaseTotal, row) for row in found]

    def transitions(self, wanted: WorkflowFilter, *, between: Literal["phases", "skills"]) -> list[TransitionTotal]:
        sql, bindings = _TRANSITIONS.format(stays=_STAYS[between]), _bindings(wanted)
        found = self._db.read("transitions", lambda connection: rows(connection, sql, bindings))
        return [record(TransitionTotal, row) for row in found]


def _bindings(wanted: WorkflowFilter) -> dict[str, Any]:
    return {
        "project": wanted.project_id,
        "workflow": wanted.workflow,
        "since": normalise_time(wanted.since) if wanted.since else None,
    }
