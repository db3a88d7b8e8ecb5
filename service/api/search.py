"""The query."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from service.api.dependencies import GivenSearch, GivenStore
from service.search.answers import SearchAnswer, SearchRequest
from store.contract.searches import SearchRecord


class SearchController(Controller):
    """Searches, and the searches that were served."""

    path = "/api/search"
    tags = ["search"]

    @post(operation_id="search", status_code=200, sync_to_thread=True)
    def search(self, data: JSONBody[SearchRequest], searching: GivenSearch) -> SearchAnswer:
        """Answer "which skill should I use?"."""
        return searching.answer(data)

    @get("/{search_id:str}", operation_id="getSearch", sync_to_thread=True)
    def served(self, search_id: FromPath[str], store: GivenStore) -> SearchRecord:
        """Return a search with the list that was served for it."""
        return store.search(search_id)
