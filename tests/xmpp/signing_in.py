"""Signing in word for word: what a library would hide, and what slixmpp cannot do."""

import asyncio
import base64
import hashlib
import hmac
import os
import re
import ssl

from client import PASSWORD, Web, run

STREAM = "http://etherx.jabber.org/streams"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SASL2 = "urn:xmpp:sasl:2"


def encoded(data):
    return base64.b64encode(data).decode()


class Line:
    """A connection by TLS from its first byte, or plain."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.came = reader, writer, ""

    @classmethod
    async def open(cls, server, tls=None):
        """`tls`: the version of TLS."""
        context = None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = tls
        line = cls(*await asyncio.open_connection(server.host, server.port, ssl=context))
        line.features = await line.ask(f"<?xml version='1.0'?><stream:stream to='{server.domain}' version='1.0' xmlns='jabber:client' xmlns:stream='{STREAM}'>", "</stream:features>")
        return line

    async def ask(self, text, *until):
        self.came = ""
        self.writer.write(text.encode())
        while not any(u in self.came for u in until):
            await self.more()
        return self.came

    async def more(self):
        more = await asyncio.wait_for(self.reader.read(65536), 20)
        assert more, f"it ended: {self.came}"
        self.came += more.decode()

    def certificate(self):
        return self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def until(self, text):
        """What has come since it was last asked, once this is in it."""
        while text not in self.came:
            await self.more()
        return self.came

    async def scram(self, name, password, mechanism, binding=None, data=b"", inline=None):
        """Answers `success`, or the word of the failure. What the server signs is checked. `inline`: what is asked for besides, by XEP-0388."""
        function = "sha1" if "SHA-1" in mechanism else "sha256"
        hashed = lambda text: hashlib.new(function, text).digest()
        signed = lambda key, text: hmac.new(key, text.encode(), function).digest()
        header = f"p={binding},," if binding else "n,,"
        bare = f"n={name},r=abcdefghijkl"
        first = encoded((header + bare).encode())
        sasl = f"xmlns='{SASL if inline is None else SASL2}'"
        begins = f"<auth {sasl} mechanism='{mechanism}'>{first}</auth>"
        if inline is not None:
            begins = f"<authenticate {sasl} mechanism='{mechanism}'><initial-response>{first}</initial-response>{inline}</authenticate>"
        said = await self.ask(begins, "</challenge>", "</failure>")
        if "</failure>" in said:
            return re.search(r"<failure[^>]*><([a-z-]+)", said)[1]
        challenge = base64.b64decode(re.search(r">([^<]*)</challenge>", said)[1]).decode()
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        self.rounds = int(fields["i"])
        salted = hashlib.pbkdf2_hmac(function, password.encode(), base64.b64decode(fields["s"]), self.rounds)
        client_key = hmac.new(salted, b"Client Key", function).digest()
        last = f"c={encoded(header.encode() + data)},r={fields['r']}"
        signature = signed(hashed(client_key), f"{bare},{challenge},{last}")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        said = await self.ask(f"<response {sasl}>{encoded(f'{last},p={encoded(proof)}'.encode())}</response>", "</success>", "</failure>")
        if "</failure>" in said:
            return re.search(r"<failure[^>]*><([a-z-]+)", said)[1]
        verifier = base64.b64decode(re.search(r">([^<]*)</(?:success|additional-data)>", said)[1]).decode()
        server_key = hmac.new(salted, b"Server Key", function).digest()
        assert verifier == f"v={encoded(signed(server_key, f'{bare},{challenge},{last}'))}", "it is the server that knows the password"
        return "success"


async def bound_to_the_certificate(server):
    """Against the port for TLS from the first byte."""
    for version, exporter in ((ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)):
        line = await Line.open(server, version)
        assert "<channel-binding type='tls-server-end-point'/>" in line.features
        assert ("type='tls-exporter'" in line.features) == exporter, line.features
        assert "SCRAM-SHA-256-PLUS" in line.features
        # The server's own certificate is signed with SHA-256.
        point = hashlib.sha256(line.certificate()).digest()
        assert await line.scram("ana", PASSWORD, "SCRAM-SHA-256-PLUS", "tls-server-end-point", hashlib.sha256(b"another").digest()) == "not-authorized"
        assert await line.scram("ana", "wrong wrong", "SCRAM-SHA-256-PLUS", "tls-server-end-point", point) == "not-authorized"
        assert await line.scram("ana", PASSWORD, "SCRAM-SHA-256-PLUS", "tls-server-end-point", point) == "success"
        line.writer.close()


async def a_session_together_with_the_sign_in(server):
    agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Tea</software></user-agent>"
    bind = "<bind xmlns='urn:xmpp:bind:0'><tag>Tea</tag><enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
    enter = lambda line, inline: line.scram("ana", PASSWORD, "SCRAM-SHA-256", inline=inline)
    own = lambda came: re.search(r"<authorization-identifier>([^<]*)<", came)[1]
    stanzas = lambda came: len(re.findall(r"<(?:message|presence|iq)[ >/]", came))
    cleo = await server.client("cleo")
    cleo.make_message(mto=server.jid("ana"), mbody="said while she was away", mtype="chat").send()
    # What is sent behind it is done behind it.
    await cleo.ask(server.domain, "<ping xmlns='urn:xmpp:ping'/>")
    line = await Line.open(server)
    offered = re.search(r"<authentication xmlns='urn:xmpp:sasl:2'>.*</authentication>", line.features)[0]
    assert "<mechanism>SCRAM-SHA-256</mechanism>" in offered and "<bind xmlns='urn:xmpp:bind:0'>" in offered, offered
    assert await enter(line, agent + bind) == "success"
    came = await line.until("</stream:features>")
    address = own(came)
    assert address.startswith(server.jid("ana") + "/Tea/") and "d4565fa7" not in came, came
    assert "<stream:stream" not in came and "urn:ietf:params:xml:ns:xmpp-bind" not in came, "there is no new stream, and nothing left to bind"
    assert re.search(r"<bound .*<metadata .*<end id='[0-9]+'.*<enabled .*</bound></success>", came), came
    session = re.search(r"<enabled [^>]*id='([^']*)'", came)[1]
    # What waited is in the archive, of which its end was told: it is not given as well.
    came = await line.ask("<presence/><iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p1'")
    assert "said while she was away" not in came, came
    got = stanzas(came)
    # Copies come without being asked for by themselves.
    other = await server.client("ana", resource="other")
    other.make_message(mto=server.jid("cleo"), mbody="from another client", mtype="chat").send()
    line.came = ""
    await line.until("</sent>")
    assert "from another client" in line.came
    # What came before the connection broke and was not acknowledged comes again.
    line.writer.transport.abort()
    line = await Line.open(server)
    assert await enter(line, f"<resume xmlns='urn:xmpp:sm:3' h='{got}' previd='{session}'/>" + agent + bind) == "success"
    came = await line.until("</sent>")
    assert re.search(rf"<success .*<resumed [^>]*previd='{session}'.*</success>.*</stream:features>", came) and "<bound" not in came, came
    assert own(came) == address
    # The same client comes anew: it has its address again, and the session that it had ends.
    again = await Line.open(server)
    assert await enter(again, "<resume xmlns='urn:xmpp:sm:3' h='0' previd='nonsense'/>" + agent + bind) == "success"
    came = await again.until("</stream:features>")
    assert own(came) == address and "<bound" in came
    assert re.search(r"<failed xmlns='urn:xmpp:sm:3'><item-not-found", came), came
    await line.until("<conflict")
    # Alone it is another way to say the same, without a new stream.
    line = await Line.open(server)
    assert await enter(line, "") == "success"
    came = await line.until("</stream:features>")
    assert own(came) == server.jid("ana") and "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'" in came, came
    came = await line.ask("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>old</resource></bind></iq>", "</iq>")
    assert server.jid("ana") + "/old" in came
    # What cannot be.
    line = await Line.open(server)
    assert await line.scram("ana", "wrong wrong", "SCRAM-SHA-256", inline=agent + bind) == "not-authorized"
    said = await line.ask(f"<authenticate xmlns='{SASL2}' mechanism='PLAIN' upgrade='SCRAM-SHA-512'/>", "</failure>")
    assert f"<invalid-mechanism xmlns='{SASL}'/>" in said, said
    said = await line.ask(f"<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'><initial-response>{encoded(b'n,,n=ana,r=abc')}</initial-response></authenticate>", "</challenge>")
    said = await line.ask(f"<response xmlns='{SASL}'>{encoded(b'c=biws')}</response>", "</failure>")
    assert "<malformed-request/>" in said, said


async def port_of_the_new_server():
    for _ in range(300):
        try:
            with open(os.environ["HOLDFAST_PORT_FILE"]) as file:
                if port := file.read():
                    return int(port)
        except FileNotFoundError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("the server was not started again")


async def old_clients_sign_in_with_sha_1(server):
    """The test starts the server again with the setting on: of passwords that were set before it was, there are no keys yet."""
    line = await Line.open(server)
    assert "SCRAM-SHA-1" not in line.features
    assert await line.scram("ana", PASSWORD, "SCRAM-SHA-1") == "invalid-mechanism"
    print("do restart", flush=True)
    server.port = await port_of_the_new_server()
    line = await Line.open(server)
    assert "<mechanism>SCRAM-SHA-1</mechanism>" in line.features and "SCRAM-SHA-1-PLUS" not in line.features
    # No keys yet: as if there were no such person.
    assert await line.scram("ana", PASSWORD, "SCRAM-SHA-1") == "not-authorized"
    rounds = line.rounds
    assert await line.scram("nobody", PASSWORD, "SCRAM-SHA-1") == "not-authorized" and line.rounds == rounds
    # The password comes in the clear once, by PLAIN, or by the web.
    await (await server.client("ana", mechanism="PLAIN")).stop()
    Web("bo", open(os.environ["HOLDFAST_PORT_FILE"] + ".web").read())
    for name in ("ana", "bo"):
        line = await Line.open(server)
        assert await line.scram(name, "wrong wrong", "SCRAM-SHA-1") == "not-authorized"
        assert await line.scram(name, PASSWORD, "SCRAM-SHA-1") == "success", name
    # SCRAM-SHA-256 goes on, and shows nothing from which keys could be made.
    line = await Line.open(server)
    assert await line.scram("cleo", PASSWORD, "SCRAM-SHA-256") == "success"
    line = await Line.open(server)
    assert await line.scram("cleo", PASSWORD, "SCRAM-SHA-1") == "not-authorized"
    # Another password ends the old keys and makes new ones.
    ana = await server.client("ana")
    change = "<query xmlns='jabber:iq:register'><username>ana</username><password>quite another</password></query>"
    await ana.ask(server.domain, change, "set")
    line = await Line.open(server)
    assert await line.scram("ana", PASSWORD, "SCRAM-SHA-1") == "not-authorized"
    assert await line.scram("ana", "quite another", "SCRAM-SHA-1") == "success"


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value) and name != "port_of_the_new_server"})
