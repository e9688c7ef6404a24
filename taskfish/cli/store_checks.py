"""What `taskfish doctor` looks at in the store: its schema, and the keys to it."""

from datetime import timedelta

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from taskfish.cli.findings import Finding, well, wrong
from taskfish.encryption import Keyring
from taskfish.errors import ConfigurationError, StoreUnavailableError
from taskfish.settings import Settings
from taskfish.store.database import Store, schema_of
from taskfish.store.sealed_values import unreadable_keys
from taskfish.store.service_settings import ServiceSettings

_STORE, _KEYS = "store", "encryption keys"
_NO_ANSWER = (
    "Check TASKFISH_DATABASE_URL, and that the database runs; for PostgreSQL, "
    "install taskfish[postgresql]."
)


async def check_store(settings: Settings) -> tuple[timedelta | None, list[Finding]]:
    """Return for how long ended tasks are kept, None for ever, and what was found."""
    keyring, keys = _check_keys(settings)
    schema = await _check_schema(settings.database_url)
    if keyring is None or schema.level != "ok":
        return timedelta(minutes=settings.task_auto_delete_minutes), [schema, keys]
    store = Store(settings.database_url, keyring)
    try:
        options = await ServiceSettings(store, settings).read()
        return options.kept_for, [schema, await _check_values(store, keys)]
    finally:
        await store.close()


def _check_keys(settings: Settings) -> tuple[Keyring | None, Finding]:
    try:
        keyring = Keyring(settings.encryption_keys)
    except ConfigurationError as error:
        mend = "Take the keys that the other processes have (docs/secrets.md)."
        return None, wrong(_KEYS, str(error), mend)
    return keyring, well(_KEYS, f"the key {keyring.first.hex()} encrypts")


async def _check_schema(url: str) -> Finding:
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return wrong(
            _STORE, "TASKFISH_DATABASE_URL is no URL of a database", _NO_ANSWER
        )
    try:
        revision, newest = await schema_of(url)
    except (StoreUnavailableError, SQLAlchemyError, ModuleNotFoundError) as error:
        reason = str(error).partition("\n")[0]
        return wrong(_STORE, f"{shown} cannot be used: {reason}", _NO_ANSWER)
    if revision != newest:
        text = f"{shown} has schema {revision or '(none)'}, this Taskfish {newest}"
        return wrong(_STORE, text, _mend_of(revision, newest))
    return well(_STORE, f"{shown} answers and has the newest schema, {newest}")


def _mend_of(revision: str | None, newest: str | None) -> str:
    """Return what brings store and program together: migrations are numbered."""
    if (revision or "") < (newest or ""):
        return "Run `taskfish db upgrade`."
    return "Install the newer Taskfish that has upgraded the store."


async def _check_values(store: Store, keys: Finding) -> Finding:
    """Return whether the keys open what the store has sealed."""
    unreadable = await unreadable_keys(store)
    if not unreadable:
        return keys.model_copy(
            update={"text": f"{keys.text}, and all of the store can be read"}
        )
    named = ", ".join(f"{key} ({n} values)" for key, n in sorted(unreadable.items()))
    return wrong(
        _KEYS,
        f"values of the store cannot be read: they need the key {named}",
        "Add that key to TASKFISH_ENCRYPTION_KEYS, after the first; if it is lost, "
        "PATCH the passwords of the sources anew (docs/secrets.md).",
    )
