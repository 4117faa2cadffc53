"""What can go wrong with access, by what the caller does about it.

AccessError
├── AccessUnavailable    retry later: the database is away, and what is held is missing or too old
├── UnknownProject       no such project, or it was deleted
├── NameTaken            a project of that name exists
├── TooManyKeys          the project has as many live keys as it may
└── InvalidValue         the sender's fault; `field` names the part
"""


class AccessError(Exception):
    """The root; never raised itself."""


class AccessUnavailable(AccessError):
    """Who is asking cannot be told now."""

    def __init__(self, message: str, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnknownProject(AccessError):
    """There is no project `project`, or it was deleted."""

    def __init__(self, project: str) -> None:
        super().__init__(f"There is no project {project}.")
        self.project = project


class NameTaken(AccessError):
    """A live project is called `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"A project named {name} exists already. Choose another name.")
        self.name = name


class TooManyKeys(AccessError):
    """The project has `max_keys` live keys."""

    def __init__(self, max_keys: int) -> None:
        super().__init__(f"A project holds at most {max_keys} live keys. Revoke one that is no longer used.")
        self.max_keys = max_keys


class InvalidValue(AccessError):
    """`field` holds what it cannot hold; the message says what it takes."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
