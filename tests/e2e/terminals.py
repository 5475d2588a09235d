"""Where users type: commands of typedflow, run to their end on a machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.e2e import machines


class Terminal:
    """Runs commands on a machine."""

    def __init__(self, machine: machines.Machine) -> None:
        self.machine = machine

    def run(
        self, *arguments: str, code: int = 0, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs one to its end and expects its exit code."""
        done = subprocess.run(
            [sys.executable, "-c", "from typedflow import cli; cli.main()", *arguments],
            env={**os.environ, "TYPEDFLOW_HOME": str(self.machine.home), **variables},
            cwd=self.machine.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=machines.PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr or code == 1  # an author's own
        return done

    def read(self, *arguments: str, code: int = 0) -> object:
        """What a command prints as JSON."""
        found: object = json.loads(self.run(*arguments, "-o", "json", code=code).stdout)
        return found
