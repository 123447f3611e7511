"""The wire itself, without a client library: bodies, streams, errors, faults, the control side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import orjson
import pytest
from typer import Typer
from typer.testing import CliRunner

from pyairtable_devkit.gemini.server import command
from pyairtable_devkit.gemini.settings import Settings
from pyairtable_devkit.gemini.testing import GeminiEmulator

BASE = "/v1beta/models/gemini-3.8-flash"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@pytest.fixture
def stranger(gemini: GeminiEmulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=gemini.url, timeout=10) as http:
        yield http


def _events(response: httpx2.Response) -> list[dict[str, Any]]:
    lines = [line for line in response.text.split("\r\n\r\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [orjson.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_generate_answers_on_both_versions(raw: httpx2.Client, version: str) -> None:
    response = raw.post(f"/{version}/models/gemini-3.8-flash:generateContent", json=HELLO)
    answer = response.json()
    assert response.status_code == 200 and response.headers["content-type"].startswith("application/json")
    assert set(answer) == {"candidates", "usageMetadata", "modelVersion", "responseId"}
    assert answer["candidates"][0]["finishReason"] == "STOP"
    assert answer["candidates"][0]["content"]["role"] == "model"


def test_the_latest_aliases_are_on_v1beta_only(raw: httpx2.Client) -> None:
    found = raw.post("/v1beta/models/gemini-flash-latest:generateContent", json=HELLO)
    assert found.json()["modelVersion"] == "gemini-3.8-flash"
    assert raw.post("/v1/models/gemini-flash-latest:generateContent", json=HELLO).status_code == 404


def test_a_stream_comes_as_events_or_as_one_array(raw: httpx2.Client) -> None:
    events = raw.post(f"{BASE}:streamGenerateContent?alt=sse", json=HELLO)
    array = raw.post(f"{BASE}:streamGenerateContent", json=HELLO)
    assert events.headers["content-type"].startswith("text/event-stream")
    texts = ["".join(_texts(piece) for piece in pieces) for pieces in (_events(events), array.json())]
    assert texts[0] == texts[1] and texts[0].startswith("Hello!")


def _texts(piece: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in piece["candidates"][0]["content"].get("parts", []))


def test_the_key_may_be_in_the_header_or_the_query(stranger: httpx2.Client, gemini: GeminiEmulator) -> None:
    assert stranger.get(f"/v1/models?key={gemini.key}").status_code == 200
    missing = stranger.get("/v1/models")
    wrong = stranger.get("/v1/models", headers={"x-goog-api-key": "not-the-key"})
    assert (missing.status_code, missing.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (wrong.status_code, wrong.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert [entry["key"] for entry in gemini.log()] == ["right", "none", "wrong"]
    assert "not-the-key" not in orjson.dumps(gemini.log()).decode()


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "text"),
    [
        ("POST", f"{BASE}:generateContent", b"{", 400, "Invalid JSON payload"),
        ("POST", f"{BASE}:generateContent", b"[]", 400, "Root element must be a message"),
        ("POST", f"{BASE}:generateContent", b'{"prompt": 1}', 400, 'Unknown name "prompt"'),
        ("POST", f"{BASE}:generateContent", b"", 400, "contents is not specified"),
        ("POST", "/v1/models/gpt:generateContent", orjson.dumps(HELLO), 404, "models/gpt is not found"),
        ("POST", f"{BASE}:embedContent", b"{}", 404, "not a method"),
        ("GET", f"{BASE}:generateContent", b"", 404, "not a method"),
        ("GET", "/v1/models/gpt", b"", 404, "models/gpt is not found"),
        ("GET", "/v1/models?pageSize=many", b"", 400, "page_size"),
        ("GET", "/v2/models", b"", 404, "There is nothing at"),
    ],
)
def test_errors(raw: httpx2.Client, method: str, path: str, content: bytes, status: int, text: str) -> None:
    response = raw.request(method, path, content=content)
    assert response.status_code == status
    assert text in response.json()["error"]["message"]


def test_an_error_of_an_array_stream_is_in_an_array(raw: httpx2.Client) -> None:
    assert raw.post(f"{BASE}:streamGenerateContent", json={}).json()[0]["error"]["code"] == 400
    assert raw.post(f"{BASE}:streamGenerateContent?alt=sse", json={}).json()["error"]["code"] == 400


def test_a_body_over_the_limit_is_refused(raw: httpx2.Client) -> None:
    response = raw.post(f"{BASE}:generateContent", content=b" " * (20 * 1024 * 1024 + 1))
    assert response.status_code == 400 and "payload size exceeds" in response.json()["error"]["message"]


def test_counts_tokens_of_contents_and_of_a_whole_request(raw: httpx2.Client) -> None:
    plain = raw.post(f"{BASE}:countTokens", json=HELLO).json()["totalTokens"]
    inner = {"model": "models/gemini-3.8-flash", **HELLO, "systemInstruction": {"parts": [{"text": "Be kind." * 9}]}}
    whole = raw.post(f"{BASE}:countTokens", json={"generateContentRequest": inner}).json()["totalTokens"]
    assert 0 < plain < whole


@pytest.mark.parametrize(("phrase", "finish"), [("EMULATOR-UNSAFE-PROMPT", None), ("EMULATOR-UNSAFE-ANSWER", "SAFETY")])
def test_the_filter_phrases_block(raw: httpx2.Client, phrase: str, finish: str | None) -> None:
    body = {"contents": [{"parts": [{"text": phrase}]}]}
    answer = raw.post(f"{BASE}:generateContent", json=body).json()
    if finish is None:
        assert answer["promptFeedback"]["blockReason"] == "SAFETY" and "candidates" not in answer
    else:
        assert answer["candidates"][0]["finishReason"] == finish
    off = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "threshold": "BLOCK_NONE"}]
    allowed = raw.post(f"{BASE}:generateContent", json={**body, "safetySettings": off}).json()
    assert allowed["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("status", "retry", "name"), [(429, 7, "RESOURCE_EXHAUSTED"), (503, 2.5, "UNAVAILABLE"), (500, None, "INTERNAL")]
)
def test_status_faults_carry_retry_details(
    gemini: GeminiEmulator, raw: httpx2.Client, status: int, retry: float | None, name: str
) -> None:
    gemini.fault("status", status=status, retry_seconds=retry, times=1, match={"path": "*:generateContent"})
    assert raw.get("/v1/models").status_code == 200
    error = raw.post(f"{BASE}:generateContent", json=HELLO).json()["error"]
    assert (error["code"], error["status"]) == (status, name)
    delays = [item["retryDelay"] for item in error.get("details", []) if item["@type"].endswith("RetryInfo")]
    assert delays == ([f"{retry:g}s"] if retry else [])
    if status == 429:
        quota = next(item for item in error["details"] if item["@type"].endswith("QuotaFailure"))
        assert quota["violations"][0]["quotaDimensions"]["model"] == "gemini-3.8-flash"
    assert raw.post(f"{BASE}:generateContent", json=HELLO).status_code == 200


def test_a_quota_per_minute_answers_429_with_the_wait(gemini: GeminiEmulator, raw: httpx2.Client) -> None:
    gemini.settings(requests_per_minute=2)
    answers = [raw.post(f"{BASE}:generateContent", json=HELLO) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    retry = answers[-1].json()["error"]["details"][-1]["retryDelay"]
    assert 0 < float(retry.removesuffix("s")) <= 60


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_broken_connections(gemini: GeminiEmulator, raw: httpx2.Client, kind: str) -> None:
    gemini.fault(kind)
    with pytest.raises(httpx2.TransportError):
        raw.post(f"{BASE}:generateContent", json=HELLO)
    assert raw.post(f"{BASE}:generateContent", json=HELLO).status_code == 200
    assert [entry["completed"] for entry in gemini.log()] == [False, True]


def test_a_timeout_fault_never_answers_and_lets_go(gemini: GeminiEmulator, raw: httpx2.Client) -> None:
    gemini.fault("timeout")
    with pytest.raises(httpx2.ReadTimeout):
        raw.post(f"{BASE}:generateContent", json=HELLO, timeout=0.2)
    assert raw.post(f"{BASE}:generateContent", json=HELLO).status_code == 200


def test_a_stream_cut_by_script(gemini: GeminiEmulator, raw: httpx2.Client) -> None:
    gemini.script([{"text": "one two three four five six seven eight nine ten", "cut_after": 0}])
    with pytest.raises(httpx2.RemoteProtocolError):
        raw.post(f"{BASE}:streamGenerateContent?alt=sse", json=HELLO)


def test_scripted_errors_finish_reasons_chunks_and_usage(gemini: GeminiEmulator, raw: httpx2.Client) -> None:
    gemini.script(
        """
        turns:
          - error: {code: 503, retry_seconds: 3}
          - {finish: MALFORMED_FUNCTION_CALL, finish_message: "Malformed function call: print(x)"}
          - {text: "ab", repeat_text: 3, usage: {prompt: 10, candidates: 5, thoughts: 2, cached: 4}}
          - {chunks: ["not json", {candidates: []}]}
        """
    )
    failed, malformed, long = (raw.post(f"{BASE}:generateContent", json=HELLO).json() for _ in range(3))
    assert failed["error"]["code"] == 503
    assert malformed["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert malformed["candidates"][0]["finishMessage"].startswith("Malformed")
    assert long["candidates"][0]["content"]["parts"][0]["text"] == "ababab"
    usage = long["usageMetadata"]
    assert (usage["cachedContentTokenCount"], usage["totalTokenCount"]) == (4, 17)
    garbled = raw.post(f"{BASE}:streamGenerateContent?alt=sse", json=HELLO).text
    assert garbled == 'data: not json\r\n\r\ndata: {"candidates":[]}\r\n\r\n'
    assert raw.post(f"{BASE}:generateContent", json=HELLO).json()["candidates"][0]["finishReason"] == "STOP"
    assert [turn["used"] for turn in gemini.script_state()["turns"]] == [1, 1, 1, 1]
    assert [entry["source"] for entry in gemini.log()] == ["script"] * 4 + ["planner"]


def test_a_wrong_script_or_fault_or_setting_is_named(gemini: GeminiEmulator) -> None:
    with pytest.raises(ValueError, match="'txt'"):
        gemini.script("turns: [{txt: hi}]")
    with pytest.raises(ValueError, match="'explode'"):
        gemini.fault("explode")
    with pytest.raises(ValueError, match="speed"):
        gemini.settings(speed=1)


def test_the_control_side_lists_itself_and_is_not_counted(gemini: GeminiEmulator, stranger: httpx2.Client) -> None:
    index = stranger.get("/_emulator").json()
    assert index["api_key"] == gemini.key and "gemini-3.8-flash" in index["models"]
    assert stranger.get("/_emulator/nothing").status_code == 404
    assert stranger.delete("/_emulator/log").status_code == 405
    assert gemini.counters()["calls"] == {} and gemini.log() == []


def test_log_and_counters_tell_what_happened_until_a_reset(gemini: GeminiEmulator, raw: httpx2.Client) -> None:
    raw.post(f"{BASE}:generateContent", json=HELLO)
    raw.post(f"{BASE}:generateContent", json={})
    first, second = gemini.log()
    assert first["body"] == HELLO and first["finish"] == "STOP" and first["text"].startswith("Hello!")
    assert (first["status"], second["status"]) == (200, 400)
    assert gemini.log(since=first["seq"]) == [second]
    counters = gemini.counters()
    assert counters["calls"] == {"generateContent": 2} and counters["statuses"] == {"200": 1, "400": 1}
    assert counters["tokens"]["promptTokenCount"] == first["usage"]["promptTokenCount"]
    gemini.settings(chunk_tokens=1)
    gemini.reset()
    assert gemini.log() == [] and gemini.settings()["chunk_tokens"] == Settings().chunk_tokens


def test_streams_run_side_by_side(gemini: GeminiEmulator) -> None:
    gemini.script([{"text": "x" * 200, "chunk_delay": 0.01}])
    results: list[str] = []

    def ask() -> None:
        with httpx2.Client(base_url=gemini.url, headers={"x-goog-api-key": gemini.key}, timeout=20) as http:
            results.append(http.post(f"{BASE}:streamGenerateContent?alt=sse", json=HELLO).text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and sum("xxxx" in result for result in results) == 1


def test_emulators_start_and_stop_one_after_another() -> None:
    urls = set()
    for _ in range(3):
        with GeminiEmulator(script="turns: [{text: scripted, repeat: true}]") as emulator:
            urls.add(emulator.url)
            answer = httpx2.post(f"{emulator.url}{BASE}:generateContent?key={emulator.key}", json=HELLO).json()
            assert answer["candidates"][0]["content"]["parts"][0]["text"] == "scripted"
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(emulator.url)
    assert urls


def test_the_command_refuses_a_wrong_option(tmp_path: Any) -> None:
    app = Typer()
    app.command()(command)
    script = tmp_path / "script.yaml"
    script.write_text("turns: [{txt: hi}]")
    wrong = CliRunner().invoke(app, ["--script", str(script)])
    assert wrong.exit_code == 2 and "txt" in wrong.output
    slow = CliRunner().invoke(app, ["--latency", "slow"])
    assert slow.exit_code == 2 and "zero" in slow.output


def test_the_command_says_why_it_cannot_listen(gemini: GeminiEmulator) -> None:
    app = Typer()
    app.command()(command)
    port = gemini.url.rpartition(":")[2]
    refused = CliRunner().invoke(app, ["--port", port])
    assert refused.exit_code == 1
    assert refused.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
