"""Where the rows behind an insight are."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from service.insights.findings import Finding


def rows_behind(finding: Finding, since: str, project_id: str | None) -> str:
    """Return the path, with its query, that returns what a finding comes from.

    Parameters
    ----------
    finding : Finding
    since : str
        The first day that was looked at.
    project_id : str or None
        The project inside which it was found, if only one was looked at.
    """
    name = finding.skill or ""
    if finding.kind == "missing_skill":
        return "/api/insights/searches?" + urlencode([("search_id", each) for each in finding.search_ids])
    if finding.kind == "unused" and not finding.counts["uses"]:
        return f"/api/skills/{quote(name, safe='')}"
    told = {"skill_name": name, "project_id": project_id}
    if finding.kind in {"mixed_results", "worth_trying"}:  # comparisons between projects
        del told["project_id"]
    if finding.kind != "unused":  # silence reaches back as far as there was use
        told["since"] = since
    where = "exposures" if finding.kind == "passed_over" else "metrics"
    return f"/api/insights/{where}?" + urlencode({name: cell for name, cell in told.items() if cell is not None})
