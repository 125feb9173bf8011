"""Letters of the real program arrive at real SMTP servers, however those behave: deliver.py PROGRAM FOLDER [TEST…]."""

import logging
import os
import re
import sys
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import trustme

from servers import USER, Keywheel, MailServer, end_all, free_port

# That a test server asks for a password inside of TLS from the first byte on is not known to it.
warnings.simplefilter("ignore")
logging.disable()

PROGRAM, FOLDER, *CHOSEN = sys.argv[1:]
SUBJECT = "A copy of your sign-in was used"
AUTHORITY = trustme.CA()
CA_FILE = os.path.join(FOLDER, "ca.pem")
AUTHORITY.cert_pem.write_to_path(CA_FILE)
LOGIN = f"{quote(USER[0], safe='')}:{quote(USER[1], safe='')}@"


def keywheel(name, smtp_url, **settings):
    return Keywheel(PROGRAM, os.path.join(FOLDER, name), smtp_url, **settings)


def until(condition, seconds=30):
    """Waits for something to be so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def arrives(mail, seconds=30):
    until(lambda: mail.messages(SUBJECT), seconds)
    time.sleep(1)
    [message] = mail.messages(SUBJECT)
    return message


def quiet(server, *addresses):
    """The log at its most talkative has neither an address, nor a word of a letter, nor the password."""
    log = "".join(server.log)
    for secret in [*addresses, USER[1], LOGIN, "Käsewelt", SUBJECT, "was used a second time"]:
        assert secret not in log, [line for line in server.log if secret in line][:1]


def plain():
    """In clear text on the machine itself, with everything that a message needs."""
    with MailServer() as mail:
        server = keywheel("plain", f"smtp://127.0.0.1:{mail.port}", REPLY_TO="Help <help@example.com>")
        assert server.steal("alice@example.com") < 2
        message = arrives(mail)
        envelope = mail.taken[-1]
        assert (envelope.mail_from, envelope.rcpt_tos) == ("auth@example.com", ["alice@example.com"])
        assert mail.greetings[0] == "auth.example.com"
        assert str(message["from"]) == "Käsewelt <auth@example.com>", message["from"]
        assert str(message["to"]) == "alice@example.com" and message["reply-to"] == "Help <help@example.com>"
        assert message["auto-submitted"] == "auto-generated"
        assert re.fullmatch(r"<ltr_[0-9a-f]{32}@auth\.example\.com>", message["message-id"]), message["message-id"]
        assert message["date"].datetime.tzinfo and message["mime-version"] == "1.0"
        assert message.get_content_type() == "multipart/alternative" and not message.defects
        text, html = (part.get_content() for part in message.iter_parts())
        for part in (text, html):
            assert "Käsewelt" in part and "Python" not in part and "Unknown device, 127.0.0.1" in part, part
            assert "evil.example" not in part and "kwr_" not in part
        assert "<h1" in html and "http" not in html.replace("https://auth.example.com", ""), "nothing is loaded"
        assert server.terminate() == 0
        quiet(server, "alice@example.com")


def starttls():
    """After STARTTLS, with user and password."""
    with MailServer(tls="starttls", authority=AUTHORITY, login=True) as mail:
        server = keywheel("starttls", f"smtp://{LOGIN}localhost:{mail.port}?tls=starttls", CA_FILE=CA_FILE)
        server.steal("alice@example.com")
        arrives(mail)
        assert mail.logins[0] == (*USER, True), mail.logins
        assert server.terminate() == 0
        quiet(server, "alice@example.com")


def wrapped():
    """TLS from the first byte on, with user and password."""
    with MailServer(tls="wrapped", authority=AUTHORITY, login=True) as mail:
        server = keywheel("wrapped", f"smtps://{LOGIN}localhost:{mail.port}", CA_FILE=CA_FILE)
        server.steal("alice@example.com")
        arrives(mail)
        assert mail.logins[0][:2] == USER, mail.logins
        assert server.terminate() == 0


def untrusted():
    """A server that anybody could have put there gets neither the letter nor the password."""
    other = trustme.CA()
    wrong_ca = os.path.join(FOLDER, "other.pem")
    other.cert_pem.write_to_path(wrong_ca)
    with MailServer(tls="wrapped", authority=AUTHORITY, login=True) as mail:
        for name, settings in [("stranger", {}), ("other", {"CA_FILE": wrong_ca})]:
            server = keywheel(name, f"smtps://{LOGIN}localhost:{mail.port}", **settings)
            server.steal("alice@example.com")
            why = server.hears("a letter could not be sent yet")["why"]
            assert "certificate" in why, why
            assert server.terminate() == 0
            quiet(server, "alice@example.com")
        assert not mail.offered and not mail.logins


def downgraded():
    """Somebody in between takes STARTTLS out of what the server offers."""
    with MailServer() as mail:
        server = keywheel("downgraded", f"smtp://{LOGIN}localhost:{mail.port}?tls=starttls", CA_FILE=CA_FILE)
        server.steal("alice@example.com")
        why = server.hears("a letter could not be sent yet")["why"]
        assert not mail.offered and not mail.logins, why
        assert server.terminate() == 0


def wrong_password():
    """A password that the server does not take is the operator's to put right: the letter waits."""
    with MailServer(tls="wrapped", authority=AUTHORITY, login=True) as mail:
        server = keywheel("wrong-password", f"smtps://{quote(USER[0])}:wrong@localhost:{mail.port}", CA_FILE=CA_FILE)
        server.steal("alice@example.com")
        assert server.hears("a letter could not be sent yet")["why"].startswith("535")
        server.terminate()
        server.settings["SMTP_URL"] = f"smtps://{LOGIN}localhost:{mail.port}"
        server.start()
        arrives(mail, 60)
        server.terminate()


def later():
    """A server that takes the letter at the second try gets it then."""
    with MailServer(replies=["451 4.7.1 <alice@example.com> come back later"]) as mail:
        server = keywheel("later", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        assert server.hears("a letter could not be sent yet")["why"] == "451 4.7.1"
        arrives(mail, 60)
        assert len({message["message-id"] for message in mail.messages(SUBJECT)}) == 1
        server.terminate()
        quiet(server, "alice@example.com")


def refused():
    """A server that does not want the letter is left alone."""
    with MailServer(replies=["550 5.1.1 <alice@example.com>: no such mailbox"]) as mail:
        server = keywheel("refused", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        assert server.hears("a letter was given up")["why"] == "550 5.1.1"
        assert server.hears("happened")["action"] == "mail.given_up"
        time.sleep(20)
        assert len(mail.offered) == 1 and not mail.taken
        server.terminate()
        quiet(server, "alice@example.com")


def down():
    """A server that is away for a while gets the letter once when it is back."""
    port = free_port()
    server = keywheel("down", f"smtp://127.0.0.1:{port}")
    assert server.steal("alice@example.com") < 2, "nobody waits for mail"
    server.hears("a letter could not be sent yet")
    with MailServer(port=port) as mail:
        arrives(mail, 60)
        server.terminate()


def killed():
    """The program is killed in the middle of a message: the next one sends it, under the same name."""
    with MailServer(replies=["hang"]) as mail:
        server = keywheel("killed", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        until(lambda: mail.offered)
        server.kill()
        server.start()
        message = arrives(mail, 150)
        assert message["message-id"].encode() in mail.offered[0].content
        server.terminate()


def stopped():
    """A program that is told to stop finishes the message that is on its way."""
    with MailServer(slow=2) as mail:
        server = keywheel("stopped", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        until(lambda: mail.offered)
        assert server.terminate() == 0
        server.start()
        arrives(mail)
        server.terminate()


def thorough():
    """A server that looks at a message for long before it takes it gets it once."""
    with MailServer(slow=45) as mail:
        server = keywheel("thorough", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        until(lambda: mail.taken, 90)
        time.sleep(20)
        assert len(mail.offered) == 1
        server.terminate()
        quiet(server, "alice@example.com")


def slow():
    """One message that takes for ever keeps neither the others nor the end of the program."""
    with MailServer(replies=["hang"]) as mail:
        server = keywheel("slow", f"smtp://127.0.0.1:{mail.port}")
        server.steal("alice@example.com")
        until(lambda: mail.offered)
        server.steal("bob@example.com")
        assert arrives(mail)["to"] == "bob@example.com"
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 10


def run(test):
    begin = time.monotonic()
    try:
        test()
    except Exception:
        return f"FAILED {test.__name__}: {test.__doc__}\n{traceback.format_exc()}", False
    return f"ok  {test.__name__:15} {time.monotonic() - begin:4.0f} s  {test.__doc__}", True


TESTS = [
    plain, starttls, wrapped, untrusted, downgraded, wrong_password, later, refused, down, killed, stopped, thorough, slow,
]
TESTS = [test for test in TESTS if not CHOSEN or test.__name__ in CHOSEN]
with ThreadPoolExecutor(len(TESTS)) as pool:
    results = list(pool.map(run, TESTS))
for text, _ in results:
    print(text)
failed = sum(not good for _, good in results)
print(f"{len(results) - failed} passed, {failed} failed")
sys.stdout.flush()
end_all()
os._exit(1 if failed else 0)
