"""What tasks are found by: $filter, and its short forms for people."""

import pytest

from tests.api.answers import message_keys
from tests.api.task_lists import Gallery, gallery, until_visible
from tests.house import TASKS, USER, House

ALL = ("done", "failed", "cancelled", "killed", "running", "paused")
ENDED = {"done", "failed", "cancelled", "killed"}


@pytest.fixture(scope="module")
async def shown_once(shared_house: House) -> tuple[House, Gallery]:
    """Give the tasks that all tests here look for, once visibility knows them."""
    await shared_house.settle()
    shown = await gallery(shared_house)
    await until_visible(shared_house, shown)
    return shared_house, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TaskState eq 'Completed'", {"done"}),
        ("TaskState ne 'Completed'", set(ALL) - {"done"}),
        ("TaskState eq 'Killed' or TaskState eq 'Cancelled'", {"killed", "cancelled"}),
        ("TaskState in ('Running', 'Suspended')", {"running", "paused"}),
        ("not (TaskState in ('Running', 'Suspended'))", ENDED),
        ("TaskStatus eq 'Critical'", {"failed", "killed"}),
        ("TaskStatus ne 'Critical'", {"done", "cancelled", "running", "paused"}),
        ("TaskStatus eq 'Warning'", {"cancelled"}),
        ("TaskStatus eq null", {"running", "paused"}),
        ("TaskStatus ne null", ENDED),
        ("EndTime eq null", {"running", "paused"}),
        ("EndTime ne null", ENDED),
        ("EndTime gt 2020-01-01T00:00:00Z", ENDED),
        ("not (EndTime gt 2020-01-01T00:00:00Z)", {"running", "paused"}),
        ("StartTime gt 2020-01-01T00:00:00Z", set(ALL)),
        ("StartTime lt 2020-01-01T00:00:00Z", set()),
        ("2020-01-01T00:00:00Z lt StartTime", set(ALL)),
        ("Name eq 'ComputerSystem.Reset node1.1'", {"done", "paused"}),
        ("startswith(Name, 'Volume.')", {"running"}),
        ("startswith(Id, 'ComputerSystem.Reset-bmc1')", {"cancelled", "killed"}),
        ("Oem/Taskfish/Operation eq 'Volume.Create'", {"running"}),
        ("Oem/Taskfish/ResourceType ne 'Volume'", set(ALL) - {"running"}),
        ("Oem/Taskfish/Source eq 'node2'", {"failed"}),
        ("Oem/Taskfish/Owner eq 'nobody'", set()),
        ("Oem/Taskfish/Tags eq 'night'", set(ALL) - {"running"}),
        ("Oem/Taskfish/Tags ne 'night'", {"running"}),
        ("Oem/Taskfish/RequestId ge 'req-'", {"done"}),
        (
            "startswith(Oem/Taskfish/TargetResource, '/redfish/v1/Systems/bmc1.1/S')",
            {"running"},
        ),
        (
            "(TaskState eq 'Running' or TaskState eq 'Killed') "
            "and Oem/Taskfish/ResourceType eq 'ComputerSystem'",
            {"killed"},
        ),
        ("Name eq 'it''s \\ none'", set()),
    ],
)
async def test_filter_finds_what_it_says(
    shown_once: tuple[House, Gallery], text: str, expected: set[str]
) -> None:
    house, shown = shown_once
    params = {"tag": shown.tag, "$filter": text}
    answer = await house.client.get(TASKS, params=params)
    assert answer.status_code == 200, answer.text
    assert set(shown.names(answer)) == expected
    assert answer.json()["Members@odata.count"] == len(expected)


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("state=active", {"running", "paused"}),
        ("state=ended", ENDED),
        ("state=running", {"running"}),
        ("state=Running&state=suspended", {"running", "paused"}),
        ("state=active&source=bmc1", {"running"}),
        ("source=bmc1&source=node2", {"cancelled", "killed", "running", "failed"}),
        ("resource=/redfish/v1/Systems/bmc1.1", {"cancelled", "killed", "running"}),
        ("resource=/redfish/v1/Systems/bmc1.1/Storage", {"running"}),
        ("resource=/redfish/v1/Systems/bmc1", set()),
        ("resourceType=Volume", {"running"}),
        (f"owner={USER}", set(ALL)),
        ("owner=nobody", set()),
        ("tag=night&state=active", {"paused"}),
    ],
)
async def test_short_forms_find_what_they_say(
    shown_once: tuple[House, Gallery], short: str, expected: set[str]
) -> None:
    house, shown = shown_once
    uri = f"{TASKS}?{short}&$filter=Oem/Taskfish/Tags eq '{shown.tag}'"
    answer = await house.client.get(uri)
    assert answer.status_code == 200, answer.text
    assert set(shown.names(answer)) == expected


@pytest.mark.parametrize(
    "query",
    [
        "$filter=",
        "$filter=TaskState eq",
        "$filter=TaskState eq 'Sleeping'",
        "$filter=TaskState gt 'Running'",
        "$filter=TaskState eq 5",
        "$filter=PercentComplete gt 50",
        "$filter=Oem/Taskfish/Deadline gt 2020-01-01T00:00:00Z",
        "$filter=StartTime gt 'yesterday'",
        "$filter=StartTime gt null",
        "$filter=StartTime ge 9999-12-31T23:59:59-01:00",
        "$filter=Name eq Id",
        "$filter='a' eq 'b'",
        "$filter=contains(Name, 'x')",
        "$filter=startswith(StartTime, '2')",
        "$filter=Oem/Taskfish/Tags/any(t: t eq 'a')",
        "$filter=Oem/Taskfish/Tags gt 'a'",
        f"$filter=Name eq '{'x' * 300}'",
        f"$filter=Name eq '{'x' * 5000}'",
        "$filter=Name eq 'a'&$filter=Name eq 'b'",
        "state=sleeping",
        "resource=Systems/1",
        "resourceType=Toaster",
        "$top=-1",
        "$top=many",
        "$skip=-1",
        "$skip=1.5",
        "$top=1&$top=2",
        "$expand=~",
        "$expand=Links",
        "$select=",
        "$select=a b",
        "only=yes",
        "only&$expand=.",
        "$skiptoken=%21",
        "$skiptoken=bm8gdG9rZW4=",
        "&".join(["tag=a"] * 101),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    shared_house: House, query: str
) -> None:
    answer = await shared_house.client.get(f"{TASKS}?{query}")
    assert answer.status_code == 400, answer.text
    (key,) = message_keys(answer)
    assert key in ("QueryParameterValueFormatError", "QueryCombinationInvalid")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("state=sleeping", ("active", "ended", "running", "suspended")),
        ("$filter=TaskState eq 'x'", ("Running", "Killed")),
        ("$filter=Size eq 'x'", ("TaskState", "Oem/Taskfish/Source")),
    ],
)
async def test_refusal_names_what_there_is(
    shared_house: House, query: str, named: tuple[str, ...]
) -> None:
    answer = await shared_house.client.get(f"{TASKS}?{query}")
    (info,) = answer.json()["error"]["@Message.ExtendedInfo"]
    assert all(word in info["Resolution"] for word in named)
