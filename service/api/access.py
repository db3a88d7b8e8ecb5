"""Which requests may reach the service: those that name it, and those that no foreign web page sent.

The service has no accounts, so whoever reaches it is trusted. Browsers reach loopback addresses for every page that
they show: a page that posts a form to this service names its own origin, and a page whose name was rebound to a
loopback address still sends that name as the host. Both are refused before routing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from litestar.enums import ScopeType

from service.api.problems import send_problem

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

# The last is the name that Litestar's test client uses.
_ALWAYS: Final = frozenset({"localhost", "testserver.local"})


class Access:
    """Knows the names of the service.

    Parameters
    ----------
    host : str
        The address that the service listens on. When it is a wildcard such as ``0.0.0.0``, every IP address is a name
        of the service, since a page can be served from a rebound name but not from a foreign address.
    names : iterable of str
        Other names under which the service is reached, such as that of a reverse proxy.
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        self._names = _ALWAYS | {_normalised(name) for name in (host, *names)}
        address = _address(_normalised(host))
        self._any_address = address is not None and address.is_unspecified

    def allows(self, authority: str) -> bool:
        """Return whether `authority`, a host with or without a port, names the service."""
        try:
            host = urlsplit(f"//{authority}").hostname
        except ValueError:
            return False
        if host is None:
            return False
        address = _address(host)
        if address is not None and (self._any_address or address.is_loopback):
            return True
        return _normalised(host) in self._names

    def allows_origin(self, origin: str) -> bool:
        """Return whether `origin` is a page of the service or of another program on this machine."""
        scheme, _, authority = origin.partition("://")
        return scheme in {"http", "https"} and self.allows(authority)


def access_control(app: ASGIApp, access: Access) -> ASGIApp:
    """Wrap `app`: refuse requests for another host with 421 and requests of foreign web pages with 403."""

    async def controlled(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        hosts = _values(scope, b"host")
        origins = _values(scope, b"origin")
        if not all(access.allows(host) for host in hosts):
            await send_problem(
                send,
                421,
                "Foreign host",
                "the Host header does not name this service; use a loopback address or SKILLRANK_HOST, or add the name "
                "to SKILLRANK_ALLOWED_HOSTS",
            )
        elif not all(access.allows_origin(origin) for origin in origins):
            await send_problem(
                send,
                403,
                "Foreign origin",
                "the request comes from a web page of another origin; pages of this service and of this machine may "
                "send requests, and pages of the hosts in SKILLRANK_ALLOWED_HOSTS",
            )
        else:
            await app(scope, receive, send)

    return controlled


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _normalised(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
