"""Taskfish.SetTags: other words to find a task by, while it runs."""

from typing import Any

import httpx
import pytest

from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.api.governing import act, signals, task_uri
from tests.house import TASKS, House
from tests.workflows.houses import history_of

MANY = [f"tag{number}" for number in range(16)]


async def running(house: House, **headers: str) -> httpx.Response:
    """Return the 202 of a task that does not end by itself."""
    house.emulator.set_modes("bmc1", hang=True)
    return await house.client.post(
        "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
        json={"ResetType": "ForceRestart"},
        headers=headers,
    )


async def tag(
    house: House, accepted: httpx.Response, *tags: Any, **request: Any
) -> httpx.Response:
    return await act(house, accepted, "SetTags", json={"Tags": list(tags)}, **request)


async def tags_of(house: House, accepted: httpx.Response) -> list[str]:
    task = await house.task(accepted)
    return sorted(task["Oem"]["Taskfish"].get("Tags", []))


async def tagged(house: House, word: str) -> list[str]:
    """Return the tasks that a list has under a tag."""
    return members(await house.client.get(f"{TASKS}?tag={word}"))


async def test_tags_are_replaced_and_found_at_once(house: House) -> None:
    accepted = await running(house, **{"Task-Tags": "old,kept"})
    answer = await tag(house, accepted, "kept", "new", "new")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await tags_of(house, accepted) == ["kept", "new"]
    assert task_uri(accepted) in await tagged(house, "new")
    assert task_uri(accepted) not in await tagged(house, "old")


async def test_tags_can_be_taken_away_and_be_as_many_as_in_the_header(
    house: House,
) -> None:
    accepted = await running(house)
    assert (await tag(house, accepted, *MANY)).status_code == 204
    assert await tags_of(house, accepted) == sorted(MANY)
    assert (await tag(house, accepted)).status_code == 204
    assert await tags_of(house, accepted) == []


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "ActionParameterMissing"),
        ({"Tags": None}, "ActionParameterValueTypeError"),
        ({"Tags": "night"}, "ActionParameterValueTypeError"),
        ({"Tags": [7]}, "ActionParameterValueTypeError"),
        ({"Tags": [""]}, "ActionParameterValueFormatError"),
        ({"Tags": ["a b"]}, "ActionParameterValueFormatError"),
        ({"Tags": ["a,b"]}, "ActionParameterValueFormatError"),
        ({"Tags": ["a\n"]}, "ActionParameterValueFormatError"),
        ({"Tags": ["ü"]}, "ActionParameterValueFormatError"),
        ({"Tags": ["x" * 65]}, "ActionParameterValueFormatError"),
        ({"Tags": [*MANY, "more"]}, "ActionParameterValueOutOfRange"),
        ({"Tags": [], "More": 1}, "ActionParameterUnknown"),
    ],
)
async def test_what_can_be_no_tags_is_refused(
    house: House, body: dict[str, Any], key: str
) -> None:
    accepted = await running(house, **{"Task-Tags": "old"})
    answer = await act(house, accepted, "SetTags", json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert await tags_of(house, accepted) == ["old"]


async def test_ended_task_keeps_its_tags(house: House) -> None:
    accepted = await house.reset("node1.1")
    await house.ended(accepted)
    answer = await tag(house, accepted, "late")
    assert answer.status_code == 409
    assert message_keys(answer) == ["ActionNotSupported"]
    assert await tags_of(house, accepted) == []


async def test_tags_are_for_owners_and_managers(house: House) -> None:
    async with account(house, "Operator") as other:
        accepted = await running(house)
        refused = await tag(house, accepted, "theirs", auth=other)
        assert refused.status_code == 403
    assert signals(await history_of(house, accepted), "SetTags") == []


async def test_tags_wait_for_a_worker(house: House) -> None:
    await house.stop_worker()
    accepted = await running(house)
    assert (await tag(house, accepted, "later")).status_code == 204
    assert await tags_of(house, accepted) == []
    await house.start_worker()
    house.emulator.set_modes("bmc1", hang=False)
    await house.ended(accepted)
    assert await tags_of(house, accepted) == ["later"]


async def test_what_temporal_sends_and_is_no_tag_changes_nothing(
    house: House,
) -> None:
    accepted = await running(house, **{"Task-Tags": "old"})
    await house.workflow(accepted).signal("SetTags", ["x" * 300])
    house.emulator.set_modes("bmc1", hang=False)
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert await tags_of(house, accepted) == ["old"]


@pytest.mark.parametrize("name", ["none", "watch%3Abmc1", "a'b"])
async def test_unknown_task_has_no_tags(house: House, name: str) -> None:
    uri = f"{TASKS}/{name}/Actions/Oem/Taskfish.SetTags"
    assert (await house.client.post(uri, json={"Tags": []})).status_code == 404
