"""What tests of conversion share: a registry and a place for bytes."""

from importlib import util

import pytest

from typedflow import type_engine
from typedflow.dataplane import objects

# Torch takes gigabytes, and is no part of the extra `test`: scripts/test-torch has it, and fails where no test was run.
collect_ignore = [] if util.find_spec("torch") else ["test_torch.py"]


@pytest.fixture(scope="session")
def engine() -> type_engine.TypeEngine:
    return type_engine.standard()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> type_engine.Data:
    folder = tmp_path_factory.mktemp("data")
    return type_engine.Data(objects.FolderStore(folder / "store"), folder / "files")
