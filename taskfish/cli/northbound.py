"""The gateway's own REST API, as its command line and the demo use it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
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
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
"""What is raised before anything of a request has left."""


class NorthboundError(TaskfishError):
    """The gateway answered a request of ours with an error."""


class OutageError(NorthboundError):
    """The gateway does not answer, or a proxy or itself says that it cannot for now.

    `answer` is what was said, if anything; `taken` whether what was asked may be done
    all the same.
    """

    def __init__(self, why: str, *, taken: bool, answer: httpx.Response | None) -> None:
        super().__init__(why)
        self.taken = taken
        self.answer = answer

    @property
    def retry_after(self) -> float:
        """Seconds to wait as the answer wants them; 0 if it does not say a number."""
        wanted = self.answer.headers.get("Retry-After", "") if self.answer else ""
        return float(wanted) if wanted.isascii() and wanted.isdigit() else 0.0


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
            raise silent(client, error) from error


def silent(client: httpx.AsyncClient, error: Exception) -> NorthboundError:
    """Return the error that says where nobody answers, and what to check."""
    url = str(client.base_url).rstrip("/")
    return NorthboundError(
        f"the API does not answer at {url}: check TASKFISH_URL and "
        f"TASKFISH_CA ({error})"
    )


def tell(words: str) -> None:
    """Say something of the command's own: on standard error, lines as they are."""
    Console(stderr=True).print(words, highlight=False, markup=False, soft_wrap=True)


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
            return _body(await answered(client.get(uri)))
        except OutageError as error:
            if pause == POLL_SECONDS:
                tell(
                    f"The gateway does not answer ({error}): the task goes on without "
                    "it."
                )
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def answered(request: Awaitable[httpx.Response]) -> httpx.Response:
    """Return the answer to a request; raise OutageError if there is none for now.

    A 503 of the gateway that names a task may have started it.
    """
    try:
        answer = await request
    except httpx.TransportError as error:
        why = str(error) or type(error).__name__
        taken = not isinstance(error, _NOT_SENT)
        raise OutageError(why, taken=taken, answer=None) from error
    if answer.status_code not in _OUTAGES:
        return answer
    of_gateway = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    taken = not of_gateway or "Task-Id" in answer.headers
    why = f"it answers {answer.status_code}"
    raise OutageError(why, taken=taken, answer=answer)


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
