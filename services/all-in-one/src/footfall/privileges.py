"""Running PostgreSQL as somebody else, because it refuses to run as root.

Only the installation's own directory changes hands. Parents such as /root (mode 700) stay as they are: the
process keeps one capability that lets it pass through them.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2


class Account(NamedTuple):
    """Who PostgreSQL runs as."""

    uid: int
    gid: int
    name: str


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def choose_account(directory: Path) -> Account | None:
    """Whom root runs PostgreSQL as: the owner of existing data, else `postgres`, else `nobody`.

    None when this process is not root and simply stays who it is.
    """
    if os.geteuid() != 0:
        return None
    if directory.exists() and (owner := directory.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, _name_of(owner.st_uid))
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name)
    return Account(65534, 65534, "nobody")


def become(account: Account | None, binary: Path) -> None:
    """Turn this process, forked and about to start `binary`, into `account`; root keeps one capability.

    On Linux the process also gets SIGINT when its parent dies. Raises OSError when the user cannot be
    changed; a missing capability is not an error here, `obstacle` finds what it would have opened.
    """
    if account is not None:
        keeps = _passing_capability(binary) if _libc else None
        if keeps is not None and not _keep_capabilities_over_setuid():
            keeps = None
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
        if keeps is not None:
            _restrict_to(keeps)
    os.umask(0o077)
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def obstacle(account: Account, binary: Path, directory: Path) -> str | None:
    """What keeps `account` from running `binary` on `directory`, tried in a forked child: half a sentence."""
    places = [place for path in (binary, directory) for place in (*reversed(path.parents), path)]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, os.fsencode(_try_reach(account, binary, places)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        found = os.fsdecode(answer.read())
    os.waitpid(child, 0)
    return found or None


def _try_reach(account: Account, binary: Path, places: Sequence[Path]) -> str:
    try:
        become(account, binary)
    except OSError as error:
        return f"this process may not become user {account.name} ({error.strerror})"
    closed = [place for place in places if not os.access(place, os.X_OK)]
    return f"user {account.name} cannot enter {closed[0]}" if closed else ""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _permitted() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:"))


def _passing_capability(binary: Path) -> int | None:
    """The weakest at hand that passes closed directories; a program only root may run needs the stronger."""
    for_all = bool(binary.stat().st_mode & 0o001)
    permitted = _permitted()
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted >> capability & 1 and (for_all or capability == _CAP_DAC_OVERRIDE):
            return capability
    return None


def _keep_capabilities_over_setuid() -> bool:
    """Without this bit access(2), with which PostgreSQL looks at its files, disregards capabilities."""
    assert _libc is not None
    return bool(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0)


def _restrict_to(capability: int) -> None:
    assert _libc is not None
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (_CapabilitySets * 2)(_CapabilitySets(mask, mask, mask), _CapabilitySets(0, 0, 0))
    if _libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_CAP_AMBIENT)")
