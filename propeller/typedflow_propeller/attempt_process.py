"""Processes for attempts: forked from the warm template of their bundle, or fresh where a fork is not safe.

A process that is launched has run nothing of the task yet: it waits for `go`, and ends by itself when whoever launched
it dies or abandons it before. From `go` on it lives on its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from typedflow.run_task import child
from typedflow_propeller import process_identity, template_process

# Each holds what its code imports; beyond these, the one that was idle longest makes room.
_MOST_TEMPLATES = 8

_TemplateKey = tuple[tuple[Path, ...], frozenset[tuple[str, str]]]


class AttemptProcess:
    """The process of an attempt. Exactly one of `forked` and `spawned` is there."""

    def __init__(
        self,
        go: int,
        forked: template_process.Child | None = None,
        spawned: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._go: int | None = go
        self._forked = forked
        self._reaping = asyncio.create_task(self._reap(spawned)) if spawned else None
        self.identity = forked.identity if forked else process_identity.of(spawned.pid if spawned else 0)

    def go(self) -> None:
        """Lets it run the task."""
        if self._go is not None:
            with contextlib.suppress(BrokenPipeError):  # it was killed: its exit says so
                os.write(self._go, child.GO)
        self.abandon()

    def abandon(self) -> None:
        """Before `go`: it ends without having run anything."""
        if self._go is not None:
            os.close(self._go)
            self._go = None

    async def exit(self) -> int | None:
        """Waits for its end, and ends what it left running.

        Its exit status, -N for signal N; None when nobody knows it.
        """
        if self._reaping is not None:
            return await asyncio.shield(self._reaping)
        assert self._forked is not None
        status = await asyncio.shield(self._forked.exit)
        if status is None:
            await self.identity.ended()
        return status

    async def _reap(self, spawned: subprocess.Popen[bytes]) -> int:
        """Runs to its end whoever waits for it, so that no zombie is left."""
        await self.identity.ended()
        self.identity.sweep_group()  # it is not reaped yet, so the number is still its own
        return spawned.wait()


class _Pipe:
    """What a go-ahead goes through. Both ends close with the block, but for a write end that is kept."""

    def __enter__(self) -> Self:
        self.read_end, self._write_end = os.pipe()
        self._kept = False
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.read_end)
        if not self._kept:
            os.close(self._write_end)

    def keep(self) -> int:
        """The write end, which is the caller's from now on."""
        self._kept = True
        return self._write_end


class Launcher:
    """Launches processes, and keeps the templates that they are forked from. For one event loop."""

    def __init__(self, store_url: str, *, template_idle_s: float) -> None:
        self._store_url = store_url
        self._idle_s = template_idle_s
        self._templates: dict[_TemplateKey, template_process.TemplateProcess] = {}
        self._timers: dict[_TemplateKey, asyncio.TimerHandle] = {}
        self._unfit: set[tuple[_TemplateKey, str]] = set()
        self._dropped: list[template_process.TemplateProcess] = []
        self._linux = sys.platform.startswith("linux")

    async def launch(
        self,
        folder: Path,
        module: str,
        roots: Sequence[Path],
        environment: Mapping[str, str],
        own: Mapping[str, str],
    ) -> AttemptProcess:
        """A process for the attempt in `folder`, whose task is in `module`, which waits for `go`.

        Args:
            environment: what attempts of one template have in common.
            own: variables that only this process has.

        Raises:
            ImportFailed: the author's module raised when it was imported.
        """
        key = (tuple(roots), frozenset(environment.items()))
        if self._linux and (key, module) not in self._unfit:
            try:
                with _Pipe() as pipe:
                    template = self._template(key, roots, environment)
                    forked = await template.fork(folder, module, own, pipe.read_end)
                    return AttemptProcess(pipe.keep(), forked=forked)
            except template_process.UnfitToFork:
                self._unfit.add((key, module))
            except template_process.TemplateLost:
                pass  # the import may have crashed it: in a fresh interpreter that is the attempt's own end
        # A pipe of its own: a template that was lost may have left a child, which ends when the first one closes.
        with _Pipe() as pipe:
            variables = {**environment, **own}
            spawned = template_process.spawn(folder, roots, self._store_url, variables, pipe.read_end)
            return AttemptProcess(pipe.keep(), spawned=spawned)

    def close(self) -> None:
        """Ends the templates; processes go on."""
        for key in list(self._templates):
            self._drop(key)

    async def ended(self) -> None:
        """After `close`: returns once the templates have ended, those that were dropped earlier too."""
        for template in list(self._dropped):
            await template.ended()

    def _template(
        self, key: _TemplateKey, roots: Sequence[Path], environment: Mapping[str, str]
    ) -> template_process.TemplateProcess:
        """The warm one, or a new one; it ends when it was idle for a while."""
        template = self._templates.pop(key, None)
        if template is not None and template.lost:
            self._end(template)
            template = None
        if template is None:
            idle = [each for each, known in self._templates.items() if known.is_idle]
            for oldest in idle[: max(0, len(self._templates) + 1 - _MOST_TEMPLATES)]:
                self._drop(oldest)
            template = template_process.TemplateProcess(roots, self._store_url, environment)
        self._templates[key] = template  # the last is the one that was used last
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(self._idle_s, self._retire, key)
        return template

    def _retire(self, key: _TemplateKey) -> None:
        if self._templates[key].is_idle:
            self._drop(key)
        else:
            self._timers[key] = asyncio.get_running_loop().call_later(self._idle_s, self._retire, key)

    def _drop(self, key: _TemplateKey) -> None:
        self._timers.pop(key).cancel()
        self._end(self._templates.pop(key))

    def _end(self, template: template_process.TemplateProcess) -> None:
        template.close()
        self._dropped = [each for each in self._dropped if not each.has_ended]
        self._dropped.append(template)
