"""How the removal of tasks is scheduled."""

from datetime import timedelta
from pathlib import Path

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)

from activities.housekeeping import HOUSEKEEPING
from tests.conftest import KEY
from tests.house import House, open_house
from tests.workflows.houses import until

EVERY = timedelta(minutes=1)


async def schedule_of(house: House) -> Schedule:
    name = f"housekeeping:{house.settings.task_queue}"
    found = await house.temporal.get_schedule_handle(name).describe()
    return found.schedule


async def test_schedule_of_an_earlier_version_gets_its_new_interval(
    temporal: Client, tmp_path: Path
) -> None:
    queue = f"test-upgraded-{tmp_path.name}"
    action = ScheduleActionStartWorkflow(
        HOUSEKEEPING, id="housekeeping:sweep", task_queue=queue
    )
    every = ScheduleIntervalSpec(timedelta(minutes=10))
    await temporal.create_schedule(
        f"housekeeping:{queue}",
        Schedule(
            action=action,
            spec=ScheduleSpec(intervals=[every]),
            state=ScheduleState(paused=True, note="by an operator"),
        ),
    )
    async with open_house(temporal, tmp_path, KEY, task_queue=queue) as house:

        async def has_new_interval() -> bool:
            intervals = (await schedule_of(house)).spec.intervals
            return [each.every for each in intervals] == [EVERY]

        await until(has_new_interval)
        state = (await schedule_of(house)).state
        assert (state.paused, state.note) == (True, "by an operator")


async def test_housekeeping_sweeps_and_removes(house: House) -> None:
    handle = await house.temporal.start_workflow(
        HOUSEKEEPING,
        id=f"housekeeping:{house.settings.task_queue}",
        task_queue=house.settings.task_queue,
    )
    await handle.result()
    names = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
    ]
    assert [name for name in names if name] == ["sweep", "remove_expired"]
