"""How commands and files reach a place: here, or by the programs ssh and rsync as the user has configured them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dlx.errors import LostError, PlaceError

LOST = 255  # what ssh ends with when the connection is the problem
SSH = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
RSYNC_LOST = (10, 12, 30, 35, LOST)  # what rsync ends with when the connection is the problem


class Shell:
    """Commands and files on this machine, or on `host` by ssh. No word of them is read by a shell twice."""

    def __init__(self, host: str = "") -> None:
        self.host = host
        for program in ("ssh", "rsync") if host else ("rsync",):
            if shutil.which(program) is None:
                raise PlaceError(f"the program {program} is not installed", hint=f"apt-get install {program}")
        if host.startswith("-"):
            raise PlaceError(f"{host!r} is no host")
        # One connection serves all commands. Its socket's path must be short.
        self._sockets = tempfile.mkdtemp(prefix="dlx-") if host else ""
        control = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={self._sockets}/%C")
        self._ssh = ["ssh", *SSH, *control]

    def command(self, words: Sequence[str]) -> list[str]:
        """The words of a command there, as words of a command here."""
        return [*self._ssh, "--", self.host, shlex.join(words)] if self.host else list(words)

    def run(self, words: Sequence[str], given: str = "") -> str:
        """The output of a command there. Raises LostError without a connection, and PlaceError where it fails."""
        try:
            done = subprocess.run(
                self.command(words), input=given.encode(), capture_output=True, timeout=60, check=False,
                start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise LostError(f"{self.host} did not answer in a minute") from error
        if self.host and done.returncode == LOST:
            raise LostError(_last_line(done.stderr))
        if done.returncode:
            raise PlaceError(f"{words[0]} failed there: {_last_line(done.stderr)}", where=self.host or "this machine")
        return done.stdout.decode(errors="replace")

    def stream(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """A command there whose output is read as it comes; Ctrl-C is not for it."""
        return subprocess.Popen(
            self.command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def push(self, source: Path, target: str, *options: str) -> None:
        """Bring a file, or what is in a folder, to a path there. Raises as `run` does."""
        slash = "/" if source.is_dir() else ""
        self._rsync("--partial", *options, "--", f"{source}{slash}", f"{self._there}{target}")

    def pull(self, source: str, target: Path, *options: str) -> None:
        """Bring what is in a folder there into one here. Raises as `run` does."""
        self._rsync(*options, "--", f"{self._there}{source}/", f"{target}/")

    @property
    def _there(self) -> str:
        return f"{self.host}:" if self.host else ""

    def _rsync(self, *words: str) -> None:
        remote = ["-e", shlex.join(self._ssh)] if self.host else []
        command = ["rsync", "-rtp", "--protect-args", "--timeout=60", *remote, *words]
        done = subprocess.run(command, capture_output=True, check=False, start_new_session=True)
        if done.returncode in RSYNC_LOST and self.host:
            raise LostError(_last_line(done.stderr))
        if done.returncode not in (0, 24):  # 24: a file was gone before it was copied
            raise PlaceError(f"rsync failed: {_last_line(done.stderr)}", where=self.host or "this machine")

    def close(self) -> None:
        """End the connection that was kept."""
        if self._sockets:
            subprocess.run([*self._ssh, "-O", "exit", "--", self.host], capture_output=True, check=False)
            shutil.rmtree(self._sockets, ignore_errors=True)


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def reached(shell: Shell) -> str:
    """The home folder there; raises PlaceError with ssh's own words where it cannot be reached, or says too much."""
    try:
        said = shell.run(["sh", "-c", 'printf "home %s" "$HOME"'])
    except LostError as error:
        hint = f"ssh {shell.host} must work without a password; see ssh-copy-id"
        raise PlaceError(f"cannot be reached ({error})", where=shell.host, hint=hint) from error
    if not said.startswith("home /"):
        first = next(iter(said.split("home /")[0].splitlines()), "")
        hint = f"ssh {shell.host} true must print nothing: let ~/.bashrc there print in interactive shells alone"
        raise PlaceError(f"its shell prints {first!r} before it does what it is asked", where=shell.host, hint=hint)
    return said.removeprefix("home ")
