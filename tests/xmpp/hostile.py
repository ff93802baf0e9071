"""What strangers may send: each is answered with what is wrong, and nobody else notices."""

import asyncio
import base64

from client import Client, PASSWORD, error_of, run

STREAM = "http://etherx.jabber.org/streams"


def header(to):
    return f"<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client' xmlns:stream='{STREAM}'>"


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.came = ""

    @classmethod
    async def open(cls, server):
        return cls(*await asyncio.open_connection(server.host, server.port))

    def say(self, text):
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    async def until(self, text):
        while text not in self.came:
            more = await asyncio.wait_for(self.reader.read(65536), 20)
            assert more, f"it ended before `{text}`: {self.came[-500:]}"
            self.came += more.decode()

    async def end(self):
        """All that comes until the server ends the connection."""
        try:
            while more := await asyncio.wait_for(self.reader.read(65536), 20):
                self.came += more.decode()
        except ConnectionError:
            pass
        return self.came

    async def authenticate(self, server, name):
        """Signs in, up to where a session begins or goes on."""
        self.say(header(server.domain))
        await self.until("</stream:features>")
        words = base64.b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
        self.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{words}</auth>")
        await self.until("<success")
        self.came = ""
        self.say(header(server.domain))
        await self.until("</stream:features>")
        self.came = ""
        return self

    async def sign_in(self, server, name):
        await self.authenticate(server, name)
        self.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        await self.until("</jid>")
        self.came = ""
        return self


async def acknowledgements_that_cannot_be(server):
    sm = "urn:xmpp:sm:3"

    async def managed():
        line = await (await Raw.open(server)).sign_in(server, "ana")
        line.say(f"<enable xmlns='{sm}' resume='true'/>")
        await line.until("<enabled")
        return line, line.came.split(" id='")[1].split("'")[0]
    line, _ = await managed()
    line.say(f"<a xmlns='{sm}' h='7'/>")
    said = await line.end()
    assert "<undefined-condition" in said and "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'/>" in said, said
    # At a resumption: without a number it fails, and the client may begin anew; with one that cannot be the stream ends.
    line, name = await managed()
    line.writer.transport.abort()
    line = await (await Raw.open(server)).authenticate(server, "ana")
    line.say(f"<resume xmlns='{sm}' previd='{name}'/>")
    await line.until("</failed>")
    assert "bad-request" in line.came
    line.say(f"<resume xmlns='{sm}' previd='nobody' h='0'/>")
    await line.until("item-not-found")
    line.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    await line.until("</jid>")
    line = await (await Raw.open(server)).authenticate(server, "ana")
    line.say(f"<resume xmlns='{sm}' previd='{name}' h='4000000000'/>")
    said = await line.end()
    assert "handled-count-too-high" in said and "<resumed" not in said, said
    line = await (await Raw.open(server)).authenticate(server, "ana")
    line.say(f"<resume xmlns='{sm}' previd='{name}' h='0'/>")
    await line.until("item-not-found")


async def before_signing_in(server):
    # Nobody makes an account for himself.
    line = await Raw.open(server)
    line.say(header(server.domain))
    await line.until("</stream:features>")
    assert "iq-register" not in line.came
    # How large a stanza may be is said before (XEP-0478), and that more than that ends the stream.
    assert "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10240</max-bytes></limits>" in line.came.replace('"', "'"), line.came
    line.say("<iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>")
    await line.until("service-unavailable")
    line.say("<iq type='set' id='r2'><query xmlns='jabber:iq:register'><username>x</username><password>y</password></query></iq>")
    await line.until("not-allowed")
    line.say("<iq type='set' id='r3'><query xmlns='jabber:iq:register'><username>x</username><password>y</password></query></iq>")
    assert "policy-violation" in await line.end()
    opened = header(server.domain)
    for text, condition in [
        (opened + "<a>" * 5000, "policy-violation"),
        (opened + f"<a>{'x' * 20000}", "policy-violation"),
        (opened + "<a " + " ".join(f"b{i}='1'" for i in range(500)) + "/>", "policy-violation"),
        (opened + "<a>&lol;</a>", "restricted-xml"),
        (opened + "<a></b>", "not-well-formed"),
        (opened + "text<a/>", "bad-format"),
        (opened + "<message to='x'><body>hi</body></message>", "not-authorized"),
        (opened + "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "not-authorized"),
        (header("elsewhere.example"), "host-unknown"),
        (opened.replace("version='1.0' xmlns", "version='0.9' xmlns"), "unsupported-version"),
        (opened.replace(STREAM, "urn:wrong"), "invalid-namespace"),
        (b"\xff\xfe\x00\x01<a>", None),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n<a>", None),
    ]:
        raw = await Raw.open(server)
        raw.say(text)
        came = await raw.end()
        assert "<stream:error>" in came and came.endswith("</stream:stream>"), f"{text[:80]!r}: {came}"
        assert condition is None or f"<{condition} " in came, f"{text[:80]!r}: {came}"
    for words, condition in [
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='MAGIC'>AA==</auth>", "invalid-mechanism"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!!!</auth>", "incorrect-encoding"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>YWJj</auth>", "malformed-request"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbmEscj0=</auth>", "malformed-request"),
        ("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "malformed-request"),
        ("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "aborted"),
    ]:
        raw = await Raw.open(server)
        raw.say(opened)
        await raw.until("</stream:features>")
        raw.say(words)
        await raw.until("</failure>")
        assert f"<{condition}/>" in raw.came, f"{words}: {raw.came}"
        raw.writer.close()
    # Three wrong passwords are enough for one connection.
    raw = await Raw.open(server)
    raw.say(opened)
    await raw.until("</stream:features>")
    wrong = base64.b64encode(b"\0ana\0wrong wrong").decode()
    raw.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>" * 3)
    assert "<policy-violation " in await raw.end()
    assert (await Client(server, "bo").start()).boundjid.bare == server.jid("bo"), "others are served as before"


async def a_presence_of_any_size(server):
    """What is kept of a client and told to many has a bound; the connection goes on."""
    ana = await server.client("ana")
    ana.send_presence(pstatus="x" * 20_000)
    refused = await ana.until("to be refused", lambda s: s.name == "presence" and s["type"] == "error")
    assert error_of(refused) == "not-acceptable"
    assert await ana.ask(None, "<ping xmlns='urn:xmpp:ping'/>") is None


async def after_signing_in(server):
    for text, condition in [
        ("<message>" + "<a>" * 40, "policy-violation"),
        (f"<message><body>{'x' * 300000}", "policy-violation"),
        ("<nonsense/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
        ("<a xmlns='urn:xmpp:sm:3' h='7'/>", None),
    ]:
        raw = await (await Raw.open(server)).sign_in(server, "cleo")
        raw.say(text)
        if condition:
            assert f"<{condition} " in await raw.end(), f"{text[:60]}: {raw.came}"
        raw.writer.close()
    raw = await (await Raw.open(server)).sign_in(server, "cleo")
    for stanza, condition in [
        ("<iq type='get' id='1'/>", "bad-request"),
        ("<iq type='get' id='1'><a xmlns='b'/><c xmlns='d'/></iq>", "bad-request"),
        ("<iq type='wrong' id='1'><a xmlns='b'/></iq>", "bad-request"),
        ("<iq type='get'><a xmlns='b'/></iq>", "bad-request"),
        ("<iq type='get' id='1' to='@@'><a xmlns='b'/></iq>", "jid-malformed"),
        ("<message to='a@@b'><body>x</body></message>", "jid-malformed"),
        ("<presence to='/x'/>", "jid-malformed"),
        (f"<iq type='set' id='1' to='x@{server.rooms}'><query xmlns='urn:xmpp:mam:2'/></iq>", "item-not-found"),
        ("<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field/></x></query></iq>", "bad-request"),
        ("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='@'/></query></iq>", "jid-malformed"),
        ("<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>", "bad-request"),
        ("<iq type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'/></iq>", "bad-request"),
        ("<iq type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish/></pubsub></iq>", "bad-request"),
        ("<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'/></iq>", "bad-request"),
        ("<iq type='set' id='1'><query xmlns='jabber:iq:private'/></iq>", "bad-request"),
    ]:
        raw.came = ""
        raw.say(stanza)
        await raw.until("</error>")
        assert f"<{condition} " in raw.came, f"{stanza}: {raw.came}"
    raw.say("</stream:stream>")
    assert (await raw.end()).endswith("</stream:stream>")


async def whoever_does_not_sign_in_is_let_go(server):
    raw = await Raw.open(server)
    await raw.end()


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value)})
