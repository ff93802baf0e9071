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
            more = await asyncio.wait_for(self.reader.read(65536), 20)
            assert more, f"it ended: {self.came}"
            self.came += more.decode()
        return self.came

    def certificate(self):
        return self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def scram(self, name, password, mechanism, binding=None, data=b""):
        """Answers `success`, or the word of the failure. What the server signs is checked."""
        function = "sha1" if "SHA-1" in mechanism else "sha256"
        hashed = lambda text: hashlib.new(function, text).digest()
        signed = lambda key, text: hmac.new(key, text.encode(), function).digest()
        header = f"p={binding},," if binding else "n,,"
        bare = f"n={name},r=abcdefghijkl"
        sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
        said = await self.ask(f"<auth {sasl} mechanism='{mechanism}'>{encoded((header + bare).encode())}</auth>", "</challenge>", "</failure>")
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
        verifier = base64.b64decode(re.search(r">([^<]*)</success>", said)[1]).decode()
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


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value)})
