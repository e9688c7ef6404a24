import io

import httpx
from rich.console import Console

from taskfish.cli.demo_screen import Task, print_end, progress


def task(percent: int | None, state: str = "Running") -> Task:
    return {
        "@odata.id": "/redfish/v1/TaskService/Tasks/one",
        "Id": "one",
        "TaskState": state,
        "PercentComplete": percent,
    }


def test_lines_are_printed_on_change_only() -> None:
    output = io.StringIO()
    with progress(Console(file=output)) as show:
        for percent in (None, 0, 30, 30):
            show(task(percent))
        show(task(100, "Completed"))
    lines = output.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0", "30", "100"]
    assert lines[-1].endswith("Completed")


def test_terminal_has_bars() -> None:
    output = io.StringIO()
    with progress(Console(file=output, force_terminal=True, width=100)) as show:
        show(task(30))
        show(task(100, "Completed"))
    last = output.getvalue().splitlines()[-1]
    assert "100 % Completed" in output.getvalue()
    assert "━" in output.getvalue(), last


def test_end_shows_answer_and_what_was_made() -> None:
    output = io.StringIO()
    ended = task(100, "Completed") | {
        "Messages": [{"MessageId": "a", "Message": "all [well]"}, {"MessageId": "b.c"}]
    }
    answer = httpx.Response(201, headers={"Location": "/volumes/1"})
    created = {"Name": "demo", "RAIDType": "RAID1"}
    print_end(Console(file=output, width=100), ended, answer, created, "http://ui/one")
    text = output.getvalue()
    for part in ("all [well]", "b.c", "201 Created", "/volumes/1", "demo, RAID1"):
        assert part in text
    assert "Web UI: http://ui/one" in text
