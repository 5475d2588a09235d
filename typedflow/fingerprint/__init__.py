"""Code fingerprints: a cached task runs again when its code changed, and only then.

A fingerprint covers a task's function and, transitively, every first-party function, class and constant that it refers
to, found by reading source files: nothing is imported or run. In doubt more counts rather than less:

- A name is followed through imports, re-exports, star imports, aliases and attributes of modules. A class counts
  whole, with its bases; a constant with every top-level statement that binds it; a nested function with what it closed
  over.
- What can't be followed counts whole modules: a module used as a value (`getattr(module, name)`), one that uses
  `globals`, `eval` or `exec`, one whose name is rebound by `global` or assigned to from outside, one that registers
  definitions. A module imported by a name made at run time counts every module below the constant part of the name, and
  without one every module of the importing package (of a script: the modules beside it).
- Statements that only act (calls, loops, `x[k] = v`) count for every module that is reached or imported on the way.
- Docstrings, comments, formatting, `if __name__ == "__main__":` blocks, descriptions of schema fields and the options
  of typedflow's own decorators do not count.

Not seen: files that code opens (name them in `depends_on`), values read at run time, attributes looked up by name on
objects other than modules, and what libraries do beyond their version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.fingerprint.names import import_root, module_name

if TYPE_CHECKING:
    from typedflow.fingerprint.resolver import Component, Fingerprint, Resolver, fingerprint

__all__ = ["Component", "Fingerprint", "Resolver", "fingerprint", "import_root", "module_name"]


def __getattr__(name: str) -> object:
    """Loads the resolver when it is first used: only registering needs it, and every `import typedflow` needs names."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from typedflow.fingerprint import resolver  # noqa: PLC0415

    return getattr(resolver, name)
