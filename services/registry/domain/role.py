"""The bodies of the law as registry knows them: which codes exist, and which are addressed by place."""

from collections.abc import Iterable
from dataclasses import dataclass

from registry.errors import RoleNotRouted, RoleUnknown


@dataclass(frozen=True, slots=True)
class Role:
    """A body of law/roles.md.

    Attributes:
        code: stable code, e.g. ``internal_affairs``.
        is_routed: a notice may go to "the holder in this territory"; otherwise only a named
            organisation is meant, so that none of its holders is ever primary.
    """

    code: str
    is_routed: bool = True


class Roles:
    """All bodies that agencies may hold."""

    def __init__(self, roles: Iterable[Role]) -> None:
        self._by_code = {role.code: role for role in roles}

    def check(self, code: str) -> None:
        """Raise ``RoleUnknown`` for a code that no agency can hold."""
        if code not in self._by_code:
            raise RoleUnknown

    def is_routed(self, code: str) -> bool:
        """Whether the body is addressed by place; ``RoleUnknown`` for a code that no agency can hold."""
        self.check(code)
        return self._by_code[code].is_routed

    def check_mandate(self, code: str, *, is_primary: bool) -> None:
        """Raise ``RoleUnknown``, or ``RoleNotRouted`` for a primary of a body never addressed by place."""
        if not self.is_routed(code) and is_primary:
            raise RoleNotRouted
