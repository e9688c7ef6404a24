import io

import httpx
from rich.console import Console

from taskfish.cli.step_screen import Task, TaskWithSteps, progress, show_to_end

TASK = "/redfish/v1/TaskService/Tasks/one"


def task(percent: int | None, state: str = "Running", step: str | None = None) -> Task:
    return {
        "@odata.id": f"{TASK}/SubTasks/{step}" if step else TASK,
        "Id": step or "one",
        "TaskState": state,
        "PercentComplete": percent,
    }


def test_lines_are_printed_on_change_only() -> None:
    output = io.StringIO()
    with progress(Console(file=output)) as show:
        for percent in (None, 0, 30, 30):
            show(TaskWithSteps(task(percent)))
        show(TaskWithSteps(task(100, "Completed")))
    lines = output.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0", "30", "100"]
    assert lines[-1].endswith("Completed")


def test_steps_stand_below_their_task() -> None:
    output = io.StringIO()
    with progress(Console(file=output)) as show:
        show(TaskWithSteps(task(0), (task(0, "New", "first"), task(0, "New", "last"))))
        show(TaskWithSteps(task(0), (task(9, step="first"), task(0, "New", "last"))))
    assert output.getvalue().splitlines() == [
        "one    0 %  Running",
        "  first    0 %  New",
        "  last    0 %  New",
        "  first    9 %  Running",
    ]


def test_terminal_has_nested_bars() -> None:
    output = io.StringIO()
    with progress(Console(file=output, force_terminal=True, width=100)) as show:
        show(TaskWithSteps(task(30), (task(60, step="first"),)))
        show(TaskWithSteps(task(100, "Completed"), (task(100, "Completed", "first"),)))
    text = output.getvalue()
    assert "100 % Completed" in text
    assert "━" in text
    assert "  first " in text


async def test_it_is_shown_until_its_end() -> None:
    polls = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal polls
        if request.url.path.endswith("/SubTasks"):
            assert request.url.params["$expand"] == "."
            return httpx.Response(200, json={"Members": [task(100, step="first")]})
        polls += 1
        shown = task(50) if polls == 1 else task(100, "Exception")
        subtasks = {"SubTasks": {"@odata.id": f"{TASK}/SubTasks"}}
        return httpx.Response(200, json=shown | subtasks)

    output = io.StringIO()
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        seen = await show_to_end(Console(file=output), client, TASK)
    assert seen.task["TaskState"] == "Exception"
    assert [step["Id"] for step in seen.steps] == ["first"]
    assert "one   50 %  Running" in output.getvalue()


async def test_single_change_has_no_steps() -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, json=task(100, "Completed"))
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        seen = await show_to_end(Console(file=io.StringIO()), client, TASK)
    assert seen.steps == ()
