"""What the tests talk to: SMTP servers that do as they are told, and the program that is tested."""

import asyncio
import contextlib
import json
import os
import queue
import random
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

SECRET = "72jFnRVCB2p4hKnXuNGr2j" + "uim707q42ysLqF8ZfJ25Q="  # In two pieces, so that nobody copies one that works.
PASSWORD = "correct horse battery staple"
WELCOME = "Confirm your email address"
USER = ("key:wheel@example.com", "p@ss/w%rd")


def free_port():
    """Below those that the system hands out by itself, so that nobody else gets it meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class MailServer:
    """An SMTP server. `replies` are what it says to the next messages; then it takes every one."""

    def __init__(self, port=None, replies=(), authority=None, tls=None, login=False, slow=0):
        self.port = port or free_port()
        self.replies = list(replies)
        self.slow = slow
        self.offered = []
        self.taken = []
        self.logins = []
        self.greetings = []
        options = {}
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("localhost").configure_cert(context)
            options["ssl_context" if tls == "wrapped" else "tls_context"] = context
            options["require_starttls"] = tls == "starttls"
        if login:
            options |= {"auth_required": True, "authenticator": self.authenticate, "auth_require_tls": tls != "wrapped"}
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop(no_assert=True)

    def authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode(), session.ssl is not None))
        return AuthResult(success=(data.login.decode(), data.password.decode()) == USER, handled=False)

    async def handle_EHLO(self, server: SMTP, session, envelope, hostname, responses):
        session.host_name = hostname
        self.greetings.append(hostname)
        return responses

    async def handle_DATA(self, server, session, envelope):
        # Every new account gets this one, and no test is about it.
        if message_from_bytes(envelope.content, policy=policy.default)["subject"] == WELCOME:
            return "250 OK"
        self.offered.append(envelope)
        reply = self.replies.pop(0) if self.replies else "250 OK"
        if reply == "hang":
            await asyncio.sleep(3600)
        await asyncio.sleep(self.slow)
        if reply.startswith("250"):
            self.taken.append(envelope)
        return reply

    def messages(self, subject):
        read = [message_from_bytes(envelope.content, policy=policy.default) for envelope in self.taken]
        return [message for message in read if message["subject"] == subject]


PROCESSES = []


def end_all():
    """Nothing outlives the tests, however they end."""
    for process in PROCESSES:
        process.kill()


class Keywheel:
    """`keywheel serve` in a folder of its own, which it keeps when it is started again."""

    def __init__(self, program, folder, smtp_url, **settings):
        self.program = program
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.settings = {"SMTP_URL": smtp_url, "FROM": "Käsewelt <auth@example.com>"} | settings
        self.log = []
        self.start()

    def start(self):
        environment = {
            "KEYWHEEL_SECRET": SECRET,
            "KEYWHEEL_LISTEN": "127.0.0.1:0",
            "KEYWHEEL_PUBLIC_URL": "https://auth.example.com",
            "KEYWHEEL_PASSWORDS__MEMORY_KIB": "8",
            "KEYWHEEL_TOKENS__RACE_WINDOW_MS": "0",
            "KEYWHEEL_TOKENS__RETRY_WINDOW_MS": "0",
            "RUST_LOG": "trace",
        } | {f"KEYWHEEL_MAIL__{name}": value for name, value in self.settings.items()}
        command = [self.program, "serve", "--migrate"]
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True)
        PROCESSES.append(self.process)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True).start()
        self.address = self.hears("listening")["address"]

    def read(self, stream):
        for line in stream:
            self.log.append(line)
            self.lines.put(line)

    def hears(self, message, seconds=30):
        """The next line of the log with this message."""
        end = time.monotonic() + seconds
        while True:
            line = json.loads(self.lines.get(timeout=max(0.01, end - time.monotonic())))
            if line.get("message") == message:
                return line

    def graphql(self, query, variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"content-type": "application/json", "host": "evil.example", "x-forwarded-host": "evil.example"}
        request = urllib.request.Request(f"http://{self.address}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def steal(self, email):
        """Makes an account, and uses one refresh token twice; how long that took to be answered."""
        auth = "auth { accessToken refreshToken }"
        query = f"mutation ($i: RegisterInput!) {{ register(input: $i) {{ {auth} }} }}"
        answer = self.graphql(query, {"i": {"email": email, "password": PASSWORD}})
        token = answer["data"]["register"]["auth"]["refreshToken"]
        query = "mutation ($i: RefreshTokenInput) { refreshToken(input: $i) { refreshToken } }"
        assert "errors" not in self.graphql(query, {"i": {"refreshToken": token}})
        begin = time.monotonic()
        answer = self.graphql(query, {"i": {"refreshToken": token}})
        assert answer["errors"][0]["extensions"]["code"] == "REFRESH_TOKEN_REUSED", answer
        return time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
