"""Slack, PagerDuty and e-mail. One that does not take a message in time raises ReceiverUnavailable."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from instrument_cache.alerts.model import Alert, Kind
from instrument_cache.errors import SettingsError, Unavailable

_TIMEOUT_S: Final = 5.0
# By what PagerDuty calls them.
_SEVERITIES: Final = {1: "critical", 2: "error", 3: "warning"}


class ReceiverUnavailable(Unavailable):
    """A receiver of alerts did not take one."""


class Receiver(Protocol):
    """Where a message goes. `name` tells it from the others in settings and logs."""

    name: str

    def send(self, alert: Alert) -> None:
        """Raises ReceiverUnavailable."""
        ...


class Slack:
    """An incoming webhook."""

    name = "slack"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, alert: Alert) -> None:
        _post(self.name, self._url, {"text": _slack_text(alert.text)})


class PagerDuty:
    """The events API, version 2: one incident for an operation, resolved by its key."""

    name = "pagerduty"

    def __init__(self, url: str, routing_key: str) -> None:
        self._url, self._routing_key = url, routing_key

    def send(self, alert: Alert) -> None:
        action = "resolve" if alert.kind is Kind.RESOLVED else "trigger"
        event: dict[str, Any] = {
            "routing_key": self._routing_key,
            "event_action": action,
            "dedup_key": alert.incident,
            "payload": {
                "summary": f"{alert.title}. {alert.sentence}"[:1024],
                "source": f"instrument-cache.{alert.dataset}",
                "severity": _SEVERITIES[alert.tier],
                "component": alert.operation,
                "custom_details": {"run_id": alert.run_id, "runbook": alert.runbook},
            },
        }
        if alert.url:
            event["links"] = [{"href": alert.url, "text": "The run in Airflow"}]
        _post(self.name, self._url, event)


class Mail:
    """`smtp://[user:password@]host[:port]`, or `smtps://` with TLS from the beginning; STARTTLS where it is offered."""

    name = "mail"

    def __init__(self, url: str, sender: str, recipients: str) -> None:
        """`recipients` are separated by commas. Raises SettingsError for an address that is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise SettingsError("ICACHE_ALERT_SMTP_URL must be smtp:// or smtps:// with a host")
        self._parts, self._sender, self._recipients = parts, sender, recipients

    def send(self, alert: Alert) -> None:
        try:
            with self._connected() as server:
                server.send_message(self._message(alert))
        except (OSError, smtplib.SMTPException) as error:
            raise ReceiverUnavailable(f"the mail server {self._parts.hostname} took no message: {error}") from error

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = alert.title, self._sender, self._recipients
        # Mail programs show what belongs together as one conversation.
        message["References"] = f"<{alert.incident}@instrument-cache>"
        message.set_content(alert.text)
        return message

    def _connected(self) -> smtplib.SMTP:
        host, port = str(self._parts.hostname), self._parts.port or 0
        if self._parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_S)
        else:
            server = smtplib.SMTP(host, port, timeout=_TIMEOUT_S)
            if server.has_extn("starttls") or (server.ehlo()[0] == 250 and server.has_extn("starttls")):
                server.starttls(context=ssl.create_default_context())
        if self._parts.username:
            server.login(unquote(self._parts.username), unquote(self._parts.password or ""))
        return server


def _post(name: str, url: str, body: dict[str, Any]) -> None:
    """Addresses are secrets, so errors name only the receiver."""
    try:
        answer = httpx.post(url, json=body, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ReceiverUnavailable(f"{name} took no message: {type(error).__name__}") from None
    if not answer.is_success:
        raise ReceiverUnavailable(f"{name} took no message: HTTP status {answer.status_code}")


def _slack_text(text: str) -> str:
    """Without Slack's own markup: what was rejected must not ring everybody (`<!channel>`)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
