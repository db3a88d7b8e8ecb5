"""Links from an insight to the rows behind it."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from service.insights.findings import Finding


def rows_behind(finding: Finding, since: str, project_id: str | None) -> str:
    """Return the path, with its query string, that returns the rows behind a finding.

    Parameters
    ----------
    finding : Finding
    since : str
        The first day that was examined.
    project_id : str or None
        The project that the search for findings was limited to, if any.
    """
    name = finding.skill or ""
    if finding.kind == "missing_skill":
        return "/api/insights/searches?" + urlencode([("search_id", each) for each in finding.search_ids])
    if finding.kind == "unused" and not finding.counts["uses"]:
        return f"/api/skills/{quote(name, safe='')}"
    told = {"skill_name": name, "project_id": project_id}
    if finding.kind in {"mixed_results", "worth_trying"}:  # comparisons between projects
        del told["project_id"]
    if finding.kind != "unused":  # whose evidence is all earlier use
        told["since"] = since
    where = "exposures" if finding.kind == "passed_over" else "metrics"
    return f"/api/insights/{where}?" + urlencode({name: cell for name, cell in told.items() if cell is not None})
