"""What tests of conversion share: a registry and a place for bytes."""

import pytest

from typedflow import type_engine
from typedflow.dataplane import objects


@pytest.fixture(scope="session")
def engine() -> type_engine.TypeEngine:
    return type_engine.standard()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> type_engine.Data:
    folder = tmp_path_factory.mktemp("data")
    return type_engine.Data(objects.FolderStore(folder / "store"), folder / "files")
