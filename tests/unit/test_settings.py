"""Settings come from variables, then the nearest file, then defaults; what is wrong names its place."""

import json

import pytest

from typedflow import errors, settings


def load(folder, **environ: str) -> settings.Settings:
    return settings.load(
        cwd=folder, environ={f"TYPEDFLOW_{name.upper()}": value for name, value in environ.items()}
    )


def test_without_anything_there_are_defaults(tmp_path):
    found = load(tmp_path)
    assert (found.admin, found.project, found.domain, found.token) == ("", "default", "development", "")
    assert found.home.name == ".typedflow"
    assert found.home.is_absolute()


def test_variables_come_before_the_file(tmp_path):
    (tmp_path / "typedflow.toml").write_text('project = "file"\ndomain = "file"\n')
    found = load(tmp_path, project="variable", home="here", admin="host:1", token="t")
    assert (found.project, found.domain, found.admin, found.token) == ("variable", "file", "host:1", "t")
    assert found.home == tmp_path / "here"


def test_the_nearest_file_is_taken_and_its_paths_are_meant_from_there(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.typedflow]\nproject = "outer"\nhome = "state"\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    found = load(inner)
    assert (found.project, found.home) == ("outer", tmp_path / "state")
    (tmp_path / "a" / "typedflow.toml").write_text('domain = "inner"\n')
    assert (load(inner).project, load(inner).domain) == ("default", "inner")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('projet = "x"', "projet: Unknown field. Did you mean `project`?"),
        ("project = 5", "project: Not a valid string."),
        ("project = ", "this is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_place(tmp_path, text, message):
    path = tmp_path / "typedflow.toml"
    path.write_text(text)
    with pytest.raises(errors.UsageError) as refused:
        load(tmp_path)
    assert message in refused.value.message
    assert refused.value.where == str(path)


def test_every_wrong_setting_of_a_file_is_named_at_once(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.typedflow]\none = 1\ntwo = 2\n")
    with pytest.raises(errors.UsageError, match=r"tool\.typedflow\.one.*\n.*tool\.typedflow\.two"):
        load(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool]\ntypedflow = 5\n")
    with pytest.raises(errors.UsageError, match=r"tool\.typedflow: Invalid input"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("admin", "host"), ("admin", "host:0"), ("project", "Not A Label"), ("domain", "_")],
)
def test_a_value_that_does_not_fit_names_its_variable(tmp_path, variable, value):
    with pytest.raises(errors.UsageError) as refused:
        load(tmp_path, **{variable: value})
    assert refused.value.where == f"TYPEDFLOW_{variable.upper()}"


def test_a_value_of_a_file_that_does_not_fit_names_its_key(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.typedflow]\nproject = "Not A Label"\n')
    with pytest.raises(errors.UsageError) as refused:
        load(tmp_path)
    assert refused.value.where == f"{tmp_path / 'pyproject.toml'}: tool.typedflow.project"


def test_numbers_of_a_server_are_whole_ones(tmp_path):
    (tmp_path / "typedflow.toml").write_text("gc_grace_hours = 2\nproject_parallelism = 3")
    found = settings.load(cwd=tmp_path, environ={"TYPEDFLOW_GC_GRACE_HOURS": "5"})
    assert (found.gc_grace_hours, found.project_parallelism) == (5, 3)
    assert settings.load(cwd=tmp_path.parent, environ={}).gc_grace_hours == 24
    for name in ("TYPEDFLOW_GC_GRACE_HOURS", "TYPEDFLOW_PROJECT_PARALLELISM"):
        with pytest.raises(errors.UsageError, match="is no number of") as refused:
            settings.load(cwd=tmp_path, environ={name: "-1"})
        assert refused.value.where == name


def test_server_json_is_read_and_is_none_where_there_is_no_server(tmp_path):
    assert settings.server_json(tmp_path / "absent") is None
    path = tmp_path / settings.SERVER_FILE
    path.write_text(json.dumps({"grpc": "h:1", "http": "h:2", "pid": 3, "token": "t"}))
    assert settings.server_json(tmp_path) == settings.ServerInfo("h:1", "h:2", 3, "t")
    for text in ("", "{}", "[]", '{"grpc": "h:1", "http": "h:2", "pid": "x", "token": "t"}'):
        path.write_text(text)
        with pytest.raises(errors.UsageError, match="not what a server writes"):
            settings.server_json(tmp_path)
