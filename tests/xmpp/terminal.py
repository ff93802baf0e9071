"""Clients of the terminal: Profanity, for people, and go-sendxmpp, for scripts. A slixmpp client is the other side."""

import asyncio
import contextlib
import os
import re
import subprocess
import tempfile
import time
import uuid

from client import PASSWORD, PATIENCE, run

# A client that was forgotten, because the test was killed, ends by itself after so many seconds.
LONGEST = "120"


class Terminal:
    """Profanity in a terminal of its own, with a home of its own: nobody's settings and nobody's tmux have a part in it."""

    def __init__(self, home):
        self.home = home
        self.environment = {"HOME": home, "TMUX_TMPDIR": home, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def tmux(self, *what):
        command = ["tmux", "-L", "profanity", "-f", "/dev/null", *what]
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def start(self):
        started = self.tmux("new-session", "-d", "-x", "160", "-y", "50", "timeout", "--foreground", LONGEST, "profanity")
        assert started.returncode == 0, started.stderr

    def end(self):
        self.tmux("kill-server")

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout

    async def shows(self, pattern):
        """Waits until the screen shows it; answers the line."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            found = next((line for line in screen.splitlines() if re.search(pattern, line)), None)
            if found is not None:
                return found
            assert time.monotonic() < deadline, f"Profanity never showed `{pattern}`, but:\n{screen}"
            await asyncio.sleep(0.1)

    def types(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    async def signs_in(self, server, name, tls):
        await self.shows("to show complete help")
        self.types(f"/connect {server.jid(name)} server {server.host} port {server.port} tls {tls}")
        await self.shows("Enter password:")
        self.types(PASSWORD)
        await self.shows(f"{server.jid(name)}/.* logged in successfully")

    async def joins(self, room, nick):
        self.types(f"/join {room} nick {nick}")
        await self.shows(f"You have joined the room as {nick}")


@contextlib.contextmanager
def profanity():
    with tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True) as home:
        terminal = Terminal(home)
        try:
            terminal.start()
            yield terminal
        finally:
            terminal.end()


def a_room(server, name):
    return server.room(f"{name}-{uuid.uuid4().hex[:8]}")


async def profanity_talks_in_a_room(server):
    bo = await server.client("bo")
    room = a_room(server, "terminal")
    await bo.join(room, "bo")
    await bo.say(room, "before anybody came")
    with profanity() as ana:
        await ana.signs_in(server, "ana", tls="disable")
        await ana.joins(room, "ana")
        await ana.shows("bo: before anybody came")
        await bo.until("ana's presence", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "available")
        for number in range(3):
            ana.types(f"line {number} of ana, with ä and €")
            heard = await bo.heard(room, f"line {number} of ana, with ä and €")
            assert heard["from"] == f"{room}/ana"
            await bo.say(room, f"answer {number} of bo, with ö and <b>")
            await ana.shows(f"bo: answer {number} of bo, with ö and <b>")
        lines = [line for line in ana.screen().splitlines() if re.search(r" of (ana|bo), with ", line)]
        said = [re.search(r"(ana|bo): (line|answer) (\d)", line).groups() for line in lines]
        assert said == [turn for n in "012" for turn in (("ana", "line", n), ("bo", "answer", n))], ana.screen()
        ana.types("/close")
        await bo.until("ana's end", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "unavailable")


async def profanity_corrects_itself(server):
    bo = await server.client("bo")
    room = a_room(server, "terminal")
    await bo.join(room, "bo")
    with profanity() as ana:
        await ana.signs_in(server, "ana", tls="disable")
        ana.types("/correction on")
        await ana.joins(room, "ana")
        ana.types("tea at fuor")
        first = await bo.heard(room, "tea at fuor")
        await ana.shows("ana: tea at fuor")
        ana.types("/correct tea at four")
        better = await bo.heard(room, "tea at four")
        assert better["replace"]["id"] == first["id"]
        said = await bo.say(room, "and caek")
        await ana.shows("bo: and caek")
        correction = bo.make_message(mto=room, mbody="and cake", mtype="groupchat")
        correction["replace"]["id"] = said["id"]
        correction.send()
        await ana.shows("bo: and cake")


async def profanity_over_tls(server):
    bo = await server.client("bo")
    with profanity() as ana:
        # The server made its certificate itself, for trying out.
        await ana.signs_in(server, "ana", tls="trust")
        ana.types("/tls cert")
        await ana.shows("Fingerprint")
        text = f"hello {uuid.uuid4()}"
        ana.types(f"/msg {server.jid('bo')} {text}")
        got = await bo.until("a message", lambda s: s.name == "message" and s["body"] == text)
        assert got["from"].bare == server.jid("ana")
        bo.make_message(mto=got["from"], mbody="hello yourself", mtype="chat").send()
        await ana.shows("hello yourself")


async def go_sendxmpp_says_something_in_a_room(server):
    bo = await server.client("bo")
    room = a_room(server, "script")
    await bo.join(room, "bo")
    # It ends the line of its sign-in, and begins its stream anew after that; the certificate is one for trying out.
    where = ["-u", server.jid("ana"), "-p", PASSWORD, "-j", f"{server.host}:{server.port}", "--no-tls-verify"]
    pipe = asyncio.subprocess.PIPE
    with tempfile.TemporaryDirectory(prefix="holdfast-") as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        command = ["timeout", LONGEST, "go-sendxmpp", *where, "--chatroom", "--alias", "ana", room]
        sends = await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
        _, trouble = await asyncio.wait_for(sends.communicate("the build is red, ä\n".encode()), PATIENCE)
        assert sends.returncode == 0, trouble.decode()
    heard = await bo.until("what the script says", lambda s: s.name == "message" and s["from"].bare == room and s["body"].strip() == "the build is red, ä")
    assert heard["from"] == f"{room}/ana"


run({f.__name__: f for f in (
    profanity_talks_in_a_room, profanity_corrects_itself, profanity_over_tls,
    go_sendxmpp_says_something_in_a_room,
)})
