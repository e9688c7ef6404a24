"""`taskfish run` against a gateway, from a shell."""

import asyncio
import itertools
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from pydantic import JsonValue

from taskfish.cli.run_plan import ACTION
from taskfish.cli.step_screen import with_steps
from tests.chaos.front import open_front
from tests.cli.processes import environment, until
from tests.house import PASSWORD, USER, House
from tests.plugins.faulty_socket import Behaviour, read_request, serving
from tests.plugins.scripted_service import http, scripted
from tests.serving import served
from tests.workflows.houses import until_executed

PLAN = """
Steps:
  - Name: look
    Method: GET
    Uri: /redfish/v1/Systems/bmc1.1
  - Name: tag
    Method: PATCH
    Uri: /redfish/v1/Systems/bmc1.1
    Body: {AssetTag: "of-${look#/Body/Id}"}
"""
NEVER = """
- Name: never
  Method: GET
  Uri: /redfish/v1/Systems/bmc1.1
  Until: {Pointer: /PowerState, Value: Never}
"""
FAULTY = """
- {Name: a, Method: GET, Uri: /redfish/v1/Systems/nobody.1}
- {Name: a, Method: GET, Uri: /redfish/v1/AccountService}
"""
TASK = "/redfish/v1/TaskService/Tasks/one"
MONITOR = "/taskmon/one"
START, READ, CANCEL = f"POST {ACTION}", f"GET {TASK}", f"DELETE {MONITOR}"
STARTED = http(202, {"@odata.id": TASK}, Location=MONITOR)


def task(state: str) -> dict[str, JsonValue]:
    """Return a Task of which no steps are known, as a scripted gateway has it."""
    return {"@odata.id": TASK, "Id": "one", "TaskState": state}


async def start(url: str, *words: str, password: str = PASSWORD) -> Process:
    """Start the command with the login of the administrator."""
    login = {"TASKFISH_USERNAME": USER, "TASKFISH_PASSWORD": password}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "taskfish.cli.main", "run", *words),
        env=environment() | {"TASKFISH_URL": url} | login,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


async def run(
    url: str, *words: str, given: str | None = None, password: str = PASSWORD
) -> tuple[int | None, str, str]:
    """Run the command to its end: code, output, errors."""
    process = await start(url, *words, password=password)
    output, errors = await process.communicate(given.encode() if given else None)
    return process.returncode, output.decode(), errors.decode()


def losing(url: str, lost: set[int]) -> Behaviour:
    """Pass each request on to a gateway, and lose the answers with these numbers."""
    host, _, port = url.removeprefix("http://").partition(":")
    numbers = itertools.count()

    async def behave(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await read_request(reader)
        number = next(numbers)
        behind, to_gateway = await asyncio.open_connection(host, int(port))
        to_gateway.write(request.replace(b"keep-alive", b"close", 1))
        answer = await behind.read()
        to_gateway.close()
        if number not in lost:
            writer.write(answer)
            await writer.drain()

    return behave


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file with a plan."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


async def test_plan_is_shown_to_its_end(house: House, file: Path) -> None:
    async with served(house) as url:
        code, output, errors = await run(url, str(file), "--task-id", "tagging")
    assert code == 0
    assert errors == "Started: /redfish/v1/TaskService/Tasks/tagging\n"
    assert "tagging  100 %  Completed" in output
    assert output.endswith("Completed: /redfish/v1/TaskService/Tasks/tagging\n")
    system = await house.client.get("/redfish/v1/Systems/bmc1.1")
    assert system.json()["AssetTag"] == "of-bmc1.1"


async def test_json_is_the_task_alone(house: House) -> None:
    async with served(house) as url:
        code, output, errors = await run(url, "-", "--json", given=PLAN)
    assert code == 0
    assert errors.startswith("Started: /redfish/v1/TaskService/Tasks/")
    task = json.loads(output)
    assert task["TaskState"] == "Completed"
    assert isinstance(task["Steps"], list)


async def test_plan_that_fails_is_code_1(house: House) -> None:
    fails = NEVER + "  TimeoutSeconds: 1\n"
    async with served(house) as url:
        code, output, _ = await run(url, "-", given=fails)
    assert code == 1
    assert "Exception: /redfish/v1/TaskService/Tasks/" in output


async def test_each_fault_is_a_line(house: House, file: Path) -> None:
    file.write_text(FAULTY)
    async with served(house) as url:
        code, output, errors = await run(url, str(file))
        wrong = await run(url, str(file), password="nonsense")
    assert (code, output) == (2, "")
    first, *faults = errors.splitlines()
    assert first == f"taskfish: the gateway refuses {file} (400):"
    places = [fault.strip().partition(":")[0] for fault in faults]
    assert places == ["Steps/0/Name", "Steps/1/Name", "Steps/1/Uri"]
    assert wrong[0] == 2
    assert "(401)" in wrong[2]


async def test_what_is_no_plan_is_not_sent(file: Path) -> None:
    file.write_text("Steps: [")
    code, _, errors = await run("http://127.0.0.1:9", str(file))
    assert code == 2
    assert errors.startswith(f"taskfish: {file} is no plan: ")
    file.write_text(PLAN)
    code, _, errors = await run("http://127.0.0.1:9", str(file))
    assert code == 2
    assert "does not answer at http://127.0.0.1:9" in errors


async def test_lost_answers_are_borne_and_the_plan_is_run_once(
    house: House, file: Path
) -> None:
    async with served(house) as gateway, serving(losing(gateway, {0, 2, 3})) as url:
        code, output, errors = await run(url, str(file))
    assert code == 0
    assert "Completed: " in output
    first, second, third = errors.splitlines()
    assert first.startswith("The gateway does not start the plan (")
    assert second.startswith("Started: ")
    assert third.startswith("The gateway does not answer (")
    assert third.endswith("the task goes on without it.")
    assert house.executions("bmc1") == 1


async def test_plan_is_run_once_though_the_api_dies_at_its_start(
    house: House, file: Path, temporal_address: str, tmp_path: Path
) -> None:
    async with open_front(house, temporal_address, tmp_path) as front:
        front.api.kill_at("started")
        code, _, errors = await run(str(front.client.base_url), str(file))
        assert front.api.deaths["killed at a boundary"] == 1
    assert code == 0, errors
    assert errors.count("Started: ") == 1
    assert house.executions("bmc1") == 1


async def test_command_goes_on_when_the_api_is_back(
    house: House, file: Path, temporal_address: str, tmp_path: Path
) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    async with open_front(house, temporal_address, tmp_path) as front:
        process = await start(str(front.client.base_url), str(file))
        assert process.stderr is not None
        await until_executed(house)
        front.api.kill()
        while b"does not answer" not in await process.stderr.readline():
            assert process.returncode is None
        house.emulator.set_modes("bmc1", hang=False)
        output, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert b"Completed: " in output
    assert house.executions("bmc1") == 1


async def test_all_steps_of_a_long_plan_are_shown(house: House) -> None:
    steps = [
        {"Name": f"look-{number}", "Method": "GET", "Uri": "/redfish/v1/Systems/bmc1.1"}
        for number in range(120)
    ]
    body = {"Steps": steps, "PauseBefore": ["look-0"]}
    accepted = await house.change("POST", ACTION, body)
    await house.until(accepted, "Suspended")
    seen = await with_steps(house.client, accepted.json()["@odata.id"])
    assert [each["Id"] for each in seen.steps] == [each["Name"] for each in steps]
    await house.client.delete(accepted.json()["@odata.id"])


@pytest.mark.parametrize("cancels", [False, True])
async def test_interrupt_says_what_becomes_of_the_task(
    house: House, cancels: bool
) -> None:
    options = ["--task-id", "endless", *["--cancel-on-interrupt"] * cancels]
    async with served(house) as url:
        process = await start(url, "-", *options)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(NEVER.encode())
        process.stdin.close()
        while b"Running" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        output = (await process.stdout.read()).decode()
        code = await process.wait()
        errors = (await process.stderr.read()).decode()
        task = (await house.client.get("/redfish/v1/TaskService/Tasks/endless")).json()
    if cancels:
        assert (code, task["TaskState"]) == (1, "Cancelled")
        assert "Cancelled: " in output
    else:
        assert (code, task["TaskState"]) == (130, "Running")
        assert "The task goes on: /redfish/v1/TaskService/Tasks/endless" in errors


async def test_start_is_sent_again_when_the_gateway_wants_it() -> None:
    async with scripted() as gateway:
        busy = http(503, Retry_After="2")
        gateway.on(START, busy, STARTED)
        gateway.on(READ, http(200, task("Completed")))
        begin = time.monotonic()
        code, _, errors = await run(gateway.url, "-", given=PLAN)
        seconds = time.monotonic() - begin
    assert code == 0
    assert "it answers 503" in errors
    assert seconds > 2
    keys = [each.headers["idempotency-key"] for each in gateway.asked[:2]]
    assert gateway.lines() == [START, START, READ]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(("named", "code"), [({}, 2), ({"Task_Id": "one"}, 3)])
async def test_start_is_given_up_when_it_would_take_too_long(
    named: dict[str, str], code: int
) -> None:
    async with scripted() as gateway:
        gateway.on(START, http(503, Retry_After="60", **named))
        found, output, errors = await run(gateway.url, "-", given=PLAN)
    assert (found, output) == (code, "")
    assert gateway.lines() == [START]
    assert ("the plan may have started" in errors) == (code == 3)


async def test_interrupt_before_the_answer_says_so() -> None:
    async with scripted() as gateway:
        gateway.delay = 60
        process = await start(gateway.url, "-")
        assert process.stdin is not None
        process.stdin.write(PLAN.encode())
        process.stdin.close()
        await until(gateway.lines, 30)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert process.returncode == 130
    assert b"the plan may have started" in errors


async def test_task_is_read_once_a_second_at_most() -> None:
    async with scripted() as gateway:
        running, ended = http(200, task("Running")), http(200, task("Exception"))
        gateway.on(START, STARTED)
        gateway.on(READ, running, running, ended)
        begin = time.monotonic()
        code, _, _ = await run(gateway.url, "-", "--json", given=PLAN)
        assert time.monotonic() - begin > 2
    assert code == 1


async def test_task_that_cannot_be_read_any_more_is_code_3() -> None:
    async with scripted() as gateway:
        gateway.on(START, STARTED)
        code, _, errors = await run(gateway.url, "-", given=PLAN)
    assert code == 3
    assert f"GET {TASK} was answered 404" in errors
    assert errors.endswith(f"The task may go on: {TASK}\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(405), f"the cancel is refused: DELETE {MONITOR} was answered 405"),
        (http(503), "the cancel could not be sent (it answers 503)"),
        (b"nonsense\r\n\r\n", "the cancel may not have been sent ("),
    ],
)
async def test_cancel_that_comes_to_nothing_is_told(answer: bytes, words: str) -> None:
    code, errors = await _interrupted_at(answer, http(200, task("Running")))
    assert code == 3
    assert words in errors
    assert errors.endswith(f"The task may go on: {TASK}\n")


async def test_cancel_of_what_has_just_ended_shows_its_end() -> None:
    """Its monitor is gone; the Task is not removed."""
    code, errors = await _interrupted_at(http(404), http(200, task("Completed")))
    assert (code, errors) == (0, "")


async def _interrupted_at(answer: bytes, later: bytes) -> tuple[int | None, str]:
    """Interrupt the command, which cancels; `answer` is that to the cancel, `later`
    what is read then. Return code and what is said after the start.
    """
    async with scripted() as gateway:
        gateway.on(START, STARTED)
        gateway.on(READ, http(200, task("Running")))
        process = await start(gateway.url, "-", "--cancel-on-interrupt")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(PLAN.encode())
        process.stdin.close()
        assert b"Running" in await process.stdout.readline()
        gateway.on(READ, later)
        gateway.on(CANCEL, answer)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    return process.returncode, errors.decode().removeprefix(f"Started: {TASK}\n")
