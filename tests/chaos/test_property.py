"""Whatever is killed and whatever a source does: sent once, ended truthfully."""

from collections.abc import AsyncIterator
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.chaos.plans import PlanSize, draw_plan
from tests.chaos.rounds import play
from tests.chaos.site import Site, open_site
from tests.conftest import KEY

SIZE = PlanSize(changes=8, faults=6, seconds=1.5)
_rounds = count(1)


@pytest.fixture(scope="module")
async def site(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """Run a gateway of processes for all examples, one after the other."""
    folder = tmp_path_factory.mktemp("chaos")
    async with open_site(temporal_address, folder, KEY) as opened:
        yield opened


# Each example takes seconds: a failing one is not made smaller, but told as a plan.
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(random=st.randoms(use_true_random=False))
async def test_every_change_is_made_once_or_its_end_says_so(
    site: Site, random: Random
) -> None:
    plan = draw_plan(random, SIZE, f"example{next(_rounds)}")
    note(f"again: python -m tests.chaos --plan '{plan.model_dump_json()}'")
    played = await play(site, plan)
    assert not played.violations
