"""A client for the tests: slixmpp with what every scenario needs."""

import asyncio
import contextlib
import http.cookiejar
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
import uuid

import aiohttp
import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET

PASSWORD = os.environ.get("HOLDFAST_PASSWORD", "correct horse")
PATIENCE = 15
MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"

PLUGINS = [
    "xep_0004", "xep_0030", "xep_0045", "xep_0048", "xep_0049", "xep_0050", "xep_0054", "xep_0059", "xep_0060",
    "xep_0085", "xep_0092", "xep_0115", "xep_0163", "xep_0191", "xep_0198", "xep_0199", "xep_0202", "xep_0203",
    "xep_0223", "xep_0249", "xep_0280", "xep_0297", "xep_0308", "xep_0313", "xep_0333", "xep_0334", "xep_0352",
    "xep_0359", "xep_0363", "xep_0402", "xep_0421", "xep_0424", "xep_0425", "xep_0428", "xep_0444", "xep_0461",
]


class Client(slixmpp.ClientXMPP):
    """One client of one person."""

    def __init__(self, server, name, resource="test", password=PASSWORD, without=(), tls=False, mechanism=None):
        super().__init__(f"{name}@{server.domain}/{resource}", password, sasl_mech=mechanism)
        self.where = server
        self.tls = tls
        for plugin in PLUGINS:
            if plugin not in without:
                self.register_plugin(plugin)
        self.auto_subscribe = False
        self.auto_authorize = None
        self.whitespace_keepalive = False
        self.seen = []
        self.changed = asyncio.Event()
        self.add_filter("in", self.note)
        self.ended = asyncio.get_event_loop().create_future()
        self.failed = asyncio.get_event_loop().create_future()
        self.add_event_handler("disconnected", lambda why: self.ended.done() or self.ended.set_result(why))
        self.add_event_handler("failed_auth", lambda why: self.failed.done() or self.failed.set_result(why))

    def note(self, stanza):
        if isinstance(stanza, (slixmpp.Message, slixmpp.Presence)):
            self.seen.append(stanza)
            self.changed.set()
        return stanza

    async def start(self, available=True):
        """Signs in; answers itself."""
        self.enable_direct_tls = False
        if self.tls:
            self.enable_starttls = True
            self.enable_plaintext = False
            self.ssl_context = ssl.create_default_context()
            self.ssl_context.check_hostname = False
            self.ssl_context.verify_mode = ssl.CERT_NONE
        else:
            self.enable_starttls = False
            self.enable_plaintext = True
            self["feature_mechanisms"].unencrypted_plain = True
            self["feature_mechanisms"].unencrypted_scram = True
        begun = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", lambda _: begun.done() or begun.set_result(True))
        self.connect(self.where.host, self.where.port)
        await asyncio.wait([begun, self.failed], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            raise AssertionError(f"{self.boundjid} could not sign in")
        if available:
            self.send_presence()
            await self.get_roster()
        await self.where.settle()
        return self

    async def stop(self):
        self.disconnect()
        await asyncio.wait([self.ended], timeout=PATIENCE)

    async def until(self, what, wanted, patience=PATIENCE):
        """Waits for a stanza that came, now or before, for which `wanted` is true; it is taken out."""
        async def find():
            while True:
                for stanza in self.seen:
                    if wanted(stanza):
                        self.seen.remove(stanza)
                        return stanza
                self.changed.clear()
                await self.changed.wait()
        try:
            return await asyncio.wait_for(find(), patience)
        except asyncio.TimeoutError:
            came = "\n  ".join(str(s) for s in self.seen[-20:])
            raise AssertionError(f"{self.boundjid} waited in vain for {what}; what came:\n  {came}") from None

    async def never(self, what, unwanted, moment=0.5):
        """Something does not come, as far as a moment tells."""
        await asyncio.sleep(moment)
        for stanza in self.seen:
            assert not unwanted(stanza), f"{self.boundjid} got {what}: {stanza}"

    async def join(self, room, nick, history="0", **more):
        """Enters a room; answers its own presence."""
        presence = self.make_presence(pto=f"{room}/{nick}")
        x = ET.SubElement(presence.xml, "{http://jabber.org/protocol/muc}x")
        asked = ET.SubElement(x, "{http://jabber.org/protocol/muc}history")
        asked.set("maxstanzas", history)
        for name, value in more.items():
            asked.set(name, value)
        presence.send()
        answer = await self.until(f"its presence in {room}", lambda s: s.name == "presence" and s["from"].bare == room
                                  and (s["type"] == "error" or "110" in codes(s)))
        await self.where.settle()
        return answer

    async def say(self, room, text, **more):
        """Says something in a room; answers it as it came back."""
        message = self.make_message(mto=room, mbody=text, mtype="groupchat")
        for child in more.pop("children", []):
            message.xml.append(child)
        message["id"] = more.get("id") or self.new_id()
        message.send()
        return await self.until(f"`{text[:40]}` to come back", lambda s: s.name == "message" and s["from"].bare == room
                                and s["id"] == message["id"] and s["type"] in ("groupchat", "error"))

    async def heard(self, room, text):
        return await self.until(f"`{text}` in {room}", lambda s: s.name == "message" and s["from"].bare == room
                                and s["body"] == text and s["type"] in ("groupchat", "error"))

    async def ask(self, to, payload, kind="get"):
        """Asks something; answers the payload of the answer, if there is any."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.xml.append(payload if isinstance(payload, ET.Element) else ET.fromstring(payload))
        answer = await iq.send(timeout=PATIENCE)
        await self.where.settle()
        return next(iter(answer.xml), None)

    async def refused(self, to, payload, kind="get"):
        """Asks something and is refused; answers with which word."""
        try:
            await self.ask(to, payload, kind)
        except IqError as error:
            return error.condition
        except IqTimeout:
            raise AssertionError("no answer at all") from None
        raise AssertionError("was not refused")


def results(client):
    """What an archive has told a client: (id, body, message) of each; they are taken out."""
    page = []
    for stanza in list(client.seen):
        result = stanza.xml.find("{urn:xmpp:mam:2}result")
        if result is not None:
            client.seen.remove(stanza)
            message = result.find("{urn:xmpp:forward:0}forwarded/{jabber:client}message")
            body = message.find("{jabber:client}body")
            page.append((result.get("id"), None if body is None else body.text, message))
    return page


def a_room(server, name):
    return server.room(f"{name}-{uuid.uuid4().hex[:8]}")


def mam(most=None, before=None, after=None, fields=(), flip=False):
    query = ET.Element(f"{{{MAM}}}query")
    query.set("queryid", "q")
    if fields:
        x = ET.SubElement(query, "{jabber:x:data}x")
        x.set("type", "submit")
        for var, value in [("FORM_TYPE", MAM), *fields]:
            field = ET.SubElement(x, "{jabber:x:data}field")
            field.set("var", var)
            for one in value if isinstance(value, list) else [value]:
                ET.SubElement(field, "{jabber:x:data}value").text = one
    page = ET.SubElement(query, f"{{{RSM}}}set")
    for name, value in (("max", most), ("before", before), ("after", after)):
        if value is not None:
            ET.SubElement(page, f"{{{RSM}}}{name}").text = value
    if flip:
        ET.SubElement(query, f"{{{MAM}}}flip-page")
    return query


async def archived(client, room, **how):
    """A page of an archive: (id, body) of each message, and what ended it."""
    fin = await client.ask(room, mam(**how), "set")
    return results(client), fin


class Web:
    """Somebody who uses the HTTP API."""

    def __init__(self, name, address=None):
        self.base = (address or os.environ["HOLDFAST_HTTP"]) + "/api/v1"
        self.jar = http.cookiejar.CookieJar()
        self.cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.ask("POST", "/session", {"name": name, "password": PASSWORD})

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"content-type": "application/json"})
        try:
            with self.cookies.open(request, timeout=PATIENCE) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            error.msg += f": {error.read().decode()}"
            raise
        return json.loads(text) if text else None

    def number_of(self, room):
        """The number of the room with an address."""
        return self.ask("GET", f"/rooms?name={room.split('@')[0]}")["items"][0]["id"]

    def attach(self, number, name, body):
        """Uploads a file to a room; answers its number."""
        request = urllib.request.Request(f"{self.base}/rooms/{number}/files?name={name}", data=body, method="POST")
        with self.cookies.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)["id"]

    @contextlib.asynccontextmanager
    async def inside(self, number):
        """Is in a room by its number, as a browser is."""
        cookie = "; ".join(f"{one.name}={one.value}" for one in self.jar)
        async with aiohttp.ClientSession() as session, session.ws_connect(self.base + "/live", headers={"cookie": cookie}) as live:
            await live.send_json({"type": "join", "rooms": [{"room": number}]})
            while (await live.receive_json(timeout=PATIENCE))["type"] != "joined":
                pass
            yield


def codes(stanza):
    return [s.get("code") for s in stanza.xml.iter("{http://jabber.org/protocol/muc#user}status")]


def stanza_id(stanza):
    found = stanza.xml.find("{urn:xmpp:sid:0}stanza-id")
    return None if found is None else found.get("id")


def error_of(stanza):
    error = stanza.xml.find("{jabber:client}error")
    assert error is not None, f"no error in {stanza}"
    return next(c.tag.split("}")[1] for c in error if c.tag.startswith("{urn:ietf:params:xml:ns:xmpp-stanzas}") and not c.tag.endswith("}text"))


class Server:
    """Where the server is. With `other`, an address, clients are connected to the two by turns."""

    def __init__(self, host, port, domain, rooms, other=None):
        self.host, self.port, self.domain, self.rooms = host, int(port), domain, rooms
        self.other = Server(*other.rsplit(":", 1), domain, rooms) if other else None
        self.clients = 0
        self.settles = "HOLDFAST_SPREAD" in os.environ

    def room(self, name):
        return f"{name}@{self.rooms}"

    def jid(self, name):
        return f"{name}@{self.domain}"

    async def client(self, name, **more):
        self.clients += 1
        if self.other and self.clients % 2 == 0:
            return await Client(self.other, name, **more).start()
        return await Client(self, name, **more).start()

    async def settle(self):
        """What one server knows the other has heard."""
        if self.settles:
            await asyncio.sleep(0.4)


def run(scenarios):
    """Runs one scenario, or all, against the server that the command line names."""
    name, *where = sys.argv[1:]
    server = Server(*where, other=os.environ.get("HOLDFAST_SPREAD"))
    if name == "--list":
        print("\n".join(scenarios))
        return
    for wanted in (scenarios if name == "all" else [name]):
        try:
            asyncio.get_event_loop().run_until_complete(asyncio.wait_for(scenarios[wanted](server), 120))
        except Exception as error:
            print(f"FAILED {wanted}: {type(error).__name__}: {error}", flush=True)
            import traceback
            traceback.print_exc()
            sys.exit(1)
        print(f"ok {wanted}", flush=True)
