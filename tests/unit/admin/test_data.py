"""Bytes go in under their digest or not at all, and come out to who may read what they belong to."""

import asyncio
import errno

import grpc
import pytest
from typedflow_admin import data

from typedflow import errors, rpc
from typedflow.dataplane import bundles, objects
from typedflow.pb import data_pb2

CHUNK = 100


def refused(call, *arguments):
    """The error that the server raised."""
    with pytest.raises(grpc.RpcError) as failure:
        list(call(*arguments))
    return rpc.error_from(failure.value)


@pytest.fixture
def bundle(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "m.py").write_text("x = 1\n" * 2000)
    (root / "n.py").write_text("".join(chr(32 + number * 7919 % 95) for number in range(20_000)))
    return bundles.build([root / "m.py", root / "n.py"], roots=[root])


def puts(digest: str, content: bytes) -> list[data_pb2.PutBundleRequest]:
    parts = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]
    requests = [data_pb2.PutBundleRequest(data=part) for part in parts]
    requests[0].project, requests[0].domain, requests[0].digest = "p", "d", digest
    return requests


def test_d4_a_bundle_comes_back_as_it_went_in(admin, bundle):
    wanted = data_pb2.FindMissingBundlesRequest(
        project="p", domain="d", digests=[bundle.digest, bundle.digest]
    )
    assert admin.data.FindMissingBundles(wanted).digests == [bundle.digest]
    requests = puts(bundle.digest, bundle.data)
    assert len(requests) > 2
    for _ in range(2):
        admin.data.PutBundle(iter(requests))
    assert admin.data.FindMissingBundles(wanted).digests == []
    parts = admin.data.GetBundle(data_pb2.GetBundleRequest(project="p", domain="d", digest=bundle.digest))
    assert b"".join(part.data for part in parts) == bundle.data


def test_d4_a_bundle_that_is_not_what_its_digest_says_is_refused(admin, bundle):
    other = "b3:" + "0" * 64
    for digest, content in (
        (other, bundle.data),
        (bundle.digest, bundle.data[:-9]),
        (bundle.digest, b"no gzip"),
    ):
        with pytest.raises(grpc.RpcError) as failure:
            admin.data.PutBundle(iter(puts(digest, content)))
        assert isinstance(rpc.error_from(failure.value), errors.IntegrityError)
    wanted = data_pb2.FindMissingBundlesRequest(project="p", domain="d", digests=[bundle.digest, other])
    assert admin.data.FindMissingBundles(wanted).digests == [bundle.digest, other]


def test_s4_an_object_is_not_given_out_by_its_digest(admin):
    blob = admin.data.PutValue(iter([data_pb2.PutValueRequest(project="p", data=b"private")])).blob
    request = data_pb2.GetBundleRequest(project="p", domain="d", digest=blob.digest)
    assert isinstance(refused(admin.data.GetBundle, request), errors.NotFound)


@pytest.mark.parametrize(("project", "domain"), [("", "d"), ("p", ""), ("p", "../d")])
def test_s5_a_bundle_is_of_a_project_and_a_domain(admin, bundle, project, domain):
    place = {"project": project, "domain": domain}
    wrong = "domain" if project else "project"
    asked = data_pb2.FindMissingBundlesRequest(digests=[bundle.digest], **place)
    put = data_pb2.PutBundleRequest(digest=bundle.digest, **place)
    assert refused(admin.data.FindMissingBundles, asked).where == wrong
    assert refused(admin.data.PutBundle, iter([put])).where == wrong
    assert (
        refused(admin.data.GetBundle, data_pb2.GetBundleRequest(digest=bundle.digest, **place)).where == wrong
    )


@pytest.mark.parametrize("digest", ["", "b3:", "../../etc/passwd", "b3:" + "g" * 64])
def test_s5_what_is_no_digest_is_refused(admin, digest):
    error = refused(admin.data.GetBundle, data_pb2.GetBundleRequest(project="p", domain="d", digest=digest))
    assert error.code == "InvalidDigest"


def test_s5_a_bundle_that_is_too_large_is_refused_before_it_is_read(admin, monkeypatch):
    monkeypatch.setattr(data, "MAX_BUNDLE_BYTES", 10 * CHUNK)
    with pytest.raises(grpc.RpcError) as failure:
        admin.data.PutBundle(iter(puts("b3:" + "0" * 64, b"x" * 11 * CHUNK)))
    assert rpc.error_from(failure.value).code == "BundleTooLarge"


def put_value(admin, *requests: data_pb2.PutValueRequest):
    """The error that the server raised."""
    with pytest.raises(grpc.RpcError) as failure:
        admin.data.PutValue(iter(requests))
    return rpc.error_from(failure.value)


@pytest.mark.parametrize("project", ["", "Not A Label", "../p"])
def test_s5_a_value_is_of_a_project(admin, project):
    error = put_value(admin, data_pb2.PutValueRequest(project=project, data=b"x"))
    assert (error.code, error.where) == ("InvalidName", "project")
    assert put_value(admin).where == "project"


def test_w4_chunks_have_a_limit_and_values_have_none(admin):
    chunk, more = b"x" * data.CHUNK_BYTES, b"x" * (data.CHUNK_BYTES + 1)
    first, rest = data_pb2.PutValueRequest(project="p"), data_pb2.PutValueRequest(data=chunk)
    assert admin.data.PutValue(iter([first, *[rest] * 20])).blob.size == 20 * data.CHUNK_BYTES
    for requests in (
        [data_pb2.PutValueRequest(project="p", data=more)],
        [first, data_pb2.PutValueRequest(data=more)],
    ):
        assert put_value(admin, *requests).where == "data"
    assert list((admin.home / "incoming").iterdir()) == []
    with pytest.raises(grpc.RpcError) as failure:
        admin.data.PutBundle(
            iter([data_pb2.PutBundleRequest(project="p", domain="d", digest="b3:" + "0" * 64, data=more)])
        )
    assert rpc.error_from(failure.value).where == "data"


def test_a_store_that_does_not_answer_keeps_nobody_else_waiting(admin, bundle, monkeypatch):
    admin.data.PutBundle(iter(puts(bundle.digest, bundle.data)))
    asked_beside: list[bool] = []

    def beside(method):
        def called(store, *given):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asked_beside.append(True)
            else:
                asked_beside.append(False)
            return method(store, *given)

        return called

    for name in ("exists", "open"):
        monkeypatch.setattr(objects.FolderStore, name, beside(getattr(objects.FolderStore, name)))
    list(admin.data.GetBundle(data_pb2.GetBundleRequest(project="p", domain="d", digest=bundle.digest)))
    assert asked_beside == [True, True]


def test_a_full_disk_is_said_to_be_full(admin, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(objects.FolderStore, "put_file", full)
    assert put_value(admin, data_pb2.PutValueRequest(project="p", data=b"x")).code == "DiskFull"
