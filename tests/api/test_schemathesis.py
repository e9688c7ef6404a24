"""Schemathesis sends what the OpenAPI document allows, and what it does not: nothing
of it makes the gateway fail, and no task of it goes on for ever.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.core.result import Ok
from temporalio.client import Client

from api.app import OPEN, PARTS
from api.openapi import document
from taskfish.redfish.event_resources import EVENT_STREAM
from tests.api.answers import members
from tests.conftest import KEY
from tests.house import LONGEST_WAIT, PASSWORD, TASKS, USER, House, open_house
from tests.serving import served

EXAMPLES = 6
"""Of each operation; the same ones every time."""
CHECKS = [not_a_server_error, content_type_conformance]
TAMED: dict[str, str | bool] = {"HostName": "127.0.0.1:1", "ServiceEnabled": True}
"""What is sent instead: a source is looked for on this machine only, where nothing
listens, and no service is switched off, which would be 503.
"""
KNOWN: dict[str, dict[str, Any]] = {
    "/Systems/": {"member": "bmc1.1", "storage": "1", "volume": "1"},
    "/Chassis/": {"member": "node1.1"},
    "/Managers/": {"member": "bmc1.1", "media": "1"},
    "/UpdateService/": {"member": "bmc1.BIOS"},
    "/Roles/": {"name": "Operator"},
    "/Accounts/": {"name": "nobody"},
    "/ConnectionMethods/": {"name": "Redfish"},
    "/AggregationSources/": {"source_id": "node2"},
    "/ActionInfo": {"verb": "Kill"},
}
"""Names that lead somewhere, by a part of the path. What is done to node2 may break it,
and nothing else is asked of it.
"""
LAST = (
    "/AggregationSources",
    "/SessionService",
    "/AccountService",
    "/TaskService",
    "/EventService",
)
"""Whose changes are felt everywhere."""


@pytest.fixture
async def house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway of its own, which may be worn out."""
    folder = tmp_path_factory.mktemp("schemathesis")
    async with open_house(temporal, folder, KEY) as opened:
        await opened.add_sources()
        yield opened


Operation = APIOperation[Any, Any, Any, Any]


def operations() -> list[Operation]:
    """Return the operations, those that change the service itself last.

    HEAD is left out: it is served as GET is. So is the stream of events, which has no
    end.
    """
    schema = schemathesis.openapi.from_dict(
        document(OPEN, [part.router for part in PARTS])
    )
    found = [result for result in schema.get_all_operations() if isinstance(result, Ok)]
    served = [each.ok() for each in found if each.ok().method != "head"]
    served = [each for each in served if each.path != EVENT_STREAM]
    return sorted(served, key=lambda each: (_is_last(each), each.label))


def _is_last(operation: Operation) -> bool:
    changes = operation.method != "get"
    return changes and any(part in operation.path for part in LAST)


def cases(operation: Operation) -> st.SearchStrategy[Case[Any]]:
    """Return requests to names that exist and to others, with good bodies and bad."""
    known = next((row for part, row in KNOWN.items() if part in operation.path), None)
    kinds = [operation.as_strategy()]
    if known and operation.path_parameters:
        kinds.append(operation.as_strategy(path_parameters=known))
    if operation.body:
        kinds.append(
            operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=known)
        )
    return st.one_of(kinds)


def send_all(url: str) -> None:
    """Send examples of every operation; raise for the first bad answer."""
    with requests.Session() as session:
        session.auth = (USER, PASSWORD)
        for operation in operations():

            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases(operation))
            def send(case: Case[Any]) -> None:
                if isinstance(case.body, dict):
                    case.body |= {n: v for n, v in TAMED.items() if n in case.body}
                answer = case.call(base_url=url, session=session)
                case.validate_response(answer, checks=CHECKS)

            send()


async def is_open(house: House, uri: str) -> bool:
    """Say whether a task has not ended; an ended one may have been deleted too."""
    answer = await house.client.get(uri)
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200 and "EndTime" not in answer.json()


# Hypothesis takes what the gateway's own thread draws at random for its strategies'.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
async def test_nothing_that_is_sent_makes_the_gateway_fail(house: House) -> None:
    async with served(house) as url:
        await asyncio.to_thread(send_all, url)
    async with asyncio.timeout(LONGEST_WAIT):
        for uri in members(await house.client.get(TASKS)):
            while await is_open(house, uri):
                await asyncio.sleep(0.1)
