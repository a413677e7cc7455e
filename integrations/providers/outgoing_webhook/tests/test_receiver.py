"""The receiver of docs/webhooks-out.md, run as it stands there."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from integrations.providers.base import ProviderError
from integrations.providers.chat import Message
from integrations.providers.outgoing_webhook.provider import OutgoingWebhook

DOCUMENT = Path(__file__).resolve().parents[4] / "docs/webhooks-out.md"
SOURCE = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
SECRET = "whsec_bmV3ZXN0LW5ld2VzdC1uZXdlc3Q="


def event(sequence: int) -> Message:
    release = {"id": "rel_1", "version": "1.5.0", "status": f"S{sequence}"}
    return Message(text="", event="x.y", data={"sequence": sequence, "release": release})


def test_the_receiver_takes_each_event_once_and_no_older_one(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    monkeypatch.setenv("DELIVR_SECRET", SECRET)
    monkeypatch.setenv("RECEIVER_DB", str(tmp_path / "receiver.db"))
    assert SOURCE is not None
    program: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(SOURCE[1], str(DOCUMENT), "exec"), program)  # noqa: S102 # ours
    monkeypatch.setattr(program["Handler"], "log_message", lambda *_: None)
    handled: list[str] = []

    def handle(told: Any) -> None:
        if told["data"]["sequence"] == 9 and not handled.count("broken"):
            handled.append("broken")
            raise RuntimeError("not now")
        handled.append(told["data"]["release"]["status"])

    program["handle"] = handle
    server = program["serve"](0)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"

        def send(message: Message, message_id: str, *, secret: str = SECRET) -> str:
            endpoint = OutgoingWebhook(url=url, secrets=[secret])
            endpoint.post(channel="", message=message, correlation=message_id)
            assert endpoint.sent is not None
            return endpoint.sent.answer

        assert send(event(2), "eff_2") == "taken"
        assert send(event(2), "eff_2") == "a repeat"
        assert send(event(1), "eff_1") == "older than what is known"
        with pytest.raises(ProviderError):
            send(event(9), "eff_9")
        assert send(event(9), "eff_9") == "taken"
        assert send(Message(text="", event="test", data={}), "eff_t") == "nothing to do"
        with pytest.raises(ProviderError):
            send(event(10), "eff_10", secret="whsec_b3RoZXItb3RoZXItb3RoZXI=")
        assert handled == ["S2", "broken", "S9"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
