"""How much of a BMC the gateway takes, counted at the emulator."""

import asyncio

from tests.house import House


async def test_calls_to_one_bmc_stay_within_its_limit(house: House) -> None:
    house.emulator.set_modes("bmc1", read_delay=0.05)
    house.emulator.clear_executions()
    read = [house.client.get("/redfish/v1/Systems/bmc1.1/Storage") for _ in range(20)]
    changed = [house.reset("bmc1.1", "On") for _ in range(8)]
    answers, accepted = await asyncio.gather(
        asyncio.gather(*read), asyncio.gather(*changed)
    )
    finals = await asyncio.gather(*(house.final(one) for one in accepted))
    peak = house.emulator.machines["bmc1"].gate.traffic.peak_concurrency
    assert {answer.status_code for answer in answers} == {200}
    assert {final.status_code for final in finals} <= {200, 204}
    assert 2 <= peak <= 4
    assert house.executions("bmc1") == len(changed)
