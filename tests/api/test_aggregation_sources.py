"""AggregationSources: added by a task, kept only if good, forgotten without a trace."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from taskfish.plugins.emulator import Emulator, serve
from taskfish.redfish.sources import SourceOptions
from taskfish.store.sources import Sources
from tests.api.answers import members, message_keys
from tests.composing import until_sent
from tests.house import FAST, LONGEST_WAIT, METHODS, SOURCES, House, source_body
from tests.kept_bytes import database_bytes, raw_history, readable_history
from tests.plugins.faulty_socket import never_answer, refused, serving
from tests.plugins.scripted_service import scripted

SYSTEMS = "/redfish/v1/Systems"
DROPPED: Any = object()


@asynccontextmanager
async def another_bmc(password: str = "password") -> AsyncIterator[str]:
    """Give the URL of a BMC that the house does not know."""
    credentials = ("admin", password)
    emulator = Emulator(systems=0, bmcs=1, modes=FAST, bmc_credentials=credentials)
    async with serve(emulator) as addresses:
        yield addresses.bmcs[0]


async def add(
    house: House, name: str, host: str, method: str, password: str, **options: Any
) -> httpx.Response:
    """Send a source and return the 202."""
    body = source_body(name, host, method, password, options)
    response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 202, response.text
    return response


async def names(house: House) -> list[str]:
    """Return the Ids of the sources there are."""
    found = members(await house.client.get(SOURCES))
    return [uri.removeprefix(f"{SOURCES}/") for uri in found]


async def test_source_is_a_member_only_after_its_task(house: House) -> None:
    async with another_bmc() as url:
        await house.stop_worker()
        accepted = await add(house, "rack9", url, "Redfish", "password")
        before = await names(house), await house.client.get(f"{SOURCES}/rack9")
        await house.start_worker()
        final = await house.final(accepted)
        task = await house.task(accepted)
        after = await names(house), await house.client.get(f"{SOURCES}/rack9")
        system = await house.client.get(f"{SYSTEMS}/rack9.1")
    assert accepted.headers["Location"].startswith("/redfish/v1/TaskService/TaskMon")
    assert "rack9" not in before[0]
    assert before[1].status_code == 404
    assert (final.status_code, task["TaskState"]) == (201, "Completed")
    assert final.headers["Location"] == f"{SOURCES}/rack9"
    assert "rack9" in after[0]
    assert final.json()["HostName"] == after[1].json()["HostName"] == url
    assert system.json()["Id"] == "rack9.1"


async def test_source_shows_what_it_gives_access_to(house: House) -> None:
    body = (await house.client.get(f"{SOURCES}/node1")).json()
    method = {"@odata.id": f"{METHODS}/ODIM"}
    assert body["Password"] is None
    assert body["UserName"] == "admin"
    assert body["Links"]["ConnectionMethod"] == method
    assert body["Links"]["ResourcesAccessed"] == [{"@odata.id": f"{SYSTEMS}/node1.1"}]
    odim = (await house.client.get(f"{METHODS}/ODIM")).json()
    used = [link["@odata.id"] for link in odim["Links"]["AggregationSources"]]
    assert used == [f"{SOURCES}/{name}" for name in ("node1", "node2", "plugin")]


async def test_source_without_an_id_is_named_by_its_host(house: House) -> None:
    async with another_bmc() as url:
        body = source_body("", url, "Redfish", "password")
        del body["Id"]
        accepted = await house.client.post(SOURCES, json=body)
        final = await house.final(accepted)
    name = url.removeprefix("http://").replace(".", "-").replace(":", "-")
    assert final.headers["Location"] == f"{SOURCES}/{name}"


async def test_bad_credentials_leave_nothing_and_can_be_mended(house: House) -> None:
    async with another_bmc("right password") as url:
        accepted = await add(house, "rack9", url, "Redfish", "wrong password")
        final = await house.final(accepted)
        task = await house.task(accepted)
        left = await names(house)
        assert b"rack9" not in await rows(house)
        again = await house.add_source("rack9", url, "Redfish", "right password")
    assert final.status_code == 500
    assert message_keys(final) == ["ResourceAtUriUnauthorized"]
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert "rack9" not in left
    assert again.status_code == 201


async def test_bad_credentials_behind_a_plugin_leave_nothing(house: House) -> None:
    await house.client.delete(f"{SOURCES}/node2")
    plugin = {"@odata.id": f"{SOURCES}/plugin"}
    host = house.addresses.systems[1]
    accepted = await add(house, "rack9", host, "ODIM", "wrong", Plugin=plugin)
    final = await house.final(accepted)
    assert final.status_code == 500
    assert message_keys(final) == ["ResourceAtUriUnauthorized"]
    assert await names(house) == ["bmc1", "node1", "plugin"]
    again = await add(house, "rack9", host, "ODIM", "password", Plugin=plugin)
    assert (await house.final(again)).status_code == 201


async def test_unreachable_source_ends_in_exception(house: House) -> None:
    with refused() as url:
        accepted = await add(house, "rack9", url, "Redfish", "password")
        final = await house.final(accepted)
    assert final.status_code == 503
    assert message_keys(final) == ["CouldNotEstablishConnection"]
    assert (await house.task(accepted))["TaskState"] == "Exception"
    assert "rack9" not in await names(house)


async def test_host_that_speaks_no_redfish_ends_in_exception(house: House) -> None:
    async with scripted() as other:
        accepted = await add(house, "rack9", other.url, "Redfish", "password")
        final = await house.final(accepted)
    assert final.status_code == 500
    assert message_keys(final) == ["ResourceAtUriInUnknownFormat"]
    assert "rack9" not in await names(house)


async def test_bad_source_delays_no_other(house: House) -> None:
    async with serving(never_answer) as silent, another_bmc() as url:
        bad = await add(house, "silent", silent, "Redfish", "password")
        begun = time.monotonic()
        good = await house.add_source("rack9", url, "Redfish", "password")
        systems = members(await house.client.get(SYSTEMS))
        took = time.monotonic() - begun
        state = (await house.task(bad))["TaskState"]
        await house.workflow(bad).cancel()
        await house.ended(bad)
    assert good.status_code == 201
    assert f"{SYSTEMS}/rack9.1" in systems
    assert state in ("New", "Running")
    assert took < 2
    assert "silent" not in await names(house)


async def test_same_id_is_409(house: House) -> None:
    async with another_bmc() as url:
        body = source_body("bmc1", url, "Redfish", "password")
        response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 409
    assert message_keys(response) == ["ResourceAlreadyExists"]
    info = response.json()["error"]["@Message.ExtendedInfo"][0]
    assert info["MessageArgs"] == ["AggregationSource", "Id", "bmc1"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/"),
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        ("bmc.invalid", "https://BMC.invalid"),
        ("bmc.invalid", "https://bmc.invalid:443"),
        ("http://bmc.invalid", "http://bmc.invalid:80/"),
        ("[::1]:9", "[0:0::1]:9"),
        ("bmc.invalid:0443", "bmc.invalid"),
    ],
)
async def test_same_host_written_differently_is_409(
    house: House, first: str, second: str
) -> None:
    await house.stop_worker()
    await add(house, "one", first, "Redfish", "password")
    body = source_body("two", second, "Redfish", "password")
    response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 409
    assert message_keys(response) == ["ResourceAlreadyExists"]
    args = response.json()["error"]["@Message.ExtendedInfo"][0]["MessageArgs"]
    assert args == ["AggregationSource", "HostName", second]


async def test_two_posts_at_once_add_one_source(house: House) -> None:
    async with another_bmc() as url:
        body = source_body("rack9", url, "Redfish", "password")
        responses = await asyncio.gather(
            *(house.client.post(SOURCES, json=body) for _ in range(4))
        )
        codes = sorted(response.status_code for response in responses)
        accepted = next(r for r in responses if r.status_code == 202)
        final = await house.final(accepted)
    assert codes == [202, 409, 409, 409]
    assert final.status_code == 201


@pytest.mark.parametrize(
    ("changes", "key", "name"),
    [
        ({"HostName": DROPPED}, "PropertyMissing", "HostName"),
        ({"Links": DROPPED}, "PropertyMissing", "Links"),
        ({"Links": {}}, "PropertyMissing", "Links/ConnectionMethod"),
        (
            {"Links": {"ConnectionMethod": {}}},
            "PropertyMissing",
            "Links/ConnectionMethod/@odata.id",
        ),
        ({"HostName": 5}, "PropertyValueTypeError", "HostName"),
        ({"UserName": 5}, "PropertyValueTypeError", "UserName"),
        ({"Password": ["x"]}, "PropertyValueTypeError", "Password"),
        ({"Links": "x"}, "PropertyValueTypeError", "Links"),
        ({"Oem": {"Taskfish": []}}, "PropertyValueTypeError", "Oem/Taskfish"),
        ({"Colour": "red"}, "PropertyUnknown", "Colour"),
        ({"Oem": {"Taskfish": {"Poll": 1}}}, "PropertyUnknown", "Oem/Taskfish/Poll"),
        ({"Id": ""}, "PropertyValueFormatError", "Id"),
        ({"Id": "a.b"}, "PropertyValueFormatError", "Id"),
        ({"Id": "Rack"}, "PropertyValueFormatError", "Id"),
        ({"Id": "-rack"}, "PropertyValueFormatError", "Id"),
        ({"Id": "a/b"}, "PropertyValueFormatError", "Id"),
        ({"Id": "rack\n"}, "PropertyValueFormatError", "Id"),
        ({"Id": "x" * 33}, "PropertyValueFormatError", "Id"),
        ({"HostName": ""}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "ftp://host"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "http://"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host/path"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "http://host?x=1"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host:port"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host:123456"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host:99999"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "a b"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "http://u:p@host"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host:0"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "[::zz]"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "[:::1]"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "http://[1.2.3.4]"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "host\n"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": f"{'x' * 256}"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "a..b"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": f"{'a' * 64}.example"}, "PropertyValueFormatError", "HostName"),
        ({"HostName": "http://xn--a"}, "PropertyValueFormatError", "HostName"),
        (
            {"Links": {"ConnectionMethod": {"@odata.id": f"{METHODS}/IPMI"}}},
            "PropertyValueNotInList",
            "Links/ConnectionMethod/@odata.id",
        ),
        (
            {"Links": {"ConnectionMethod": {"@odata.id": "/elsewhere/Redfish"}}},
            "PropertyValueNotInList",
            "Links/ConnectionMethod/@odata.id",
        ),
        (
            {"Oem": {"Taskfish": {"Plugin": {"@odata.id": f"{SOURCES}/none"}}}},
            "PropertyValueNotInList",
            "Oem/Taskfish/Plugin",
        ),
        (
            {"Oem": {"Taskfish": {"Plugin": {"@odata.id": "/elsewhere/plugin"}}}},
            "PropertyValueNotInList",
            "Oem/Taskfish/Plugin",
        ),
        (
            {"Oem": {"Taskfish": {"Plugin": {"@odata.id": f"{SOURCES}/bmc1"}}}},
            "PropertyValueNotInList",
            "Oem/Taskfish/Plugin",
        ),
        (
            {"Oem": {"Taskfish": {"Plugin": {"@odata.id": f"{SOURCES}/node1"}}}},
            "PropertyValueNotInList",
            "Oem/Taskfish/Plugin",
        ),
        (
            {"Oem": {"Taskfish": {"PollSeconds": 0}}},
            "PropertyValueOutOfRange",
            "Oem/Taskfish/PollSeconds",
        ),
        (
            {"Oem": {"Taskfish": {"MaxConcurrentRequests": 0}}},
            "PropertyValueOutOfRange",
            "Oem/Taskfish/MaxConcurrentRequests",
        ),
        (
            {"Oem": {"Taskfish": {"PluginAuth": "Digest"}}},
            "PropertyValueNotInList",
            "Oem/Taskfish/PluginAuth",
        ),
    ],
)
async def test_bad_body_is_400_and_names_the_property(
    house: House, changes: dict[str, Any], key: str, name: str
) -> None:
    body = source_body("rack9", "http://host.invalid", "Redfish", "password") | changes
    body = {name: value for name, value in body.items() if value is not DROPPED}
    response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 400
    assert message_keys(response) == [key]
    info = response.json()["error"]["@Message.ExtendedInfo"][0]
    assert name in info["MessageArgs"]
    assert "rack9" not in await names(house)


async def test_password_of_the_wrong_type_is_not_shown(house: House) -> None:
    body = source_body("rack9", "http://host.invalid", "Redfish", "x")
    body["Password"] = {"clear": "swordfish"}
    response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 400
    assert "swordfish" not in response.text


async def test_removed_source_is_gone_with_its_members(house: House) -> None:
    response = await house.client.delete(f"{SOURCES}/bmc1")
    assert response.status_code == 204
    assert await names(house) == ["node1", "node2", "plugin"]
    assert (await house.client.get(f"{SOURCES}/bmc1")).status_code == 404
    assert (await house.client.get(f"{SYSTEMS}/bmc1.1")).status_code == 404
    assert f"{SYSTEMS}/bmc1.1" not in members(await house.client.get(SYSTEMS))


async def test_source_whose_machine_is_in_an_open_plan_is_not_removed(
    house: House,
) -> None:
    """One has a step under way, the other one that has not begun."""
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    steps = [
        {
            "Name": name,
            "Method": "POST",
            "Uri": f"/redfish/v1/Systems/{name}.1/Actions/ComputerSystem.Reset",
            "Body": {"ResetType": "ForceRestart"},
        }
        for name in ("bmc1", "node1")
    ]
    plan = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
    accepted = await house.change("POST", plan, {"Steps": steps})
    await until_sent(house, accepted, "bmc1")
    for name in ("bmc1", "node1"):
        refused = await house.client.delete(f"{SOURCES}/{name}")
        assert refused.status_code == 409, name
        assert message_keys(refused) == ["ResourceInUse"]
    await house.client.delete(accepted.json()["@odata.id"])
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"


async def test_plugin_in_use_is_not_removed(house: House) -> None:
    response = await house.client.delete(f"{SOURCES}/plugin")
    assert response.status_code == 409
    assert message_keys(response) == ["ResourceInUse"]
    for node in ("node1", "node2"):
        await house.client.delete(f"{SOURCES}/{node}")
    assert (await house.client.delete(f"{SOURCES}/plugin")).status_code == 204


async def test_changed_credentials_are_used_at_once(house: House) -> None:
    account = house.emulator.machines["bmc1"].accounts.by_id["1"]
    account.password = "changed"
    assert (await house.client.get(f"{SYSTEMS}/bmc1.1")).status_code == 500
    patch = {"Password": "changed"}
    response = await house.client.patch(f"{SOURCES}/bmc1", json=patch)
    assert (response.status_code, response.json()["Password"]) == (200, None)
    async with asyncio.timeout(LONGEST_WAIT):
        while (await house.client.get(f"{SYSTEMS}/bmc1.1")).status_code != 200:
            await asyncio.sleep(0.05)
    kept = await Sources(house.store).get("bmc1")
    assert kept is not None
    assert kept.refused_at is None
    task = await house.ended(await house.reset("bmc1.1"))
    assert task["TaskState"] == "Completed"


async def test_changes_at_once_keep_the_password_and_the_options(house: House) -> None:
    uri = f"{SOURCES}/bmc1"
    given = (
        {"Password": "new", "Oem": {"Taskfish": {"VerifyCertificate": False}}},
        {"Oem": {"Taskfish": {"PollSeconds": 7}}},
        {"Oem": {"Taskfish": {"MaxConcurrentRequests": 9}}},
    )
    made = await asyncio.gather(*(house.client.patch(uri, json=each) for each in given))
    kept = await Sources(house.store).get("bmc1")
    assert [answer.status_code for answer in made] == [200] * len(given)
    assert kept is not None
    assert kept.source.password is not None
    assert kept.source.password.get_secret_value() == "new"
    options = kept.source.options
    assert not options.verify_certificate
    assert (options.poll_seconds, options.max_concurrent_requests) == (7, 9)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_version_that_is_none_is_412_and_changes_nothing(
    house: House, method: str
) -> None:
    uri = f"{SOURCES}/bmc1"
    etag = (await house.client.get(uri)).headers["ETag"]
    await house.client.patch(uri, json={"Password": "password"})
    before = await Sources(house.store).get("bmc1")
    for wrong in ('"nonsense"', etag, ""):
        body = {"UserName": "other"} if method == "PATCH" else None
        answer = await house.client.request(
            method, uri, json=body, headers={"If-Match": wrong}
        )
        assert answer.status_code == 412
        assert message_keys(answer) == ["PreconditionFailed"]
    assert await Sources(house.store).get("bmc1") == before


async def test_version_that_is_shown_may_be_changed_and_removed(house: House) -> None:
    uri = f"{SOURCES}/bmc1"
    etags = [(await house.client.get(uri)).headers["ETag"]]
    for body in (
        {"Password": "password"},
        {"UserName": "admin", "Oem": {"Taskfish": {"PollSeconds": 9}}},
    ):
        answer = await house.client.patch(
            uri, json=body, headers={"If-Match": etags[-1]}
        )
        assert answer.status_code == 200
        assert answer.json()["@odata.etag"] == answer.headers["ETag"]
        etags.append(answer.headers["ETag"])
    assert len(set(etags)) == len(etags)
    assert (await house.client.get(uri)).headers["ETag"] == etags[-1]
    removed = await house.client.delete(uri, headers={"If-Match": etags[-1]})
    assert removed.status_code == 204


async def test_one_of_two_changes_of_one_version_is_made(house: House) -> None:
    uri = f"{SOURCES}/bmc1"
    etag = (await house.client.get(uri)).headers["ETag"]
    given = ({"Oem": {"Taskfish": {"PollSeconds": seconds}}} for seconds in (7, 9))
    made = await asyncio.gather(
        *(
            house.client.patch(uri, json=body, headers={"If-Match": etag})
            for body in given
        )
    )
    assert sorted(answer.status_code for answer in made) == [200, 412]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"HostName": "http://other.invalid"}, "PropertyNotWritable"),
        ({"Id": "other"}, "PropertyNotWritable"),
        ({"Colour": "red"}, "PropertyUnknown"),
        ({"Password": 5}, "PropertyValueTypeError"),
        ({"UserName": []}, "PropertyValueTypeError"),
        ({"Oem": {"Taskfish": {"PollSeconds": "1"}}}, "PropertyValueTypeError"),
        (
            {"Oem": {"Taskfish": {"Plugin": {"@odata.id": f"{SOURCES}/none"}}}},
            "PropertyValueNotInList",
        ),
    ],
)
async def test_bad_change_of_a_source_is_400(
    house: House, body: dict[str, Any], key: str
) -> None:
    before = await Sources(house.store).access("bmc1")
    response = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    assert response.status_code == 400
    assert message_keys(response) == [key]
    assert await Sources(house.store).access("bmc1") == before


async def test_null_restores_a_default(house: House) -> None:
    body = {"Oem": {"Taskfish": {"PollSeconds": None, "Instances": None}}}
    response = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    kept = await Sources(house.store).get("bmc1")
    assert response.status_code == 200
    assert kept is not None
    assert kept.source.options == SourceOptions()


async def test_place_of_a_killed_addition_is_free_again(house: House) -> None:
    async with another_bmc() as url:
        await house.stop_worker()
        accepted = await add(house, "rack9", url, "Redfish", "password")
        await house.workflow(accepted).terminate()
        await house.start_worker()
        again = await house.add_source("rack9", url, "Redfish", "password")
    assert again.status_code == 201


async def test_password_is_kept_nowhere_in_clear(house: House) -> None:
    secret = "swordfish"
    async with another_bmc(secret) as url:
        accepted = await add(house, "rack9", url, "Redfish", secret)
        final = await house.final(accepted)
        task = await house.task(accepted)
    handle = house.workflow(accepted)
    watcher = house.temporal.get_workflow_handle("watch:rack9")
    assert final.status_code == 201
    assert json.loads(task["Payload"]["JsonBody"])["Password"] == "********"
    assert secret not in final.text + json.dumps(task)
    assert b"rack9" in await readable_history(house, handle)
    for kept in (
        await raw_history(house, handle),
        await readable_history(house, handle),
        await raw_history(house, watcher),
        await readable_history(house, watcher),
        database_bytes(house),
    ):
        assert secret.encode() not in kept


async def test_refused_addition_keeps_no_password(house: House) -> None:
    async with another_bmc() as url:
        accepted = await add(house, "rack9", url, "Redfish", "swordfish")
        await house.final(accepted)
    handle = house.workflow(accepted)
    assert b"swordfish" not in await readable_history(house, handle)
    assert b"swordfish" not in database_bytes(house)


async def rows(house: House) -> bytes:
    """Return the sources that the store has, as text."""
    async with house.store.read() as connection:
        found = await connection.exec_driver_sql("SELECT * FROM sources")
        return repr(found.all()).encode()


async def test_change_of_nothing_is_refused_and_annotations_are_ignored(
    house: House,
) -> None:
    uri = f"{SOURCES}/bmc1"
    for body in ({}, {"@odata.etag": '"x"'}):
        refused = await house.client.patch(uri, json=body)
        assert (refused.status_code, message_keys(refused)) == (400, ["NoOperation"])
    body = {"@odata.etag": '"x"', "UserName": "admin"}
    assert (await house.client.patch(uri, json=body)).status_code == 200
