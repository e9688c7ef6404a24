"""Where the door has what, and how it names that to a client."""

from fastapi import Request

BAREMETAL = "/baremetal"
V1 = f"{BAREMETAL}/v1"
NODES = f"{V1}/nodes"
DRIVERS = f"{V1}/drivers"
CONDUCTORS = f"{V1}/conductors"
GET = ["GET", "HEAD"]
CONDUCTOR = "taskfish"
"""The one conductor that there is: all processes of the gateway together."""

Links = list[dict[str, str]]


def whole_url(request: Request, path: str) -> str:
    """Return the URL of a path of ours: Ironic's clients expect whole ones."""
    return f"{request.url.scheme}://{request.url.netloc}{path}"


def links(request: Request, path: str) -> Links:
    """Return the `links` of a resource, as Ironic has them."""
    return [{"href": whole_url(request, path), "rel": "self"}]
