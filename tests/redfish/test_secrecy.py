"""What counts as a secret."""

import pytest
from pydantic import JsonValue, ValidationError

from taskfish.redfish.requests import NewSourceBody, messages_of
from taskfish.redfish.secrecy import MASK, masked


@pytest.mark.parametrize(
    "name",
    [
        "Password",
        "OldPassword",
        "passphrase",
        "AuthToken",
        "SecretKey",
        "PrivateKeyPEM",
    ],
)
def test_secrets_are_masked_by_name(name: str) -> None:
    assert masked({"Deep": [{name: "hush"}]}) == {"Deep": [{name: MASK}]}


def test_credentials_in_urls_are_masked() -> None:
    shown = masked({"ImageURI": "https://user:hush@host/fw.bin?x=1"})
    assert shown == {"ImageURI": f"https://{MASK}@host/fw.bin?x=1"}


@pytest.mark.parametrize(
    "body",
    [
        {"PasswordLength": 12, "PasswordChangeRequired": True},
        {"Name": "data", "ImageURI": "https://host/fw@2.bin"},
        {"UserName": "admin"},
    ],
)
def test_what_is_no_secret_stays(body: JsonValue) -> None:
    assert masked(body) == body


def test_refusal_of_a_secret_does_not_repeat_it() -> None:
    with pytest.raises(ValidationError) as refused:
        NewSourceBody.model_validate({"HostName": "h", "Password": ["hush"]})
    assert "hush" not in str([m.to_json() for m in messages_of(refused.value)])
