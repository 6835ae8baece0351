"""Which names a browser may know this server by.

A page of another site can give its own name this machine's address (DNS rebinding) and then reads
from here what it likes: the name that the browser asked for tells it apart.
"""

import ipaddress
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(host: str, port: int) -> str:
    """The page's address, http://127.0.0.1:8080/."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def accepted(header: str, bound: str) -> bool:
    """Whether a request with this Host header may be answered by a server bound to `bound`.

    On loopback localhost, 127.0.0.1 and [::1], with any port: a tunnel has its own. Elsewhere also
    the name or address given with --host, and addresses as numbers, which nobody can rebind.
    """
    try:
        parts = urlsplit(f"//{header}")
        name = parts.hostname or ""
        _ = parts.port  # raises where it is none
    except ValueError:
        return False
    if header != parts.netloc or parts.username is not None:
        return False
    if name in ("localhost", "127.0.0.1", "::1"):
        return True
    if is_loopback(bound):
        return False
    if name == bound.lower():
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(origin: str, header: str) -> bool:
    """Whether a request with this Origin comes from the page that this server gave out."""
    return origin.lower() == f"http://{header}".lower()
