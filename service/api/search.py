"""Search for skills."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenSearch, GivenStore
from service.search.answers import SearchAnswer, SearchRequest
from store.contract.searches import SearchRecord


class SearchController(Controller):
    """Searches and their records."""

    path = "/api/search"
    tags = ["search"]

    @post(operation_id="search", status_code=200, sync_to_thread=True)
    def search(self, data: JSONBody[SearchRequest], searching: GivenSearch) -> SearchAnswer:
        """Return the skills that fit a query, best first, with the reasons for their order."""
        return searching.answer(data)

    @get("/{search_id:str}", operation_id="getSearch", sync_to_thread=True)
    def served(self, search_id: FromPath[str], store: GivenStore) -> SearchRecord:
        """Return a recorded search with the list of skills that it served."""
        return store.search(search_id)
