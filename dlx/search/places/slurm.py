"""What Slurm is told: a job for each worker, which is stopped politely before its time is over and queued again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dlx.parts.places import Place

SCRIPT, JOB = "job.sh", "job"
NOTICE = 120  # seconds between the signal and the end of a job's time
RESUMABLE = 75
# One that waits in the queue has nothing to keep.
SIGNAL = """
job="$(cat "$1/job")"
scancel --state=PENDING "$job"
if [ "$2" = 9 ]; then scancel "$job"; else scancel --signal="$2" --batch "$job"; fi
"""
# A job that has ended already is no error.
CANCEL = '[ ! -s "$1/job" ] || scancel "$(cat "$1/job")" 2>/dev/null || true'
# Prints something as long as the job is in the queue, waiting, running or ending, or nobody knows.
WAITS = """
[ -s "$1/job" ] || exit 0
said="$(squeue --noheader --jobs="$(cat "$1/job")" --format=%i 2>&1)" ||
case "$said" in *"Invalid job id"*) said= ;; *) said="nobody knows: $said" ;; esac
printf %s "$said"
"""


def script(place: Place, words: Sequence[str]) -> str:
    """The script of a job. A worker that is stopped for its time ends with 75: it is queued again, and goes on."""
    lines = [f"#SBATCH {option}" for option in (f"--signal=B:USR1@{NOTICE}", "--requeue", *place.options)]
    return "\n".join(
        [
            "#!/bin/sh",
            *lines,
            f"{shlex.join(words)} &",
            "worker=$!",
            "trap 'kill -USR1 \"$worker\"' USR1",
            "trap 'kill -INT \"$worker\"' INT",
            "trap 'kill -TERM \"$worker\"' TERM",
            'wait "$worker"; code=$?',
            'while kill -0 "$worker" 2>/dev/null; do wait "$worker"; code=$?; done',
            f'[ "$code" -ne {RESUMABLE} ] || scontrol requeue "$SLURM_JOB_ID"',
            'exit "$code"',
            "",
        ]
    )


def submission(folder: str) -> list[str]:
    """The command that queues the job of a spool; it prints the job's number."""
    return ["sbatch", "--parsable", f"--chdir={folder}", "--output=log", "--open-mode=append", f"{folder}/{SCRIPT}"]
