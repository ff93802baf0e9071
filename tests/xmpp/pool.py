"""Two servers of one pool, each with its XMPP door. What is to happen to a server is asked of the test by a line `do WHAT`."""

import asyncio
import os
import urllib.request
import uuid

from client import MAM, Server, Web, run, stanza_id


def other(server):
    host, port = os.environ["HOLDFAST_OTHER"].rsplit(":", 1)
    return Server(host, port, server.domain, server.rooms)


async def a_killed_server(server):
    first, second = server, other(server)
    ana, bo = await first.client("ana"), await second.client("bo")
    room = server.room(f"pool-{uuid.uuid4().hex[:8]}")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    await ana.until("bo, who is on the other server", lambda s: s.name == "presence" and s["from"] == f"{room}/bo")
    said = await ana.say(room, "from one to the other")
    heard = await bo.heard(room, "from one to the other")
    assert stanza_id(said) == stanza_id(heard) and heard["from"] == f"{room}/ana"
    cleo = await second.client("cleo")
    await cleo.join(room, "cleo")
    there = await cleo.until("ana, who is on the other server", lambda s: s.name == "presence" and s["from"] == f"{room}/ana")
    assert there["type"] != "unavailable"
    print("do kill", flush=True)
    await bo.until("ana's end", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "unavailable", patience=45)
    # She comes back at the other server and goes on where she was.
    missed = await bo.say(room, "while she was away")
    again = await second.client("ana", resource="again")
    assert "110" in str(await again.join(room, "ana"))
    query = (f"<query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'><after>{stanza_id(said)}</after></set></query>")
    await again.ask(room, query, "set")
    got = [s.xml.find(f"{{{MAM}}}result") for s in again.seen]
    assert [r.get("id") for r in got if r is not None] == [stanza_id(missed)]


async def presence_of_a_killed_server(server):
    first, second = server, other(server)
    ana, bo = await first.client("ana"), await second.client("bo")
    for one, another in ((ana, bo), (bo, ana)):
        one.send_presence(pto=another.boundjid.bare, ptype="subscribe")
        await another.until("to be asked", lambda s: s["type"] == "subscribe")
        another.send_presence(pto=one.boundjid.bare, ptype="subscribed")
        await one.until("the presence", lambda s: s.name == "presence" and s["from"] == another.boundjid.full and s["type"] == "available")
    # Somebody who comes later sees who is at the other server.
    later = await second.client("ana", resource="later")
    await later.until("bo", lambda s: s.name == "presence" and s["from"] == bo.boundjid.full and s["type"] == "available")
    await later.until("her other client", lambda s: s.name == "presence" and s["from"] == ana.boundjid.full and s["type"] == "available")
    await later.stop()
    print("do kill", flush=True)
    # As long as nobody has noticed, what is said to her goes to the killed server; it waits all the same.
    for n in range(3):
        bo.make_message(mto=server.jid("ana"), mbody=f"said {n}", mtype="chat").send()
    await bo.until("ana's end", lambda s: s.name == "presence" and s["from"] == ana.boundjid.full and s["type"] == "unavailable", patience=45)
    again = await second.client("ana", resource="again")
    for n in range(3):
        await again.until("what waited", lambda s: s.name == "message" and s["body"] == f"said {n}")
    await again.never("anything twice", lambda s: s.name == "message" and s["body"].startswith("said"))


async def what_is_announced(server):
    """The test says something to everybody by the command line of one server."""
    clients = [await server.client("ana"), await other(server).client("bo")]
    print("do announce", flush=True)
    for client in clients:
        told = await client.until("an announcement", lambda s: s.name == "message" and s["type"] == "headline" and s["body"])
        assert told["body"] == "Tea is ready" and str(told["from"]) == server.domain, told
        await client.never("it again, or what was only tried", lambda s: s.name == "message" and s["type"] == "headline" and s["body"])


async def a_file_of_one_server(server):
    """A slot of one server is good at the other, and what was uploaded is there for both."""
    base = os.environ["HOLDFAST_HTTP"]
    ana = await server.client("ana")
    room = server.room(f"pool-{uuid.uuid4().hex[:8]}")
    await ana.join(room, "ana")
    service = (await ana["xep_0363"].find_upload_service())["from"]
    given = (await ana["xep_0363"].request_slot(service, "plan.txt", 5, "text/plain"))["http_upload_slot"]
    put, get = given["put"]["url"], given["get"]["url"]
    assert put.startswith("http://127.0.0.1:") and not put.startswith(base), put
    at_other = base + "/files/" + put.split("/files/")[1]
    request = urllib.request.Request(at_other, data=b"hello", method="PUT", headers={"content-type": "text/plain"})
    with urllib.request.urlopen(request, timeout=15) as answer:
        assert answer.status == 201
    for url in (get, base + "/files/" + get.split("/files/")[1]):
        with urllib.request.urlopen(url, timeout=15) as answer:
            assert answer.read() == b"hello"
    await ana.say(room, get)
    web = Web("bo")
    number = web.number_of(room)
    said = [e["message"] for e in web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"] if e["kind"] == "message"]
    assert [(m["text"], [f["name"] for f in m["files"]]) for m in said] == [("", ["plan.txt"])], said


async def a_standby_sends_away(server):
    header = (f"<?xml version='1.0'?><stream:stream to='{server.domain}' version='1.0' xmlns='jabber:client' "
              "xmlns:stream='http://etherx.jabber.org/streams'>")
    said = ""
    for _ in range(40):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(header.encode())
        try:
            said = (await asyncio.wait_for(reader.read(), 1)).decode()
        except asyncio.TimeoutError:
            # It has not heard yet that it is none of the active ones.
            writer.close()
            continue
        break
    assert "<see-other-host" in said and ">127.0.0.1:" in said and said.endswith("</stream:stream>"), said


async def whoever_is_moved_is_told(server):
    ana = await server.client("ana", without=("xep_0198",))
    room = server.room(f"moved-{uuid.uuid4().hex[:8]}")
    await ana.join(room, "ana")
    bo = await other(server).client("bo")
    await bo.join(room, "bo")
    print("do move", flush=True)
    out = await ana.until("to be put out", lambda s: s.name == "presence" and s["from"].bare == room and s["type"] == "unavailable", patience=45)
    codes = [s.get("code") for s in out.xml.iter("{http://jabber.org/protocol/muc#user}status")]
    assert "332" in codes and "110" in codes, codes
    # Those at the other server are told why as well.
    gone = await bo.until("ana's end", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "unavailable")
    codes = [s.get("code") for s in gone.xml.iter("{http://jabber.org/protocol/muc#user}status")]
    assert codes == ["332"], codes


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value)})
