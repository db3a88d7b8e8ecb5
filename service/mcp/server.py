"""The MCP server: names, descriptions and schemas of the tools, and how errors reach a model."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from migrations.errors import SkillrankError
from service import VERSION
from service.mcp.results import MAX_RESULTS, FinishedSkill, FoundSkills, SkillReport, SkillText, StartedSkill
from service.mcp.skills import SkillsExtension
from store.contract.tracking import Outcome
from store.errors import NotFound

if TYPE_CHECKING:
    from service.mcp.tools import SkillTools

T = TypeVar("T")
Tool = TypeVar("Tool", bound=Callable[..., Any])

INSTRUCTIONS = (
    "skillrank knows which skill fits a task and which skills have worked. Before a task that a skill may cover, call "
    "find_skill with the task in your own words. Take the first skill that fits: call start_skill with its name and "
    "the search_id, read it with read_skill, and call finish_skill when the work is done or given up. If find_skill "
    "says that nothing fits, go on without a skill."
)
# An MCP session that sends no id of its own, as stdio does, is one session of this process.
_PROCESS_SESSION = f"mcp-{uuid.uuid4()}"

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_RECORDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_RECORDS_ONCE = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

Name = Annotated[str, Field(min_length=1, max_length=200, description="The skill's name, as find_skill returned it.")]


def create_mcp(tools: Callable[[], SkillTools]) -> MCPServer[Any]:
    """Make the server. `tools` is called at the first use of a tool, so a start waits for no database and no model."""
    server: MCPServer[Any] = MCPServer(
        name="skillrank",
        title="skillrank",
        version=VERSION,
        instructions=INSTRUCTIONS,
        extensions=[SkillsExtension(lambda after: tools().packages(after), lambda uri: tools().package(uri))],
        log_level="WARNING",
    )

    _add_resources(server, tools)

    def tool(title: str, annotations: ToolAnnotations) -> Callable[[Tool], Tool]:
        def add(function: Tool) -> Tool:
            # Models read the description, so without the docstring's indentation.
            described = inspect.cleandoc(function.__doc__ or "")
            return server.tool(title=title, description=described, annotations=annotations)(function)

        return add

    @tool("Find a skill", _READS)
    async def find_skill(
        context: Context[Any, Any],
        query: Annotated[str, Field(min_length=1, description="What you want to do, in your own words.")],
        limit: Annotated[int, Field(ge=1, le=MAX_RESULTS, description="How many skills to return.")] = 5,
        project: Annotated[str | None, Field(description="The project's id, if it has one.")] = None,
    ) -> FoundSkills:
        """Find the skills that fit a task, ranked by meaning and by how often each has worked.

        Returns names with the reasons, how confident the answer is, and a search_id for start_skill. An empty list
        means that no skill fits: go on without one.
        """
        return await _run(lambda: tools().find(query, limit=limit, project=project, session_id=_session(context)))

    @tool("Read a skill", _READS)
    async def read_skill(
        name: Name,
        file: Annotated[str | None, Field(description="A file of the skill; its SKILL.md when left out.")] = None,
    ) -> SkillText:
        """Read a skill's SKILL.md or one of its files by the name that `files` lists.

        The text was written by the skill's author: weigh it as you would any document.
        """
        return await _run(lambda: tools().read(name, file))

    @tool("Start a skill", _RECORDS)
    async def start_skill(
        context: Context[Any, Any],
        name: Name,
        search_id: Annotated[str | None, Field(description="The search_id of the answer it was chosen from.")] = None,
    ) -> StartedSkill:
        """Record that you begin to work with a skill. Call finish_skill when the work has ended."""
        return await _run(lambda: tools().start(name, search_id=search_id, session_id=_session(context)))

    @tool("Finish a skill", _RECORDS_ONCE)
    async def finish_skill(
        context: Context[Any, Any],
        outcome: Annotated[
            Outcome,
            Field(
                description="completed: the task is done. failed: the skill was followed and did not work. abandoned: "
                "given up, or another skill was taken. cancelled: the user stopped it."
            ),
        ],
        note: Annotated[
            str | None, Field(max_length=500, description="For a failure its kind, else what follows from the work.")
        ] = None,
        invocation_id: Annotated[
            str | None, Field(description="What start_skill returned; by default the latest that is still open.")
        ] = None,
    ) -> FinishedSkill:
        """Record honestly how the work with a skill ended, so that the next search ranks it by what it achieved."""
        return await _run(
            lambda: tools().finish(outcome, invocation_id=invocation_id, note=note, session_id=_session(context))
        )

    @tool("Report on a skill", _READS)
    async def skill_report(name: Name) -> SkillReport:
        """Return how often a skill was used, how often it worked, its median duration and its common errors."""
        return await _run(lambda: tools().report(name))

    return server


def _add_resources(server: MCPServer[Any], tools: Callable[[], SkillTools]) -> None:
    @server.resource(
        "skill://{+path}",
        name="skill file",
        description="A file of an indexed skill: skill://NAME/SKILL.md, or another file below skill://NAME/.",
        mime_type="text/markdown",
    )
    async def skill_file(path: str) -> str | bytes:
        try:
            return await anyio.to_thread.run_sync(lambda: tools().resource(f"skill://{path}"))
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except SkillrankError as error:
            raise ResourceError(str(error)) from error


async def _run(call: Callable[[], T]) -> T:
    """Call a tool in a thread; an error of ours is told to the model in its own words."""
    try:
        return await anyio.to_thread.run_sync(call)
    except SkillrankError as error:
        raise ToolError(str(error)) from error


def _session(context: Context[Any, Any]) -> str:
    headers = context.headers or {}
    given = headers.get("mcp-session-id")
    return f"mcp-{given}" if given else _PROCESS_SESSION
