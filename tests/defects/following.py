"""Defects 1 to 9: how the plugin's own task is found and followed to its end."""

import time

from pydantic import JsonValue

from tests.api.answers import message_keys
from tests.defects.events import EVENT, tell
from tests.defects.plugins import (
    ACCEPTED,
    RACK,
    RESET,
    TASKMON,
    OwnPlugin,
    connections_tried,
    forget,
    instance_at,
    scripted_plugin,
)
from tests.house import SOURCES, House
from tests.plugins.scripted_service import http
from tests.workflows.houses import NODE, until, until_executed, words_of

MOST_TRIES_A_SECOND = 10
INSTANCE = "127.0.0.2"
FINAL_ANSWERS = {
    "200 without a body": (http(200), 200),
    "200": (http(200, {"Id": "1"}), 200),
    "201 without a body": (http(201, None, Location="/ODIM/v1/Systems/1"), 201),
    "204": (http(204), 204),
}


async def refused_connections(house: House) -> None:
    """A hot loop would try thousands of times a second, and hold up all others."""
    plugin = OwnPlugin()
    async with plugin.answering() as url:
        await plugin.join(house, url)
        plugin.set_modes(hang=True)
        accepted = await house.reset("node3.1")
        await house.until(accepted, "Running")
    with connections_tried(plugin.port) as tried:
        begun = time.monotonic()
        other = await house.reset("node1.1")
        assert (await house.ended(other))["TaskState"] == "Completed"
        await house.until(accepted, "Interrupted")
        await until(lambda: len(tried) > 2)
        seconds = time.monotonic() - begun
    assert len(tried) < MOST_TRIES_A_SECOND * max(1, seconds)
    async with plugin.answering():
        plugin.set_modes(hang=False)
        assert (await house.ended(accepted))["TaskState"] == "Completed"
        assert plugin.executions() == 1
        await forget(house, "node3", "other")


async def lost_terminal_event(house: House) -> None:
    """Whatever said the end was not heard: the task would stay Running for ever."""
    house.emulator.set_modes("node1", hang=True)
    accepted = await house.create_volume("node1.1", "unheard")
    await house.until(accepted, "Running")
    await house.stop_worker()
    house.emulator.set_modes("node1", hang=False)
    await until(lambda: _outcomes(house, "node1") == ["completed"])
    assert (await house.task(accepted))["TaskState"] == "Running"
    await house.start_worker()
    final = await house.final(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "unheard")
    assert (await house.task(accepted))["TaskState"] == "Completed"
    forgotten = await house.create_volume("node2.1", "forgotten")
    await house.until(forgotten, "Running")
    house.emulator.restart("plugin")
    final = await house.final(forgotten)
    assert (final.status_code, final.json()["Name"]) == (201, "forgotten")
    assert house.executions("node2") == 1


async def end_before_the_first_look(house: House) -> None:
    """The plugin's task is over when we learn of it: what told so would be dropped.

    An end that is shown is the whole end, with its time and its status. The event that
    comes before the 202 is nobody's yet, and none comes after it.
    """
    house.emulator.set_modes("node1", seconds=0, answer="task")
    accepted = await house.create_volume("node1.1", "quick")
    task = await house.ended(accepted)
    assert {"EndTime", "TaskStatus"} <= task.keys()
    assert (await house.final(accepted)).json()["Name"] == "quick"
    async with scripted_plugin(house) as plugin:
        over: JsonValue = {"TaskState": "Completed", "PercentComplete": 100}
        plugin.on(RESET, http(202, over, Location="/taskmon/t1"))
        plugin.on(TASKMON, http(200, over))
        plugin.delay = 0.3
        await tell(house, "rack9", ["t1", "{}", "200"])
        task = await house.ended(await house.reset("rack9.1"))
        assert (task["TaskState"], task["PercentComplete"]) == ("Completed", 100)
        assert {"EndTime", "TaskStatus"} <= task.keys()


async def two_resets_of_one_machine(house: House) -> None:
    """Known by the machine alone, one's end would end the other, and one hang."""
    house.emulator.set_modes("node1", hang=True, fail=True)
    failing = await house.reset("node1.1")
    await until_executed(house, "node1")
    house.emulator.set_modes("node1", fail=False)
    good = await house.reset("node1.1", "PowerCycle")
    for accepted in (failing, good):
        await house.until(accepted, "Running")
    followed = [(await house.task(each))["Oem"] for each in (failing, good)]
    monitors = {oem["Taskfish"]["PluginTaskUri"] for oem in followed}
    await tell(
        house, "node1", *([uri, "{}", "200"] for uri in monitors), ["reset-node1"]
    )
    for accepted in (failing, good):
        assert (await house.task(accepted))["TaskState"] == "Running"
    house.emulator.set_modes("node1", hang=False)
    assert (await house.ended(failing))["TaskState"] == "Exception"
    assert (await house.ended(good))["TaskState"] == "Completed"
    assert len(monitors) == 2
    assert house.executions("node1") == 2


async def accepted_without_location(house: House) -> None:
    """Under the empty name that they share, all but one would hang in New."""
    house.emulator.set_modes("plugin", instance=None)
    house.emulator.set_modes("node1", location="none", answer="task")
    volumes = {
        name: await house.create_volume("node1.1", name) for name in ("one", "other")
    }
    uri = f"{NODE}/Actions/ComputerSystem.SetDefaultBootOrder"
    invisible = await house.change("POST", uri, {})
    for name, accepted in volumes.items():
        final = await house.final(accepted)
        assert (final.status_code, final.json()["Name"]) == (201, name)
    task = await house.ended(invisible)
    assert task["TaskState"] == "Exception"
    assert "named no task" in words_of(task)
    assert f"Read {NODE} to see" in words_of(task)
    assert house.executions("node1") == 3
    unforwarded = await house.create_volume("node2.1", "unforwarded")
    assert (await house.final(unforwarded)).json()["Name"] == "unforwarded"


async def instance_that_runs_the_task(house: House) -> None:
    """The plugin's own address does not know the task; every 2xx but 202 is the end."""
    async with (
        scripted_plugin(house, Instances=[INSTANCE]) as plugin,
        instance_at(INSTANCE, plugin) as instance,
    ):
        plugin.on(
            RESET,
            http(202, None, Location="/taskmon/t1", X_Forwarded_For=INSTANCE),
        )
        for name, (answer, status) in FINAL_ANSWERS.items():
            instance.on(TASKMON, http(202), http(202), answer)
            accepted = await house.reset("rack9.1")
            final = await house.final(accepted)
            assert final.status_code == status, name
            assert (await house.task(accepted))["TaskState"] == "Completed", name
        assert TASKMON in instance.lines()
        assert TASKMON not in plugin.lines()
        assert plugin.lines().count(RESET) == len(FINAL_ANSWERS)


async def session_of_a_plugin(house: House) -> None:
    """A login answered 201 would be an error, and that error a crash."""
    plugin = OwnPlugin()
    async with plugin.answering() as url:
        token = {"PluginAuth": "XAuthToken"}
        wrong = await house.add_source("other", url, "ODIM", "wrong", token)
        assert message_keys(wrong) == ["ResourceAtUriUnauthorized"]
        await plugin.join(house, url, **token)
        plugin.set_modes(hang=True)
        accepted = await house.create_volume("node3.1")
        await house.until(accepted, "Running")
        plugin.emulator.plugin.sessions.forget()
        plugin.set_modes(hang=False)
        assert (await house.final(accepted)).status_code == 201
        assert (await house.task(accepted))["TaskState"] == "Completed"
        assert plugin.executions() == 1
        await forget(house, "node3", "other")


async def messages_with_too_few_arguments(house: House) -> None:
    """Taken apart by position, they would crash whoever reads them."""
    async with scripted_plugin(house) as plugin:
        progress, ended = f"{EVENT}.TaskProgressChanged", f"{EVENT}.TaskCompletedOK"
        one: JsonValue = [{"MessageId": progress, "MessageArgs": ["t1"]}]
        going: JsonValue = {"TaskState": "Running", "Messages": one}
        crooked: list[JsonValue] = [
            {"MessageId": ended, "MessageArgs": ["t1"]},
            {"MessageId": ended, "MessageArgs": []},
            {"MessageId": ended, "MessageArgs": None},
            {"MessageId": ended, "MessageArgs": "t1"},
            {"MessageArgs": ["t1"]},
            "done",
        ]
        plugin.on(RESET, ACCEPTED)
        plugin.on(
            TASKMON,
            http(202, going),
            http(202, going),
            http(200, {"TaskState": "Completed", "Messages": crooked}),
        )
        accepted = await house.change(
            "POST", f"{RACK}/Actions/ComputerSystem.Reset", {"ResetType": "On"}
        )
        await tell(house, "rack9", ["t1"], [], None, "t1", [None], [["t1"]])
        task = await house.ended(accepted)
        assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
        ids = [message["MessageId"] for message in task["Messages"]]
        assert ids.count(ended) == 4
        assert "done" in words_of(task)
        sources = (await house.client.get(SOURCES)).json()["Members"]
        assert {"@odata.id": f"{SOURCES}/rack9"} in sources


def _outcomes(house: House, machine: str) -> list[str]:
    return [each.outcome for each in house.emulator.executions(machine)]
