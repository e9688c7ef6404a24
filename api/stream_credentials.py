"""By what a stream of events was opened: it ends when that lets nobody in any more.

A session may end before: what it has opened goes on (DSP0266, session termination).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.logins import bootstrap_account
from taskfish.settings import Settings
from taskfish.store.accounts import Account, Accounts


@dataclass(frozen=True)
class Credential:
    """An account, with its password's hash as it was then."""

    user: str
    password: str | None = field(repr=False)

    def holds(self, accounts: Mapping[str, Account]) -> bool:
        """Say whether it would still let in, by the accounts as they are now."""
        account = accounts.get(self.user)
        if account is None or not account.enabled or account.password_change_required:
            return False
        return account.password == self.password


async def accounts_by_name(
    accounts: Accounts, settings: Settings
) -> dict[str, Account]:
    """Return all accounts; the settings' administrator hides one of the same name."""
    found = {account.name: account for account in await accounts.all()}
    administrator = bootstrap_account(settings)
    return found | ({administrator.name: administrator} if administrator else {})
