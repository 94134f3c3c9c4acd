"""What a person types: one module a command, its options and its work.

At module level a command imports click and the standard library alone, so that --help loads no more; what the work
needs is imported in its functions.
"""

COMMANDS = (
    "init", "run", "resume", "sweep", "check", "baseline", "list", "watch", "show", "note", "rm", "compare",
    "reproduce", "report", "plot", "tensorboard", "predict", "evaluate", "export", "eject", "serve", "card", "push",
    "pack", "unpack", "data", "parts", "schema", "doctor",
)  # fmt: skip
