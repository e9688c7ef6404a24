"""`taskfish run` against a gateway, from a shell."""

import asyncio
import itertools
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from taskfish.cli.run_plan import ACTION
from taskfish.cli.step_screen import with_steps
from tests.cli.processes import environment
from tests.house import PASSWORD, USER, House
from tests.plugins.faulty_socket import Behaviour, read_request, serving
from tests.serving import served

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
    assert (code, errors) == (0, "")
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
    assert output.count("Started: ") == 1
    assert errors.count("The gateway cannot be asked (") == 1
    assert "the task goes on without it." in errors
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
        process.stdin.write(NEVER.encode())
        process.stdin.close()
        while b"Running" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        output = (await process.stdout.read()).decode()
        code = await process.wait()
        task = (await house.client.get("/redfish/v1/TaskService/Tasks/endless")).json()
    if cancels:
        assert (code, task["TaskState"]) == (1, "Cancelled")
        assert "Cancelled: " in output
    else:
        assert (code, task["TaskState"]) == (130, "Running")
        assert "The task goes on: /redfish/v1/TaskService/Tasks/endless" in output
