"""What README.md and the quickstart show is what comes: their files are written, their commands run, their output read.

A `python` block that begins with `# NAME.py` is that file. In a `console` block a command follows `$ `, its output
follows it, and a line of `...` stands for any lines.
"""

import re
import shlex

import pytest

from tests.e2e import machines

BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ID = re.compile(r"\brun-[0-9a-f]{16}\b|\bx[0-9a-z]{18}\b")
VARIES = [
    (r"^ +\S+ +RUNNING\b.*\n", ""),  # a task that is quick is not seen running
    (ID.pattern, "ID"),
    (r"/\S+/objects/\S+ \(\d+ bytes\)", "FILE"),
    (r"/\S+", "PATH"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d+\.\d+ ?s\b", "DURATION"),
    (r"\b0\.\d{4,}\b", "SCORE"),
    (r"\b[0-9a-f]{16}\b", "VERSION"),
    (r"\bb3:[0-9a-f]{9}\.\.\.", "DIGEST"),
    (r" +", " "),
    (r" $", ""),
]


@pytest.mark.slow
@pytest.mark.timeout(300)  # a dozen commands, most of which import scikit-learn
@pytest.mark.parametrize("document", ["README.md", "docs/quickstart.md", "docs/executions.md"])
def test_what_is_written_is_what_comes(document, repository, tmp_path):
    reader = Reader(machines.Machine(tmp_path))
    try:
        for kind, text in BLOCK.findall((repository / document).read_text("utf-8")):
            if kind == "python":
                reader.save(text)
            else:
                reader.follow(text)
    finally:
        reader.machine.close()
    assert reader.commands > 2


class Reader:
    """Does what a document says."""

    def __init__(self, machine):
        self.machine = machine
        self.commands = 0
        self._ids = {}

    def save(self, text):
        name = re.match(r"# (\w+\.py)\n", text)
        assert name, f"which file is this?\n{text}"
        (self.machine.folder / name[1]).write_text(text, "utf-8")

    def follow(self, text):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            for written, real in self._ids.items():
                line = line.replace(written, real)
            came = self._run(*shlex.split(line))
            assert pattern(shown).fullmatch(plain(came)), f"$ {line}\n{came}"
            self._ids.update(zip(ID.findall(shown), ID.findall(came), strict=False))
            self.commands += 1

    def _run(self, program, *arguments):
        if program == "typedflow" and arguments == ("up",):
            service = self.machine.up()
            machines.until(lambda: "Ctrl-C" in service.output, "the server says how it is used")
            return service.output
        if program == "typedflow":
            service = self.machine.start(*arguments)
        elif program == "pytest":
            service = self.machine.start(
                python=f"import pytest; pytest.main({[*arguments, '-p', 'no:cacheprovider']})"
            )
        else:
            assert program == "python"
            service = self.machine.start(python=(self.machine.folder / arguments[0]).read_text("utf-8"))
        service.process.wait(machines.PATIENCE_S)
        return service.output


def plain(text):
    for varies, name in VARIES:
        text = re.sub(varies, name, text, flags=re.MULTILINE)
    return text


def pattern(shown):
    lines = [
        "(?:.*\n)*" if line == "...\n" else re.escape(line) for line in plain(shown).splitlines(keepends=True)
    ]
    return re.compile("".join(lines))
