"""What the keys seal opens for its purpose only."""

import base64

import pytest
from pydantic import SecretStr

from taskfish.encryption import KEY_BYTES, Keyring
from taskfish.errors import UndecryptableError

KEYRING = Keyring([SecretStr(base64.b64encode(bytes(range(KEY_BYTES))).decode())])
STORE = KEYRING.bound_to(b"store")


@pytest.mark.parametrize("keyring", [KEYRING, KEYRING.bound_to(b"other")])
def test_value_of_one_purpose_opens_for_no_other(keyring: Keyring) -> None:
    with pytest.raises(UndecryptableError):
        keyring.open(STORE.seal(b"secret"))


def test_value_of_an_earlier_version_opens_for_any_purpose() -> None:
    assert STORE.open(KEYRING.seal(b"secret")) == b"secret"


@pytest.mark.parametrize("keyring", [KEYRING, STORE])
@pytest.mark.parametrize("at", [4, 16, -1])
def test_changed_value_does_not_open(keyring: Keyring, at: int) -> None:
    sealed = bytearray(keyring.seal(b"secret"))
    sealed[at] ^= 1
    with pytest.raises(UndecryptableError):
        keyring.open(bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"abc", KEYRING.first, KEYRING.first * 5])
def test_what_is_no_sealed_value_does_not_open(sealed: bytes) -> None:
    with pytest.raises(UndecryptableError):
        KEYRING.open(sealed)
