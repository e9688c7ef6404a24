"""The AccountService of a BMC: accounts that may log in, and three roles."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, done, refused
from taskfish.plugins.machine.jobs import Work
from taskfish.plugins.machine.resources import (
    HEALTHY,
    ROOT,
    Tree,
    collection,
    link,
    require_known,
    require_listed,
    resource,
    text_of,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer

SERVICE = f"{ROOT}/AccountService"
ACCOUNTS = f"{SERVICE}/Accounts"
ROLES = f"{SERVICE}/Roles"
PRIVILEGES: Final[dict[str, list[JsonValue]]] = {
    "Administrator": [
        "Login",
        "ConfigureManager",
        "ConfigureUsers",
        "ConfigureSelf",
        "ConfigureComponents",
    ],
    "Operator": ["Login", "ConfigureComponents", "ConfigureSelf"],
    "ReadOnly": ["Login", "ConfigureSelf"],
}
WRITABLE: Final = ("UserName", "Password", "RoleId", "Enabled", "AccountTypes")


@dataclass
class Account:
    """One account; roles are shown, not enforced."""

    user_name: str
    password: str
    role: str
    enabled: bool = True


class Accounts:
    """Who may log in to a machine's BMC."""

    def __init__(self, user_name: str, password: str) -> None:
        self.by_id = {"1": Account(user_name, password, "Administrator")}
        self._next_id = 2

    def accepts(self, user_name: str, password: str) -> bool:
        """Whether somebody may log in with this password."""
        return any(
            account.enabled
            and account.user_name == user_name
            and hmac.compare_digest(account.password.encode(), password.encode())
            for account in self.by_id.values()
        )

    def add_to(self, tree: Tree) -> None:
        """Add the service, the accounts there are now, and the roles."""
        tree.add(SERVICE, self._body)
        uris = {key: f"{ACCOUNTS}/{key}" for key in self.by_id}
        tree.add(
            ACCOUNTS,
            lambda: collection(ACCOUNTS, "ManagerAccount", uris.values()),
            POST=self._create,
        )
        for key, uri in uris.items():
            tree.add(uri, self._account(key), PATCH=self._patch(key))
            tree.changes["DELETE", uri] = self._delete(key)
        roles = [f"{ROLES}/{role}" for role in PRIVILEGES]
        tree.add(ROLES, lambda: collection(ROLES, "Role", roles))
        for role in PRIVILEGES:
            tree.add(f"{ROLES}/{role}", _role(role))

    def _body(self) -> Body:
        return resource(
            SERVICE,
            "AccountService",
            "Account Service",
            ServiceEnabled=True,
            Status=HEALTHY,
            MinPasswordLength=8,
            MaxPasswordLength=64,
            Accounts=link(ACCOUNTS),
            Roles=link(ROLES),
        )

    def _account(self, key: str) -> Callable[[], Body]:
        def body() -> Body:
            account = self.by_id[key]
            return resource(
                f"{ACCOUNTS}/{key}",
                "ManagerAccount",
                f"Account {key}",
                UserName=account.user_name,
                Password=None,
                RoleId=account.role,
                Enabled=account.enabled,
                Locked=False,
                AccountTypes=["Redfish"],
                Links={"Role": link(f"{ROLES}/{account.role}")},
            )

        return body

    def _create(self, body: Body) -> Work:
        require_known(body, WRITABLE)
        user_name, password = text_of(body, "UserName"), text_of(body, "Password")
        role = text_of(body, "RoleId")
        self._require_good(user_name, password, role)

        def finish() -> Answer:
            key, self._next_id = str(self._next_id), self._next_id + 1
            enabled = body.get("Enabled", True) is not False
            self.by_id[key] = Account(user_name, password, role, enabled)
            location = {"Location": f"{ACCOUNTS}/{key}"}
            return Answer(status=201, headers=location, body=self._account(key)())

        return Work("ManagerAccount.Create", finish)

    def _require_good(self, user_name: str, password: str, role: str) -> None:
        require_listed(role, PRIVILEGES, "RoleId")
        if not 8 <= len(password) <= 64:
            raise refused(
                base_message("PropertyValueFormatError", "******", "Password")
            )
        if any(known.user_name == user_name for known in self.by_id.values()):
            raise refused(
                base_message(
                    "ResourceAlreadyExists", "ManagerAccount", "UserName", user_name
                ),
                400,
            )

    def _patch(self, key: str) -> Callable[[Body], Work]:
        def work(body: Body) -> Work:
            require_known(body, WRITABLE)
            old = self.by_id[key]
            known: Body = {"UserName": old.user_name, "Password": old.password}
            role = body.get("RoleId", old.role)
            require_listed(role, PRIVILEGES, "RoleId")
            new = Account(
                text_of({**known, **body}, "UserName"),
                text_of({**known, **body}, "Password"),
                str(role),
                body.get("Enabled", old.enabled) is not False,
            )

            def finish() -> Answer:
                self.by_id[key] = new
                return done()

            return Work("ManagerAccount.Update", finish, shows=f"{ACCOUNTS}/{key}")

        return work

    def _delete(self, key: str) -> Callable[[Body], Work]:
        def finish() -> Answer:
            self.by_id.pop(key, None)
            return done()

        return lambda body: Work("ManagerAccount.Delete", finish)


def _role(role: str) -> Callable[[], Body]:
    return lambda: resource(
        f"{ROLES}/{role}",
        "Role",
        f"Role {role}",
        RoleId=role,
        IsPredefined=True,
        AssignedPrivileges=PRIVILEGES[role],
    )
