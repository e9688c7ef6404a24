"""Whose turn it is on a machine (D13): what a change holds while it runs."""

from pydantic import BaseModel, ConfigDict


class Turn(BaseModel):
    """On which systems a change needs its turn, URIs as in `/Systems/rack7.1`.

    `taken`: its places are in the store already; `come`: nobody is before it. `waits`:
    it waits behind others, for `seconds` at most; else it goes on whoever is there.
    `discreet`: whom it waits for is not named, as its owner may not see others' tasks.
    """

    model_config = ConfigDict(frozen=True)

    systems: tuple[str, ...] = ()
    taken: bool = False
    come: bool = False
    waits: bool = False
    seconds: float = 3600
    discreet: bool = False
