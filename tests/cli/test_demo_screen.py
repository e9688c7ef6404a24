import io

import httpx
from rich.console import Console

from taskfish.cli.demo_screen import print_end
from taskfish.cli.step_screen import TaskWithSteps


def test_end_shows_steps_answer_and_what_was_made() -> None:
    output = io.StringIO()
    task = {
        "Id": "one",
        "TaskState": "Completed",
        "Messages": [{"MessageId": "a", "Message": "all [well]"}, {"MessageId": "b.c"}],
    }
    ended = TaskWithSteps(task, ({"Id": "create-volume", "TaskState": "Completed"},))
    made = [{"@odata.id": "/volumes/1", "Name": "demo", "RAIDType": "RAID1"}]
    console = Console(file=output, width=100)
    print_end(console, ended, httpx.Response(204), made, "http://ui/one")
    text = output.getvalue()
    for part in ("all [well]", "b.c", "204 No Content", "/volumes/1: demo, RAID1"):
        assert part in text
    assert "Step create-volume" in text
    assert "Web UI: http://ui/one" in text
