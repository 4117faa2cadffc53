"""Why a process did not start or stopped, in sentences for whoever runs it.

StartError        the process cannot start as it is set up
├── SettingsError     what the environment says is wrong
├── PortInUse         someone else listens there
├── DatabaseAway      nothing answers at FOOTFALL_DATABASE_URL
└── SchemaBehind      `footfall migrate` was not run
TaskDied          a task of the service ended, and the process with it
Forced            a second signal came while draining
"""

import signal


class StartError(Exception):
    """The text says what is wrong and what to do; nobody needs a traceback."""


class SettingsError(StartError):
    """All that is wrong with the settings, one line each."""


class PortInUse(StartError):
    """The address cannot be listened on."""


class DatabaseAway(StartError):
    """No connection within the time a start may take."""


class SchemaBehind(StartError):
    """The database lacks migrations this code needs."""


class TaskDied(Exception):
    """Task `name` raised or returned; the cause, if any, is chained."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Task {name} ended: {reason}")
        self.name = name


class Forced(Exception):
    """Stopped by signal `number` before everything was finished."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped at once by a second signal, {signal.Signals(number).name}.")
        self.number = number
