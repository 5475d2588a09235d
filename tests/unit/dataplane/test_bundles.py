"""D4: bundles are reproducible, hold no secrets, and are checked before they are unpacked."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from typedflow import errors
from typedflow.dataplane import bundles, digests

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/tasks.py": "import pipeline.inner.deep\n",
    "pipeline/unused.py": "",
    "pipeline/query.sql": "select 1",
    "pipeline/data/table.csv": "a,b\n",
    "pipeline/inner/__init__.py": "",
    "pipeline/inner/deep.py": "VALUE = 5\n",
    "pipeline/inner/schema.json": "{}",
    "pipeline/other/__init__.py": "",
    "pipeline/other/unneeded.json": "{}",
    "pipeline/.env": "SECRET",
    "pipeline/.env.production": "SECRET",
    "pipeline/server.pem": "SECRET",
    "pipeline/data/private.KEY": "SECRET",
    "pipeline/id_rsa": "SECRET",
    "pipeline/id_ed25519.bak": "SECRET",
    "pipeline/.git/config": "SECRET",
    "pipeline/data/.git/config": "SECRET",
    "pipeline/__pycache__/tasks.cpython-311.pyc": "x",
    "script.py": "",
    "conf/a.yaml": "a: 1\n",
    "conf/b.yaml": "b: 1\n",
    "conf/.env": "SECRET",
}
MODULES = ["pipeline/tasks.py", "pipeline/inner/deep.py"]


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "project")


def write(root):
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def build(root, modules=MODULES, **options):
    return bundles.build([root / name for name in modules], roots=[root], **options)


def contents(folder):
    return [path.name for path in folder.iterdir()]


def names(bundle):
    return [name.removeprefix("roots/0/") for name, _ in bundle.files]


def packed(*members, manifest=b'{"format":1,"roots":["roots/0"]}'):
    """A bundle of any tar members; gives its bytes and digest."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in [("bundle.json", manifest), *members]:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue()), digests.of_bytes(out.getvalue())


def test_d4_a_bundle_has_the_modules_and_their_packages_data(root):
    bundle = build(root)
    assert names(bundle) == [
        "pipeline/__init__.py",
        "pipeline/data/table.csv",
        "pipeline/inner/__init__.py",
        "pipeline/inner/deep.py",
        "pipeline/inner/schema.json",
        "pipeline/query.sql",
        "pipeline/tasks.py",
    ]
    assert dict(bundle.files)["roots/0/pipeline/query.sql"] == len("select 1")


def test_d4_secrets_never_get_in_even_when_included(root):
    bundle = build(root, include=["**/*", "pipeline/.env*", "conf/.env", "pipeline/.git/*"])
    assert b"SECRET" not in gzip.decompress(bundle.data)
    assert "conf/a.yaml" in names(bundle)


def test_d4_a_link_to_a_secret_is_a_secret(root, tmp_path):
    (root / "pipeline/innocent.txt").symlink_to(root / "pipeline/id_rsa")
    assert "pipeline/innocent.txt" not in names(build(root))


def test_d4_include_adds_files_and_folders(root):
    assert {"conf/a.yaml", "script.py"} <= set(names(build(root, include=["conf/a*", "*.py"])))
    assert {"conf/a.yaml", "conf/b.yaml"} <= set(names(build(root, include=["conf"])))


@pytest.mark.parametrize("pattern", ["nothing/*", "/etc/*", "../*", ""])
def test_an_include_that_matches_nothing_or_leads_out_is_refused(root, pattern):
    with pytest.raises(errors.BundleError) as caught:
        build(root, include=[pattern])
    assert caught.value.where == pattern


def test_d4_the_same_files_give_the_same_bytes(root, tmp_path):
    other = write(tmp_path / "a" / "nother place")
    for index, path in enumerate(sorted(other.rglob("*"), reverse=True)):
        os.utime(path, (index, index))
        path.chmod(0o700 if path.is_dir() else 0o600)
    first = build(root)
    assert build(other, modules=MODULES[::-1]) == first
    script = (
        "import sys, pathlib; from typedflow.dataplane import bundles; root = pathlib.Path(sys.argv[1])\n"
        "print(bundles.build([root / name for name in sys.argv[2:]], roots=[root]).digest)"
    )
    command = [sys.executable, "-P", "-c", script, str(root), *MODULES]
    shown = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "5"},
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert shown.strip() == first.digest


def test_d4_its_name_is_the_digest_of_the_tar(root):
    bundle = build(root)
    assert bundle.digest == digests.of_bytes(gzip.decompress(bundle.data))
    (root / "pipeline/query.sql").write_text("select 2")
    assert build(root).digest != bundle.digest


def test_a_module_object_is_bundled_by_its_file(root):
    module = type(sys)("pipeline.tasks")
    module.__file__ = str(root / "pipeline/tasks.py")
    namespace_package = type(sys)("spaces")
    assert names(bundles.build([module, namespace_package], roots=[root])) == names(
        build(root, modules=["pipeline/tasks.py"])
    )


def test_modules_of_several_roots_keep_their_roots(root, tmp_path):
    other = tmp_path / "library"
    (other / "lib").mkdir(parents=True)
    (other / "lib" / "a.py").write_text("")
    bundle = bundles.build([root / "script.py", other / "lib/a.py", Path(os.__file__)], roots=[root, other])
    assert [name for name, _ in bundle.files] == ["roots/0/script.py", "roots/1/lib/a.py"]
    found = bundles.unpack(bundle.data, bundle.digest, tmp_path / "unpacked")
    assert [(path.name, sorted(p.name for p in path.iterdir())) for path in found] == [
        ("0", ["script.py"]),
        ("1", ["lib"]),
    ]


def test_d4_home_and_the_file_systems_root_are_refused(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    for folder in (root, Path("/")):
        with pytest.raises(errors.BundleError, match="not a project"):
            bundles.build([root / "script.py"], roots=[folder])


def test_d4_too_large_a_bundle_is_refused_with_its_largest_files(root, monkeypatch):
    with (root / "pipeline/weights.bin").open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(errors.BundleError) as caught:
        build(root)
    assert caught.value.code == "BundleTooLarge"
    assert caught.value.message.splitlines()[0].startswith("the code bundle is 65.0 MiB, more than 64 MiB")
    assert caught.value.message.splitlines()[1] == "        65.0 MiB  pipeline/weights.bin"


def test_an_unpacked_bundle_can_be_imported_from(root, tmp_path):
    bundle = build(root)
    (found,) = bundles.unpack(bundle.data, bundle.digest, tmp_path / "bundles")
    command = [sys.executable, "-c", "import pipeline.inner.deep as deep; print(deep.VALUE)"]
    shown = subprocess.run(command, cwd=found, capture_output=True, text=True, check=True).stdout
    assert shown == "5\n"
    assert found.parent.parent.name == bundle.digest.removeprefix("b3:")


def test_unpacking_again_uses_what_is_there(root, tmp_path):
    bundle = build(root)
    (found,) = bundles.unpack(bundle.data, bundle.digest, tmp_path)
    before = (found / "pipeline/tasks.py").stat().st_ino
    assert bundles.unpack(b"", bundle.digest, tmp_path) == (found,)
    assert (found / "pipeline/tasks.py").stat().st_ino == before


def test_an_executable_stays_one(root, tmp_path):
    (root / "pipeline/query.sql").chmod(0o755)
    bundle = build(root)
    (found,) = bundles.unpack(bundle.data, bundle.digest, tmp_path)
    assert os.access(found / "pipeline/query.sql", os.X_OK)
    assert not os.access(found / "pipeline/tasks.py", os.X_OK)


def test_d4_many_may_unpack_one_bundle_at_once(root, tmp_path):
    bundle = build(root)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: bundles.unpack(bundle.data, bundle.digest, tmp_path / "to"), range(32))
        )
    assert len(set(found)) == 1
    assert contents(tmp_path / "to") == [bundle.digest.removeprefix("b3:")]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda d: d[:-9], lambda d: d[:40] + b"\0" + d[41:], lambda d: b"PK" + d],
    ids=["empty", "short", "changed", "no-gzip"],
)
def test_d4_a_damaged_bundle_is_refused_and_leaves_nothing(root, tmp_path, damage):
    bundle = build(root)
    with pytest.raises(errors.IntegrityError):
        bundles.unpack(damage(bundle.data), bundle.digest, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_d4_another_bundles_bytes_are_refused(root, tmp_path):
    data, _ = packed(("roots/0/a.py", b""))
    with pytest.raises(errors.IntegrityError, match="not what its name says"):
        bundles.unpack(data, build(root).digest, tmp_path)


@pytest.mark.parametrize("name", ["/etc/evil", "../evil", "roots/0/../../../evil", "roots\\..\\evil", "."])
def test_d4_a_path_that_leads_out_is_refused(tmp_path, name):
    data, digest = packed((name, b"x"))
    with pytest.raises(errors.BundleError, match="something other than a file below its folder"):
        bundles.unpack(data, digest, tmp_path / "to")
    assert contents(tmp_path / "to") == []


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
    ids=["symlink", "hardlink", "device", "fifo", "folder"],
)
def test_d4_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("roots/0/thing")
    info.type, info.linkname = kind, "/etc/passwd"
    data, digest = packed((info, b""))
    with pytest.raises(errors.BundleError):
        bundles.unpack(data, digest, tmp_path / "to")
    assert contents(tmp_path / "to") == []


def test_s5_a_bundle_that_would_expand_without_end_is_refused(tmp_path):
    data = gzip.compress(b"\0" * (200 * 2**20), compresslevel=9)
    with pytest.raises(errors.BundleError) as caught:
        bundles.unpack(data, digests.of_bytes(b""), tmp_path)
    assert caught.value.code == "BundleTooLarge"


@pytest.mark.parametrize(
    "members",
    [[("roots/0/a", b"1"), ("roots/0/a", b"2")], [("roots/0/a", b"1"), ("roots/0/a/b", b"2")]],
    ids=["twice", "inside"],
)
def test_s5_files_that_collide_are_refused(tmp_path, members):
    data, digest = packed(*members)
    with pytest.raises(errors.BundleError):
        bundles.unpack(data, digest, tmp_path)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b'{"format":2,"roots":[]}', b'{"format":1,"roots":["../.."]}', b'{"format":1,"roots":[1]}'],
)
def test_s5_a_manifest_that_is_not_ours_is_refused(tmp_path, manifest):
    data, digest = packed(manifest=manifest)
    with pytest.raises(errors.BundleError, match="not a bundle that this version can read"):
        bundles.unpack(data, digest, tmp_path)
    assert contents(tmp_path) == []


def test_what_is_no_digest_names_no_folder(tmp_path):
    with pytest.raises(errors.BundleError):
        bundles.unpack(b"", "b3:../../x", tmp_path)
