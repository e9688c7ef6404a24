"""The gateway's own REST API, as its command line and the demo use it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from taskfish.errors import ConfigurationError, TaskfishError
from taskfish.settings import Settings, load_settings

POLL_SECONDS = 0.2
LONGEST_PAUSE = 5.0
"""Seconds between two questions to a gateway that does not answer, at most."""
_OUTAGES = (
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
)


class NorthboundError(TaskfishError):
    """The gateway answered a request of ours with an error."""


def gateway(
    url: str, username: str, password: str, ca: Path | None = None
) -> httpx.AsyncClient:
    """Return a client with the login; a proxy of the environment is not used.

    `ca` is the certificate authority to trust; without one TASKFISH_CA, else the
    system's.
    """
    return httpx.AsyncClient(
        base_url=url,
        auth=(username, password),
        timeout=30,
        trust_env=False,
        verify=trust(ca or load_settings().ca),
    )


@asynccontextmanager
async def logged_in(
    settings: Settings, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client with the login of the settings; explain why it cannot connect."""
    password = settings.password.get_secret_value() if settings.password else ""
    async with gateway(settings.url, settings.username, password) as client:
        client.headers.update(headers or {})
        try:
            yield client
        except httpx.TransportError as error:
            raise NorthboundError(
                f"the API does not answer at {settings.url}: check TASKFISH_URL and "
                f"TASKFISH_CA ({error})"
            ) from error


def trust(ca: Path | None) -> ssl.SSLContext:
    """Return what verifies the API's certificate: with this authority, or the system's.

    Raises ConfigurationError for a file that is none.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigurationError(
            f"TASKFISH_CA {ca} is no certificate authority in PEM: {error.strerror}"
        ) from error


async def final_answer(
    client: httpx.AsyncClient, accepted: httpx.Response
) -> httpx.Response:
    """Return what a change answered in the end: itself, or what its monitor says."""
    answer = accepted
    while answer.status_code == httpx.codes.ACCEPTED:
        await asyncio.sleep(POLL_SECONDS)
        answer = await client.get(accepted.headers["Location"])
    return answer


async def resource(client: httpx.AsyncClient, uri: str) -> dict[str, Any]:
    """GET a resource; raise NorthboundError unless it is there."""
    return _body(await client.get(uri))


async def resource_in_the_end(client: httpx.AsyncClient, uri: str) -> dict[str, Any]:
    """GET a resource, again and again while the gateway does not answer or is not up:
    what is followed goes on without it. Raises NorthboundError for a refusal.
    """
    pause = POLL_SECONDS
    while True:
        try:
            answer = await client.get(uri)
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
        else:
            if answer.status_code not in _OUTAGES:
                return _body(answer)
            why = f"it answers {answer.status_code}"
        if pause == POLL_SECONDS:
            told = Console(stderr=True)
            words = f"The gateway cannot be asked ({why}): the task goes on without it."
            told.print(words, highlight=False, markup=False, soft_wrap=True)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _body(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise refusal(answer)
    body: dict[str, Any] = answer.json()
    return body


def refusal(answer: httpx.Response) -> NorthboundError:
    """Return the error that says what was asked and what came back."""
    request = answer.request
    return NorthboundError(
        f"{request.method} {request.url.path} was answered "
        f"{answer.status_code}: {answer.text[:500]}"
    )
