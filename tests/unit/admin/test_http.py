"""The API as JSON over HTTP, and what keeps a browser's other pages out."""

import base64
import json

import httpx
import pytest
from typedflow_admin import http_api

from typedflow import errors
from typedflow.pb import diagnostics_pb2

GET = "/typedflow.v1.Executions/GetExecution"
LIST = "/typedflow.v1.Executions/ListExecutions"


@pytest.fixture
def client(admin):
    headers = {"Authorization": f"Bearer {admin.info.token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://{admin.info.http}", headers=headers, trust_env=False) as made:
        yield made


def test_a_call_is_the_same_over_http(admin, graph, client):
    admin.register(graph.task(), graph.workflow())
    plan = {"project": "p", "domain": "development", "name": "m.wf"}
    body = {"launchPlan": plan, "inputsJson": '{"n": 4}'}
    made = client.post("/typedflow.v1.Executions/CreateExecution", json=body)
    assert made.status_code == 200
    execution = made.json()["execution"]
    assert execution["phase"] == "PHASE_QUEUED"
    assert execution["inputs"]["values"] == [{"name": "n", "value": {"integer": "4"}}]
    assert client.post(GET, json={"executionId": execution["id"]}).json() == made.json()
    assert client.post(LIST, json={"project": "p", "domain": "development"}).json()["executions"] == [
        execution
    ]


def test_what_a_launch_would_do_and_a_relaunch_are_asked_for_over_http(admin, graph, client):
    admin.register(graph.task(), graph.workflow())
    plan = {"project": "p", "domain": "development", "name": "m.wf"}
    planned = client.post(
        "/typedflow.v1.Executions/PlanExecution",
        json={"launch": {"launchPlan": plan, "inputsJson": '{"n": 4}'}},
    )
    assert planned.status_code == 200
    assert [node["decision"] for node in planned.json()["nodes"]] == ["DECISION_RUN", "DECISION_WAIT"]
    first = admin.launch("m.wf", inputs_json='{"n": 4}').id
    again = client.post("/typedflow.v1.Executions/RelaunchExecution", json={"executionId": first})
    assert again.json()["execution"]["relaunchedFrom"] == first
    refused = client.post("/typedflow.v1.Executions/RecoverExecution", json={"executionId": first})
    assert (refused.status_code, refused.json()["code"]) == (400, "failed_precondition")


def test_an_error_is_its_code_and_what_to_do(client):
    answer = client.post(GET, json={"executionId": "absent"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.json()["message"] == "there is no execution `absent`"
    assert answer.json()["details"][0]["type"] == "google.rpc.ErrorInfo"


@pytest.mark.parametrize("body", ["{", '{"no_such_field": 1}', "[]", '{"executionId": 5}', "\x00"])
def test_s5_a_malformed_body_is_refused(client, body):
    answer = client.post(GET, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


def test_s5_a_body_that_is_too_large_is_refused(client):
    answer = client.post(GET, content=b" " * (16 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic wrong"}, 401),
    ],
    ids=lambda value: (
        "-".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else None
    ),
)
def test_s1_what_another_page_or_program_could_send_is_refused(client, headers, status):
    assert client.post(LIST, json={}, headers=headers).status_code == status


def test_s1_own_pages_and_loopback_names_may_call(admin, client):
    port = admin.info.http.rpartition(":")[2]
    for headers in ({"Host": f"localhost:{port}"}, {"Origin": f"http://{admin.info.http}"}):
        assert client.post(LIST, json={}, headers=headers).status_code == 200


def test_health_is_open_and_other_paths_and_verbs_are_not_there(admin, client):
    assert httpx.get(f"http://{admin.info.http}/healthz", trust_env=False).text == "ok\n"
    assert client.get(LIST).status_code == 405
    assert client.post("/typedflow.v1.Executions/WatchExecution", json={}).status_code == 404
    assert client.post("/typedflow.v1.Propeller/Work", json={}).status_code == 404


def test_s3_a_runner_needs_its_own_token_only(admin, client):
    begin = {"id": {"executionId": "x", "node": "a", "attempt": 1}, "token": "00", "runnerUid": "u"}
    answer = client.post("/typedflow.v1.Attempt/Begin", json=begin, headers={"Authorization": ""})
    assert answer.status_code == 401
    assert "the token is not that of attempt 1 of node `a`" in answer.json()["message"]


def test_diagnostics_are_details_here_too():
    # Registration is a stream, so no call over HTTP has them yet; the translation is the same for all errors.
    diagnostics = [diagnostics_pb2.Diagnostic(code="MismatchingTypes", message="no")]
    body = http_api.error_response(errors.CompileError(diagnostics)).body
    detail = json.loads(bytes(body))["details"][0]
    assert detail["type"] == "typedflow.v1.Diagnostics"
    value = base64.b64decode(detail["value"] + "==")
    assert list(diagnostics_pb2.Diagnostics.FromString(value).diagnostics) == diagnostics
