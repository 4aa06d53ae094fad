"""Mail that says that something waits, and nothing else: for bodies whose only system is a mailbox.

Sent through the relay of this installation, over TLS. A 250 is proof of sending; it is not repeated by
itself. The client is our own because of what it caps: replies by lines and bytes, and the whole attempt
by time, so that a relay that drips or floods costs one attempt.
"""

import asyncio
import base64
import contextlib
import hmac
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID

from notifier.domain.bounce import UNKNOWN_MAILBOX
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

KIND = "smtp"
MAX_LINE = 1024
MAX_LINES = 64

SUBJECT = "Dabyl: хабарлама бар / есть сообщение"
TEXT = """\
Сізге Dabyl жүйесінде хабарлама бар. Мазмұны хатта жазылмайды.
Жүйеге кіріңіз: {link}

Вас ждёт сообщение в системе Dabyl. Содержание в письме не пишут.
Войдите в систему: {link}
"""

TEST_SUBJECT = "Dabyl: байланысты тексеру / проверка связи"
TEST_TEXT = """\
Бұл — Dabyl жүйесінің сынақ хаты. Ештеңе істеудің қажеті жоқ.

Это проверочное письмо системы Dabyl. Делать ничего не нужно.
"""


@dataclass(frozen=True)
class Relay:
    """Where mail is handed over.

    Attributes:
        tls: ``starttls`` or ``tls``; ``none`` is for a relay on this machine.
        sender: address in From.
        return_path: address that bounces come back to; the delivery is added to its local part.
        link: what the mail leads to.
    """

    host: str
    port: int
    tls: str
    sender: str
    return_path: str
    link: str
    user: str | None = None
    password: str | None = None


class RelayRefused(Exception):
    """The relay said something else than what goes on.

    Args:
        is_of_recipient: it was the answer to the recipient's address.
    """

    def __init__(self, code: int, text: str, *, is_of_recipient: bool = False) -> None:
        super().__init__(str(code))
        self.code = code
        self.text = text
        self.is_of_recipient = is_of_recipient


class Mail:
    """The channel ``smtp``.

    Args:
        key: makes the return path of a delivery one that nobody can guess.
        trust: whose certificates are believed; tests hand in their own.
    """

    def __init__(self, relay: Relay, *, key: bytes, trust: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._key = key
        self._trust = trust or ssl.create_default_context()

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """Hand one mail over; what the relay says is an outcome."""
        recipient = parcel.url.removeprefix("mailto:")
        if (
            not recipient.isascii()
            or any(letter in recipient for letter in "\r\n <>")
            or "@" not in recipient
        ):
            return Answer(Outcome.UNSENDABLE)
        talk = _Talk(self._relay, self._trust)
        try:
            async with asyncio.timeout(parcel.timeout.total_seconds()):
                await talk.begin()
                code = await talk.hand_over(
                    return_path(self._relay.return_path, self._key, parcel.delivery_id),
                    recipient,
                    compose(self._relay, parcel, recipient, now=now),
                )
        except RelayRefused as refusal:
            return Answer(judge(refusal), refusal.code)
        except (OSError, TimeoutError, EOFError, ValueError, ssl.SSLError):
            return Answer(Outcome.NO_ANSWER if talk.is_sent else Outcome.UNREACHABLE)
        finally:
            talk.end()
        return Answer(Outcome.ACCEPTED, code)

    async def close(self) -> None:
        """Nothing is kept open between mails."""


def make(outfit: Outfit) -> Mail | None:
    """The plug-in ``smtp``; without a relay there is none."""
    given = outfit.settings
    if not given.get("smtp_host"):
        return None
    file = given.get("smtp_password_file")
    sender = str(given["smtp_sender"])
    relay = Relay(
        host=str(given["smtp_host"]),
        port=int(given["smtp_port"]),
        tls=str(given["smtp_tls"]),
        sender=sender,
        return_path=str(given.get("smtp_return_path") or sender),
        link=f"{str(given['public_url']).rstrip('/')}/console",
        user=given.get("smtp_user"),
        password=Path(file).read_text("utf-8").strip() if file else None,
    )
    return Mail(relay, key=outfit.secret)


def compose(relay: Relay, parcel: Parcel, recipient: str, *, now: datetime) -> bytes:
    """The mail: equal for every repeat but for its date, and empty of everything that the notice says."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = relay.sender
    mail["To"] = recipient
    mail["Subject"] = TEST_SUBJECT if parcel.is_test else SUBJECT
    mail["Date"] = format_datetime(now)
    # Stable: a mail that came twice after a lost answer is shown once by most programs.
    mail["Message-ID"] = f"<{parcel.delivery_id}@{relay.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail.set_content(TEST_TEXT if parcel.is_test else TEXT.format(link=relay.link), cte="base64")
    return mail.as_bytes()


def return_path(address: str, key: bytes, delivery_id: UUID) -> str:
    """Where a bounce of this delivery comes back to (VERP); only we can make one."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{delivery_id.hex}-{_tag(key, delivery_id)}@{domain}"


def delivery_of(address: str, key: bytes) -> UUID | None:
    """The delivery that a return path was made for; ``None`` when it is none of ours."""
    mark = address.rpartition("@")[0].rpartition("+")[2]
    number, _, tag = mark.partition("-")
    try:
        delivery_id = UUID(hex=number)
    except ValueError:
        return None
    return delivery_id if hmac.compare_digest(tag.encode(), _tag(key, delivery_id).encode()) else None


def _tag(key: bytes, delivery_id: UUID) -> str:
    # Lower case and short: mail systems fold case, and a local part has 64 characters at most.
    return hmac.digest(key, b"return-path|" + delivery_id.bytes, "sha256").hex()[:20]


def judge(refusal: RelayRefused) -> Outcome:
    """What a refusal means: 4xx passes (greylisting), an unknown mailbox stays, all else may be policy.

    Only what is said of the recipient, and says that there is no such mailbox, ends the delivery: a relay
    that will not take mail from us says 550 as well.
    """
    if refusal.code < 500:
        return Outcome.THROTTLED
    is_unknown = refusal.text.split(" ", 1)[0] in UNKNOWN_MAILBOX
    return Outcome.GONE if is_unknown and refusal.is_of_recipient else Outcome.REFUSED


class _Talk:
    """One conversation with a relay (RFC 5321)."""

    def __init__(self, relay: Relay, trust: ssl.SSLContext) -> None:
        self._relay = relay
        self._trust = trust
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.is_sent = False

    async def begin(self) -> None:
        """Connect, greet, encrypt, sign in."""
        relay = self._relay
        context = self._trust if relay.tls == "tls" else None
        self._reader, self._writer = await asyncio.open_connection(
            relay.host, relay.port, ssl=context, limit=MAX_LINE
        )
        await self._expect(220)
        able = await self._say("EHLO dabyl", 250)
        if relay.tls == "starttls":
            if "STARTTLS" not in able.upper().split("\n"):
                raise ConnectionError  # never in the clear because somebody took the word out
            await self._say("STARTTLS", 220)
            await self._writer.start_tls(self._trust, server_hostname=relay.host)
            await self._hear_nothing()
            await self._say("EHLO dabyl", 250)
        if relay.user is not None:
            proof = base64.b64encode(f"\0{relay.user}\0{relay.password or ''}".encode()).decode()
            await self._say(f"AUTH PLAIN {proof}", 235)

    async def hand_over(self, sender: str, recipient: str, mail: bytes) -> int:
        """The mail itself; returns the relay's code."""
        if self._writer is None:
            raise ConnectionError
        await self._say(f"MAIL FROM:<{sender}>", 250)
        try:
            await self._say(f"RCPT TO:<{recipient}>", 250, 251)
        except RelayRefused as refusal:
            raise RelayRefused(refusal.code, refusal.text, is_of_recipient=True) from None
        await self._say("DATA", 354)
        self.is_sent = True
        stuffed = mail.replace(b"\r\n.", b"\r\n..")
        self._writer.write(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        await self._writer.drain()
        code, _ = await self._expect(250)
        return code

    def end(self) -> None:
        """Leave without waiting for a farewell."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _say(self, line: str, *wanted: int) -> str:
        if self._writer is None:
            raise ConnectionError
        self._writer.write(line.encode() + b"\r\n")
        await self._writer.drain()
        return (await self._expect(*wanted))[1]

    async def _hear_nothing(self) -> None:
        """A relay now waits for us: what is there already was slipped in before the handshake, in the clear.

        Read as replies it would make a mail of one that nobody took.
        """
        if self._reader is None:
            raise ConnectionError
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await self._reader.read(1)
            raise ConnectionError

    async def _expect(self, *wanted: int) -> tuple[int, str]:
        """A reply of at most ``MAX_LINES`` lines; its code and its lines without it."""
        if self._reader is None:
            raise ConnectionError
        said: list[str] = []
        for _ in range(MAX_LINES):
            # A line that is too long raises ValueError: no relay, and nothing to talk to.
            line = (await self._reader.readuntil(b"\n")).decode("ascii", "replace").rstrip()
            code, goes_on, text = int(line[:3]), line[3:4] == "-", line[4:]
            said.append(text)
            if not goes_on:
                if code not in wanted:
                    raise RelayRefused(code, said[0])
                return code, "\n".join(said)
        raise ValueError("an endless reply")
