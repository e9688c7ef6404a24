"""What counts as a secret."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic import JsonValue, ValidationError

from taskfish.redfish.requests import NewSourceBody, messages_of
from taskfish.redfish.secrecy import MASK, is_secret_name, masked

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


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
    assert shown == {"ImageURI": f"https://{MASK}@host/fw.bin?x={MASK}"}


@pytest.mark.parametrize(
    "body",
    [
        {"PasswordLength": 12, "PasswordChangeRequired": True},
        {"Name": "data", "ImageURI": "https://host/fw-2.bin"},
        {"UserName": "admin"},
    ],
)
def test_what_is_no_secret_stays(body: JsonValue) -> None:
    assert masked(body) == body


def test_refusal_of_a_secret_does_not_repeat_it() -> None:
    with pytest.raises(ValidationError) as refused:
        NewSourceBody.model_validate({"HostName": "h", "Password": ["hush"]})
    assert "hush" not in str([m.to_json() for m in messages_of(refused.value)])


def test_every_write_only_property_of_the_schemas_is_secret(dmtf: Path) -> None:
    write_only = {
        prop.attrib["Name"]
        for file in (dmtf / "csdl").glob("*.xml")
        for prop in ElementTree.parse(file).iter(f"{_EDM}Property")
        for annotation in prop.findall(f"{_EDM}Annotation")
        if annotation.get("EnumMember") == "OData.Permission/Write"
    }
    assert "Password" in write_only
    assert {name for name in write_only if not is_secret_name(name)} == set()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"Password": "x"}, {"Password": MASK}),
        ({"password": "x"}, {"password": MASK}),
        (
            {"Oem": {"Acme": {"AdminPassword": "x"}}},
            {"Oem": {"Acme": {"AdminPassword": MASK}}},
        ),
        ([{"Token": ["a", "b"]}], [{"Token": MASK}]),
        ({"Credentials": {"User": "u"}}, {"Credentials": MASK}),
        ({"ImageURI": "http://u:p@h/x"}, {"ImageURI": f"http://{MASK}@h/x"}),
        ({"Images": ["ftp://u@h/x"]}, {"Images": [f"ftp://{MASK}@h/x"]}),
        ({"ImageURI": "http://u:a@b@h/x"}, {"ImageURI": f"http://{MASK}@h/x"}),
        ({"ImageURI": " http://u:p/q@h"}, {"ImageURI": f" http://{MASK}@h"}),
        ({"ImageURI": "https://h/x?sig=a"}, {"ImageURI": f"https://h/x?sig={MASK}"}),
        ({"Pwd": "x", "ApiKey": "y"}, {"Pwd": MASK, "ApiKey": MASK}),
    ],
)
def test_secrets_are_masked_wherever_they_are(
    body: JsonValue, shown: JsonValue
) -> None:
    assert masked(body) == shown


def test_mask_leaves_the_original_as_it_is() -> None:
    body: JsonValue = {"Password": "x", "List": [{"Token": "y"}]}
    masked(body)
    assert body == {"Password": "x", "List": [{"Token": "y"}]}
