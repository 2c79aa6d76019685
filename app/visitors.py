"""Who may come in without a token: whoever asks by a name of this machine, and pages that it serves itself.

A browser asks for any page that somebody looks at. Such a page could ask a server of this machine, whose port
is known, to put a workflow, and so run commands: by its own origin, or by a name of its own that it lets
stand for 127.0.0.1. Programs send no Origin, and the name that they were given.
"""

import ipaddress
import re
from collections.abc import Mapping

ANY = "*"
ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:\[([0-9a-f:.]+)\]|([^][\s:/?#@]+))(?::[0-9]*)?", re.IGNORECASE
)


class Visitors:
    """host: what the server listens on. origins: whose pages are welcome too, or a star; None: nobody's.

    any_host: it goes by names that only others know.
    """

    def __init__(
        self, host: str = "127.0.0.1", origins: tuple[str, ...] | None = None, *, any_host: bool = False
    ) -> None:
        self._origins = frozenset(origins or ())
        self._names = {name for each in (host, *self._origins) if (name := name_of(each))}
        self._any_host = any_host

    def objection(self, headers: Mapping[str, str]) -> str | None:
        """Why a request needs a token even where there is none; None: it does not."""
        if ANY in self._origins:
            return None
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._any_host and not self._is_name_of_ours(name_of(host)):
            return f"It asks for the host {host[:200]!r}, which is no name of this server's."
        if origin is not None and origin not in self._origins and not is_at_home(origin, host):
            return f"It comes from a page of {origin[:200]!r}, another origin."
        return None

    def _is_name_of_ours(self, name: str) -> bool:
        """Nobody can make an address mean another one, nor localhost: RFC 6761."""
        return is_local_name(name) or address_of(name) is not None or name in self._names


def is_at_home(origin: str, host: str | None) -> bool:
    """Whether a page is this server's own, or that of another server of the machine that shows it."""
    name = name_of(origin)
    address = address_of(name)
    if is_local_name(name) or (address is not None and address.is_loopback):
        return True
    return host is not None and origin.lower().partition("://")[2] == host.lower()


def name_of(address: str) -> str:
    """The host of an origin, or of HOST:PORT, in lower case; nothing when it is neither."""
    found = ADDRESS.fullmatch(address)
    return (found[1] or found[2]).lower().removesuffix(".") if found else ""


def is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
