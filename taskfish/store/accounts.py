"""Accounts of the gateway itself, their failed logins, and the rules for both."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Delete, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.redfish.account_resources import ACCOUNTS
from taskfish.redfish.events import resource_created, resource_removed
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.event_log import tell_within
from taskfish.store.kept_options import KeptOptions, Options
from taskfish.store.subscriptions import remove_owned
from taskfish.store.tables import accounts, sessions

AcceptedForm = Literal["conformant", "sushy", "location"]
"""In which form an accepted change is answered (contracts.md 6)."""


class AccountPolicy(Options):
    """The writable properties of the AccountService. Times are seconds."""

    min_password_length: int
    account_lockout_threshold: int
    """How many failed logins lock an account; 0 for never."""
    account_lockout_duration: int
    """How long an account stays locked; 0 for never locked."""
    account_lockout_counter_reset_after: int
    """After how long without a failed login they are forgotten."""

    @property
    def locks(self) -> bool:
        """Whether accounts are locked at all."""
        return self.account_lockout_threshold > 0 and self.account_lockout_duration > 0


class AccountSettings(KeptOptions[AccountPolicy]):
    """The AccountService's row; what was never set is a setting's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        names = AccountPolicy.model_fields
        defaults = settings.model_dump(include=set(names))
        super().__init__(
            store, "account_service", AccountPolicy.model_validate(defaults)
        )


class Account(BaseModel):
    """One account. `password` is its hash; the settings' administrator has none."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: str
    password: str | None = Field(default=None, repr=False)
    enabled: bool = True
    password_change_required: bool = False
    accepted: AcceptedForm | None = None
    failed_logins: int = 0
    failed_at: datetime | None = None
    locked_until: datetime | None = None
    revision: int = 1

    @property
    def uri(self) -> str:
        """Where the gateway has it."""
        return f"{ACCOUNTS}/{self.name}"

    @property
    def locked(self) -> bool:
        """Whether too many logins have failed a short time ago."""
        return self.locked_until is not None and datetime.now(UTC) < self.locked_until

    @property
    def may_log_in(self) -> bool:
        """Whether its password opens anything."""
        return self.enabled and not self.locked


class Accounts:
    """Reads and writes of the `accounts` table; `settings` say when one is locked."""

    def __init__(self, store: Store, settings: AccountSettings) -> None:
        self._store = store
        self._settings = settings

    async def all(self) -> list[Account]:
        """Return all accounts, by name."""
        statement = select(accounts).order_by(accounts.c.name)
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Account.model_validate(dict(row._mapping)) for row in rows]

    async def get(self, name: str) -> Account | None:
        """Return an account, None if there is none of that name."""
        async with self._store.read() as connection:
            return await _account(connection, name)

    async def enabled(self) -> frozenset[str]:
        """Return the names of the accounts that are not disabled."""
        statement = select(accounts.c.name).where(accounts.c.enabled)
        async with self._store.read() as connection:
            return frozenset((await connection.execute(statement)).scalars())

    async def add(self, account: Account) -> bool:
        """Keep a new account; returns False if the name is taken.

        What an earlier one has subscribed to at the moment of its removal goes now.
        """
        values = {**account.model_dump(), "created_at": datetime.now(UTC)}
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(accounts).values(**values))
                await remove_owned(connection, account.name)
                await tell_within(connection, resource_created(account.uri))
        except IntegrityError:
            return False
        return True

    async def change(self, seen: Account, **values: Any) -> bool:
        """Change columns of an account that is still as it was seen.

        Another password, and being disabled, ends its sessions. Returns False, and
        changes nothing, if somebody else was faster.
        """
        statement = (
            update(accounts)
            .where(accounts.c.name == seen.name, accounts.c.revision == seen.revision)
            .values(**values, revision=seen.revision + 1)
        )
        ends_sessions = "password" in values or values.get("enabled") is False
        async with self._store.write() as connection:
            changed = (await connection.execute(statement)).rowcount > 0
            if changed and ends_sessions:
                await connection.execute(_sessions_of(seen))
        return changed

    async def remove(self, seen: Account) -> bool:
        """Forget an account that is still as it was seen; end its sessions and
        subscriptions.
        """
        statement = delete(accounts).where(
            accounts.c.name == seen.name, accounts.c.revision == seen.revision
        )
        async with self._store.write() as connection:
            removed = (await connection.execute(statement)).rowcount > 0
            if removed:
                await connection.execute(_sessions_of(seen))
                await remove_owned(connection, seen.name)
                await tell_within(connection, resource_removed(seen.uri))
        return removed

    async def note_failure(self, name: str) -> None:
        """Count a failed login; lock the account if that was one too many."""
        policy = await self._settings.read()
        now = datetime.now(UTC)
        async with self._store.write() as connection:
            account = await _account(connection, name, to_change=True)
            if account is None or account.locked:
                return
            failed = 1 + _still_counted(account, policy, now)
            until = None
            if policy.locks and failed >= policy.account_lockout_threshold:
                until = now + timedelta(seconds=policy.account_lockout_duration)
                failed = 0
            await connection.execute(
                update(accounts)
                .where(accounts.c.name == name)
                .values(failed_logins=failed, failed_at=now, locked_until=until)
            )

    async def note_success(self, name: str) -> None:
        """Forget the failed logins of an account."""
        async with self._store.write() as connection:
            await connection.execute(
                update(accounts)
                .where(accounts.c.name == name)
                .values(failed_logins=0, failed_at=None, locked_until=None)
            )


async def _account(
    connection: AsyncConnection, name: str, *, to_change: bool = False
) -> Account | None:
    statement = select(accounts).where(accounts.c.name == name)
    if to_change:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).first()
    return Account.model_validate(dict(row._mapping)) if row is not None else None


def _still_counted(account: Account, policy: AccountPolicy, now: datetime) -> int:
    """Return how many failed logins are not forgotten yet."""
    window = timedelta(seconds=policy.account_lockout_counter_reset_after)
    if account.failed_at is None or now - account.failed_at >= window:
        return 0
    return account.failed_logins


def _sessions_of(account: Account) -> Delete:
    """Return what ends the sessions of an account, with the change that does so."""
    return delete(sessions).where(sessions.c.user_name == account.name)
