"""What counts as a secret."""

import time
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
        "SetupPwd",
        "AdminPw",
        "SYS_PW",
        "UserPw2",
        "UserPWD",
        "AdminPass",
        "BootPIN",
        "AuthKey",
        "authkey",
        "KerberosKey",
        "sharedKey",
        "SharedKeys",
        "WifiPSK",
        "KeyString",
        "HttpHeaders",
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
        {"PasswordLength": "12", "MinPwdLength": 8, "PasswordExpirationDays": 90},
        {"TokenType": "JWT", "PasswordPolicy": "Strong", "PasswordSet": True},
        {"KeyboardLayout": "US", "KeyManagement": {"KeyPolicy": "Local"}},
        {"KeyType": "SSH", "KeyUsage": ["Signing"], "ResetKeysType": "DeleteAllKeys"},
        {"PublicKey": "a", "SSHPublicKey": "b", "HotKey": "F2", "Keyword": "c"},
        {"PowerRestorePolicy": "LastState", "PWR_LIMIT": 5, "CpuPwrMgmt": "Max"},
        {"PinOut": "1", "DriveSpin": "Up", "SecureBypass": "On", "TaskState": "x"},
        {"Password": None, "SecretKeySet": False},
        {"Image": "10.0.0.1:/exports/fw@v2.bin", "Target": "fe80::1"},
        {"Destination": "mailto:root@example.org"},
        {"Description": "Installed at 10:30, ask bob@example.org: why? a=b"},
        {"SshUser": "ssh-ed25519 AAAA root@host"},
        {"@odata.id": "/redfish/v1/Systems/1#/Boot", "Name": "user@host"},
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
        ({"AdminPw": 1234, "Pin": 0}, {"AdminPw": MASK, "Pin": MASK}),
        ({"ImageURI": "usr:SECRET@h/x.bin"}, {"ImageURI": f"{MASK}@h/x.bin"}),
        ({"ImageURI": "usr:SE/CR ET@h/x"}, {"ImageURI": f"{MASK}@h/x"}),
        ({"ImageURI": "nfs:usr:SECRET@h/x"}, {"ImageURI": f"{MASK}@h/x"}),
        ({"ImageURI": "nfs:/usr:SECRET@h/x"}, {"ImageURI": f"{MASK}@h/x"}),
        ({"ImageURI": " D\\usr:SE@CRET@h"}, {"ImageURI": f" {MASK}@h"}),
        ({"ImageURI": "usr:SECRET@h/a://b"}, {"ImageURI": f"{MASK}@h/a://b"}),
        ({"ImageURI": "h/x?sig=a#p"}, {"ImageURI": f"h/x?sig={MASK}#p"}),
        ({"Mount": "-t nfs://u:p@h/x"}, {"Mount": f"-t nfs://{MASK}@h/x"}),
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


@pytest.mark.parametrize(
    "shape", ["?", "&", "?a", "?a=", "://", "/", "a:", ":@", "a:/", " \t", "\\", "@"]
)
def test_time_to_mask_grows_with_the_length_alone(shape: str) -> None:
    length = 20_000
    evil, benign = (shape * length)[:length], "x" * length
    assert _seconds_for(evil) < 50 * _seconds_for(benign)


def _seconds_for(text: str) -> float:
    """Return the shortest of some times: what else runs here does not count."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        masked({"ImageURI": text})
        times.append(time.perf_counter() - begun)
    return min(times)
