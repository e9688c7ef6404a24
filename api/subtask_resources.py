"""SubTasks as clients see them: Tasks, also of steps that have not begun."""

from collections.abc import Sequence

from api.gateway import Gateway
from api.responses import subtask_uri
from api.step_reader import StepView
from api.task_resources import task_resources
from api.task_view import TaskView
from taskfish.redfish.messages import Message, base_message, task_message
from taskfish.redfish.operations import name_operation
from taskfish.redfish.resources import Task, TaskFacts, TaskOem
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import Health, TaskState


async def subtask_resource(gateway: Gateway, task: TaskView, step: StepView) -> Task:
    """Return the Task resource of a step."""
    (found,) = await subtask_resources(gateway, task, [step])
    return found


async def subtask_resources(
    gateway: Gateway, task: TaskView, steps: Sequence[StepView]
) -> list[Task]:
    """Return the Task resources of steps, without a query for each.

    They go with their task, and have no monitor: nobody was told of one.
    """
    options = await gateway.service_settings.read()
    expires_at = options.expires_at(task.closed)
    views = [step.task for step in steps if step.task is not None]
    begun = {each.id: each for each in await task_resources(gateway, views)}
    found = []
    for step in steps:
        known = begun.get(step.task.id) if step.task else None
        resource = known or _not_begun(task, step)
        facts = resource.oem.taskfish.model_copy(update={"expires_at": expires_at})
        its = {
            "odata_id": subtask_uri(task.id, step.planned.name),
            "id": step.planned.name,
            "task_monitor": None,
            "sub_tasks": None,
            "actions": None,
            "oem": TaskOem(taskfish=facts),
        }
        found.append(resource.model_copy(update=its))
    return found


def _not_begun(task: TaskView, step: StepView) -> Task:
    """Return the Task of a step that waits, could not begin, or never will."""
    planned, labels = step.planned, task.labels
    state, status, message = _why_not_begun(task, step)
    target = planned.uri.removesuffix("/").rpartition("/")[2]
    return Task(
        odata_id=subtask_uri(task.id, planned.name),
        odata_type=SCHEMA.odata_type("Task"),
        id=planned.name,
        name=f"{planned.operation} {target}",
        task_state=state,
        task_status=status,
        end_time=task.ended if state is TaskState.CANCELLED else None,
        percent_complete=0,
        hide_payload=False,
        messages=[message.to_json()] if message else [],
        oem=TaskOem(
            taskfish=TaskFacts(
                operation=planned.operation,
                target_resource=planned.uri,
                resource_type=name_operation("PATCH", planned.uri).resource_type,
                source=labels.source,
                owner=labels.owner or None,
                tags=labels.tags or None,
                request_id=labels.request_id,
            )
        ),
    )


def _why_not_begun(
    task: TaskView, step: StepView
) -> tuple[TaskState, Health | None, Message | None]:
    name = step.planned.name
    if step.planned.refused:
        text = f"The step {name} could not begin: {step.planned.refused}."
        message = base_message("OperationFailed", text=text)
        return TaskState.EXCEPTION, Health.CRITICAL, message
    if not task.state.ended:
        return TaskState.NEW, None, None
    status = Health.WARNING
    text = f"The step {name} was not begun: the task {task.id} is {task.state.value}."
    if task.state is TaskState.COMPLETED:
        status = Health.OK
        text = (
            f"The step {name} was not needed: the task {task.id} has completed without"
            " it."
        )
    message = task_message("TaskCancelled", task.id, text=text)
    return TaskState.CANCELLED, status, message
