"""Short messages and calls to duty telephones, through an HTTP gateway of this installation.

The gateway gets ``{"id", "kind", "to", "text": {"kk", "ru"}}``, signed as notices are (Standard Webhooks),
and does a repeat under the same id once. What it says aloud or writes has no content.
"""

import base64
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from notifier.adapters.webhook import Webhook
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

TEXT = {
    "sms": {
        "kk": "Dabyl: сізге хабарлама бар. Жүйеге кіріңіз: {link}",
        "ru": "Dabyl: вас ждёт сообщение. Войдите в систему: {link}",
    },
    "voice": {
        "kk": "Бұл Dabyl жүйесі. Сізге шұғыл хабарлама бар. Жүйеге кіріңіз.",
        "ru": "Это система Dabyl. Вас ждёт срочное сообщение. Войдите в систему.",
    },
}

TEST_TEXT = {
    "sms": {
        "kk": "Dabyl: бұл — сынақ хабарлама, ештеңе істеудің қажеті жоқ.",
        "ru": "Dabyl: это проверка связи, делать ничего не нужно.",
    },
    "voice": {
        "kk": "Бұл Dabyl жүйесі. Бұл — байланысты тексеру, ештеңе істеудің қажеті жоқ.",
        "ru": "Это система Dabyl. Это проверка связи, делать ничего не нужно.",
    },
}
"""Whoever is rung by a test must not go and look for a child."""


class Gateway:
    """A channel for telephones.

    Args:
        url: the gateway's door.
        key: what our requests to it are signed with.
        link: what a short message leads to.
    """

    def __init__(self, kind: str, http: Webhook, *, url: str, key: bytes, link: str) -> None:
        self._kind = kind
        self._http = http
        self._url = url
        self._key = key
        self._test_text = TEST_TEXT[kind]
        self._text = {language: text.format(link=link) for language, text in TEXT[kind].items()}

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """Ask the gateway once. 410 means that this telephone will never be reached."""
        form, _, number = parcel.url.partition(":")
        if form != "tel" or not (number.startswith("+") and number[1:].isdigit()):
            return Answer(Outcome.UNSENDABLE)
        text = self._test_text if parcel.is_test else self._text
        asked = {"id": str(parcel.delivery_id), "kind": self._kind, "to": number, "text": text}
        body = json.dumps(asked, ensure_ascii=False).encode()
        return await self._http.send(replace(parcel, url=self._url, body=body, keys=(self._key,)), now=now)

    async def close(self) -> None:
        """Give connections back."""
        await self._http.close()


def make_sms(outfit: Outfit) -> Gateway | None:
    """The plug-in ``sms``."""
    return _make("sms", outfit)


def make_voice(outfit: Outfit) -> Gateway | None:
    """The plug-in ``voice``."""
    return _make("voice", outfit)


def _make(kind: str, outfit: Outfit) -> Gateway | None:
    url, file = outfit.settings.get(f"{kind}_url"), outfit.settings.get("gateway_key_file")
    if not url or not file:
        return None
    secret = Path(file).read_text("utf-8").strip().removeprefix("whsec_")
    link = f"{str(outfit.settings['public_url']).rstrip('/')}/console"
    key = base64.b64decode(secret, validate=True)
    return Gateway(kind, Webhook(allowed=outfit.allowed), url=str(url), key=key, link=link)
