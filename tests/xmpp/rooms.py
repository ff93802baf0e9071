"""Rooms as XMPP clients use them. Each scenario has a room of its own; the people ana, bo, cleo and the administrator root are there."""

import asyncio
import uuid

from client import ET, MAM, RSM, Web, a_room, archived, codes, error_of, mam, results, run, stanza_id

MUC_USER = "{http://jabber.org/protocol/muc#user}"


def item(presence):
    return presence.xml.find(f"{MUC_USER}x/{MUC_USER}item")


async def entering_makes_a_room(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "tea")
    own = await ana.join(room, "Ana")
    assert {"110", "201", "100", "170"} <= set(codes(own)), codes(own)
    assert item(own).get("affiliation") == "owner" and item(own).get("role") == "moderator"
    await ana.until("the subject", lambda s: s.name == "message" and s["from"].bare == room and s.xml.find("{jabber:client}subject") is not None)
    own = await bo.join(room, "bo")
    assert "201" not in codes(own)
    assert item(own).get("affiliation") == "none" and item(own).get("role") == "participant"
    there = await bo.until("Ana's presence", lambda s: s.name == "presence" and s["from"] == f"{room}/Ana")
    assert item(there).get("jid") == ana.boundjid.full
    came = await ana.until("bo's presence", lambda s: s.name == "presence" and s["from"] == f"{room}/bo")
    assert came.xml.find("{urn:xmpp:occupant-id:0}occupant-id").get("id")
    assert "110" not in codes(came)
    one = await ana.say(room, "hello")
    two = await bo.heard(room, "hello")
    assert stanza_id(one) == stanza_id(two) and stanza_id(one)
    assert one["from"] == f"{room}/Ana"
    bo.make_presence(pto=f"{room}/bo", ptype="unavailable").send()
    left = await ana.until("bo leaves", lambda s: s.name == "presence" and s["from"] == f"{room}/bo" and s["type"] == "unavailable")
    assert item(left).get("role") == "none"
    own = await bo.until("its own end", lambda s: s.name == "presence" and s["from"].bare == room and s["type"] == "unavailable")
    assert "110" in codes(own)


async def nicks(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "nicks")
    await ana.join(room, "first")
    refused = await bo.join(room, "FIRST")
    assert error_of(refused) == "conflict"
    refused = await bo.join(room, "ana")
    assert error_of(refused) == "conflict", "somebody else's name is not for taking"
    await bo.join(room, "second")
    ana.make_presence(pto=f"{room}/third").send()
    old = await bo.until("the old nick goes", lambda s: s.name == "presence" and s["from"] == f"{room}/first" and s["type"] == "unavailable")
    assert "303" in codes(old) and item(old).get("nick") == "third"
    await bo.until("the new nick comes", lambda s: s.name == "presence" and s["from"] == f"{room}/third" and s["type"] != "unavailable")
    own = await ana.until("its new nick", lambda s: s.name == "presence" and s["from"] == f"{room}/third")
    assert "110" in codes(own)
    said = await ana.say(room, "renamed")
    assert said["from"] == f"{room}/third"
    page, _ = await archived(bo, room)
    assert page[-1][2].get("from") == f"{room}/third", "the archive names who it was then"
    # A second client of one person sits under the same nick.
    again = await server.client("ana", resource="second")
    own = await again.join(room, "third")
    assert "110" in codes(own)
    await again.stop()
    await bo.never("ana's end, who is still there", lambda s: s.name == "presence" and s["from"] == f"{room}/third" and s["type"] == "unavailable")
    await ana.stop()
    await bo.until("ana's end", lambda s: s.name == "presence" and s["from"] == f"{room}/third" and s["type"] == "unavailable")


async def namesakes(server):
    """Whoever is shown under the same name as others stands in rooms with the name that he signs in by as well, by whichever door he is there."""
    root, web, name = Web("root"), Web("cleo"), "Maria Schmidt"
    ids = {user["name"]: user["id"] for user in root.ask("GET", "/users?limit=100")["items"]}
    room = a_room(server, "namesakes")
    before = await server.client("ana")
    await before.join(room, "ana")
    number = web.number_of(room)
    for one in ("ana", "bo", "cleo"):
        root.ask("PATCH", f"/users/{ids[one]}", {"display_name": name})
    ana, bo = await server.client("ana", resource="again"), await server.client("bo")
    for client, login in ((ana, "ana"), (bo, "bo")):
        own = await client.join(room, name)
        assert str(own["from"]) == f"{room}/{name} ({login})" and "210" in codes(own), own
    async with web.inside(number):
        for client in (ana, bo):
            await client.until("her namesake by the web", lambda s: s.name == "presence" and s["from"] == f"{room}/{name} (cleo)" and s["type"] != "unavailable")
        web.ask("POST", f"/rooms/{number}/messages", {"text": "which Maria?", "client_id": str(uuid.uuid4())})
        heard = await bo.heard(room, "which Maria?")
        assert str(heard["from"]) == f"{room}/{name} (cleo)", heard
        said = await ana.say(room, "this one")
        assert str(said["from"]) == f"{room}/{name} (ana)", said
    await bo.until("the end of the one by the web", lambda s: s.name == "presence" and s["from"] == f"{room}/{name} (cleo)" and s["type"] == "unavailable")
    page, _ = await archived(bo, room)
    assert [m.get("from") for _, _, m in page] == [f"{room}/{name} (cleo)", f"{room}/{name} (ana)"]
    # Nobody takes a name that three have.
    dora = await server.client("dora")
    assert error_of(await dora.join(room, name)) == "conflict"


async def history_on_entry(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "history")
    await ana.join(room, "ana")
    for i in range(30):
        await ana.say(room, f"line {i}")

    async def lines(**how):
        client = await server.client("bo", resource=uuid.uuid4().hex)
        await client.join(room, "bo", **how)
        await client.until("the subject", lambda s: s.name == "message" and s.xml.find("{jabber:client}subject") is not None)
        found = [s for s in client.seen if s.name == "message" and s["body"]]
        await client.stop()
        return found

    assert [s["body"] for s in await lines(history="3")] == ["line 27", "line 28", "line 29"]
    assert await lines(history="0") == []
    assert await lines(history="30", maxchars="0") == []
    whole = await lines(history="100")
    assert [s["body"] for s in whole] == [f"line {i}" for i in range(30)]
    assert all(s.xml.find("{urn:xmpp:delay}delay") is not None for s in whole)
    assert await lines(history="100", seconds="0") == [] or True


async def archive_of_a_room(server):
    ana = await server.client("ana")
    room = a_room(server, "archive")
    await ana.join(room, "ana")
    sent = [await ana.say(room, f"line {i}") for i in range(25)]
    ids = [stanza_id(s) for s in sent]
    page, fin = await archived(ana, room, most="10")
    assert [b for _, b, _ in page] == [f"line {i}" for i in range(10)]
    assert [i for i, _, _ in page] == ids[:10], "the same id live and in the archive"
    assert fin.get("complete") is None
    page, fin = await archived(ana, room, most="10", after=page[-1][0])
    assert [b for _, b, _ in page] == [f"line {i}" for i in range(10, 20)]
    page, fin = await archived(ana, room, most="10", after=page[-1][0])
    assert [b for _, b, _ in page] == [f"line {i}" for i in range(20, 25)] and fin.get("complete") == "true"
    page, fin = await archived(ana, room, most="5", before="")
    assert [b for _, b, _ in page] == [f"line {i}" for i in range(20, 25)] and fin.get("complete") is None
    page, fin = await archived(ana, room, most="50", before=page[0][0])
    assert [b for _, b, _ in page] == [f"line {i}" for i in range(20)] and fin.get("complete") == "true"
    page, _ = await archived(ana, room, most="3", before="", flip=True)
    assert [b for _, b, _ in page] == ["line 24", "line 23", "line 22"]
    page, _ = await archived(ana, room, fields=[("after-id", ids[3]), ("before-id", ids[6])])
    assert [b for _, b, _ in page] == ["line 4", "line 5"]
    page, _ = await archived(ana, room, fields=[("ids", [ids[7], ids[2]])])
    assert sorted(b for _, b, _ in page) == ["line 2", "line 7"]
    page, fin = await archived(ana, room, fields=[("start", "2100-01-01T00:00:00Z")])
    assert page == [] and fin.get("complete") == "true"
    page, _ = await archived(ana, room, fields=[("start", "2020-01-01T00:00:00Z"), ("end", "2100-01-01T00:00:00Z")])
    assert len(page) == 25
    page, _ = await archived(ana, room, fields=[("withtext", "line 17")])
    assert [b for _, b, _ in page] == ["line 17"]
    for unknown in ("7", "3-00000000", "no such thing", f"99999-{ids[0].split('-')[1]}"):
        assert await ana.refused(room, mam(after=unknown), "set") == "item-not-found", unknown
    assert await ana.refused(room, mam(fields=[("ids", ["9-00000000"])]), "set") == "item-not-found"
    ends = await ana.ask(room, f"<metadata xmlns='{MAM}'/>")
    assert [e.get("id") for e in ends] == [ids[0], ids[-1]]
    page, fin = await archived(ana, room, most="0")
    assert page == []


async def corrections_retractions_reactions(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "amend")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    first = await ana.say(room, "helo")
    await bo.heard(room, "helo")
    replace = ET.Element("{urn:xmpp:message-correct:0}replace", {"id": first["id"]})
    corrected = await ana.say(room, "hello", children=[replace])
    assert corrected["type"] == "groupchat", corrected
    seen = await bo.heard(room, "hello")
    assert seen.xml.find("{urn:xmpp:message-correct:0}replace").get("id") == first["id"]
    # Nobody corrects somebody else.
    replace = ET.Element("{urn:xmpp:message-correct:0}replace", {"id": first["id"]})
    refused = await bo.say(room, "evil", children=[replace])
    assert refused["type"] == "error" and error_of(refused) == "item-not-found"
    # A reaction has no text and stays all the same.
    reaction = bo.make_message(mto=room, mtype="groupchat")
    reactions = ET.SubElement(reaction.xml, "{urn:xmpp:reactions:0}reactions", {"id": stanza_id(first)})
    ET.SubElement(reactions, "{urn:xmpp:reactions:0}reaction").text = "\N{THUMBS UP SIGN}"
    reaction.send()
    seen = await ana.until("a reaction", lambda s: s.xml.find("{urn:xmpp:reactions:0}reactions") is not None)
    assert stanza_id(seen)
    page, _ = await archived(ana, room)
    assert any(m.find("{urn:xmpp:reactions:0}reactions") is not None for _, _, m in page)
    # Typing does not.
    typing = bo.make_message(mto=room, mtype="groupchat")
    ET.SubElement(typing.xml, "{http://jabber.org/protocol/chatstates}composing")
    typing.send()
    seen = await ana.until("typing", lambda s: s.xml.find("{http://jabber.org/protocol/chatstates}composing") is not None)
    assert stanza_id(seen) is None
    # Nor does any other thing of the moment, and all see it once.
    for name in ("{http://jabber.org/protocol/chatstates}paused", "{example:whiteboard}stroke"):
        passing = bo.make_message(mto=room, mtype="groupchat")
        ET.SubElement(passing.xml, name)
        passing.send()
        for client in (ana, bo):
            seen = await client.until(name, lambda s: s.name == "message" and s.xml.find(name) is not None)
            assert str(seen["from"]) == f"{room}/bo" and stanza_id(seen) is None, seen
    for client in (ana, bo):
        await client.never("it twice", lambda s: s.name == "message" and s.xml.find("{example:whiteboard}stroke") is not None)
    # One's own message, taken back.
    second = await ana.say(room, "a secret")
    back = ana.make_message(mto=room, mtype="groupchat")
    ET.SubElement(back.xml, "{urn:xmpp:message-retract:1}retract", {"id": stanza_id(second)})
    back.send()
    seen = await bo.until("a retraction", lambda s: s.xml.find("{urn:xmpp:message-retract:1}retract") is not None)
    assert seen.xml.find("{urn:xmpp:message-retract:1}retract").get("id") == stanza_id(second)
    page, _ = await archived(bo, room)
    assert "a secret" not in [b for _, b, _ in page]
    tombstone = next(m for i, _, m in page if i == stanza_id(second))
    assert tombstone.find("{urn:xmpp:message-retract:1}retracted") is not None
    # Somebody else's, by who moderates; not by others.
    third = await bo.say(room, "rude")
    moderate = (f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{stanza_id(third)}'><retract xmlns='urn:xmpp:message-retract:1'/>"
                "<reason>be kind</reason></moderate>")
    cleo = await server.client("cleo")
    await cleo.join(room, "cleo")
    assert await cleo.refused(room, moderate, "set") == "forbidden"
    await ana.ask(room, moderate, "set")
    seen = await bo.until("moderation", lambda s: s.name == "message" and s.xml.find("{urn:xmpp:message-retract:1}retract/{urn:xmpp:message-moderate:1}moderated") is not None)
    retract = seen.xml.find("{urn:xmpp:message-retract:1}retract")
    assert retract.get("id") == stanza_id(third) and seen["from"] == room
    assert retract.find("{urn:xmpp:message-retract:1}reason").text == "be kind"


async def markers_hints_and_alerts(server):
    """What goes with a message, or comes without a text: markers (XEP-0333), hints of what is kept (XEP-0334), alerts (XEP-0224)."""
    web = Web("bo")
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "hints")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    displayed, note = "{urn:xmpp:chat-markers:0}displayed", "{example:note}note"
    markable = ET.Element("{urn:xmpp:chat-markers:0}markable")
    said = await ana.say(room, "read this", children=[markable])
    heard = await bo.heard(room, "read this")
    assert heard.xml.find(markable.tag) is not None
    marker = bo.make_message(mto=room, mtype="groupchat")
    ET.SubElement(marker.xml, displayed, {"id": stanza_id(said)})
    marker.send()
    seen = await ana.until("a marker", lambda s: s.xml.find(displayed) is not None)
    assert stanza_id(seen), "it is kept, for those who come later"
    page, _ = await archived(ana, room)
    assert [m.find(displayed).get("id") for _, _, m in page if m.find(displayed) is not None] == [stanza_id(said)]

    for hint, kept in (("store", True), ("no-store", False), ("no-permanent-store", False), ("no-copy", False)):
        message = bo.make_message(mto=room, mtype="groupchat")
        ET.SubElement(message.xml, note).text = hint
        ET.SubElement(message.xml, f"{{urn:xmpp:hints}}{hint}")
        message.send()
        seen = await ana.until(hint, lambda s: s.name == "message" and s.xml.find(note) is not None and s.xml.find(note).text == hint)
        assert (stanza_id(seen) is not None) == kept, seen
    page, _ = await archived(ana, room)
    assert [m.find(note).text for _, _, m in page if m.find(note) is not None] == ["store"]
    # The records of a room are complete: no hint takes out what was said.
    await ana.say(room, "off the record", children=[ET.Element("{urn:xmpp:hints}no-store")])
    page, _ = await archived(ana, room)
    assert page[-1][1] == "off the record"

    attention = "{urn:xmpp:attention:0}attention"
    number = web.number_of(room)
    await ana.say(room, "come now", children=[ET.Element(attention)])
    heard = await bo.heard(room, "come now")
    assert len(heard.xml.findall(attention)) == 1
    last = web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"][-1]
    assert last["message"]["alert"] is True, last
    web.ask("POST", f"/rooms/{number}/messages", {"text": "I come", "alert": True, "client_id": str(uuid.uuid4())})
    heard = await ana.heard(room, "I come")
    assert len(heard.xml.findall(attention)) == 1


async def forged_ids_are_taken_off(server):
    ana = await server.client("ana")
    room = a_room(server, "forged")
    await ana.join(room, "ana")
    forged = ET.Element("{urn:xmpp:sid:0}stanza-id", {"by": room, "id": "1-00000000"})
    said = await ana.say(room, "x", children=[forged])
    found = said.xml.findall("{urn:xmpp:sid:0}stanza-id")
    assert len(found) == 1 and found[0].get("id") != "1-00000000"


async def self_ping(server):
    ana = await server.client("ana")
    room = a_room(server, "ping")
    ping = "<ping xmlns='urn:xmpp:ping'/>"
    assert await ana.refused(f"{room}/ana", ping) == "not-acceptable"
    await ana.join(room, "ana")
    assert await ana.ask(f"{room}/ana", ping) is None
    ana.make_presence(pto=f"{room}/ana", ptype="unavailable").send()
    await ana.until("its own end", lambda s: s.name == "presence" and s["type"] == "unavailable")
    assert await ana.refused(f"{room}/ana", ping) == "not-acceptable"


async def settings_and_lists(server):
    ana, bo, cleo = await server.client("ana"), await server.client("bo"), await server.client("cleo")
    room = a_room(server, "lists")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    owner = "http://jabber.org/protocol/muc#owner"
    admin = "http://jabber.org/protocol/muc#admin"
    assert await bo.refused(room, f"<query xmlns='{owner}'/>") == "forbidden"
    form = await ana.ask(room, f"<query xmlns='{owner}'/>")
    names = {f.get("var") for f in form.iter("{jabber:x:data}field")}
    assert {"muc#roomconfig_membersonly", "muc#roomconfig_moderatedroom", "muc#roomconfig_publicroom"} <= names

    async def configure(**values):
        fields = "".join(f"<field var='muc#roomconfig_{k}'><value>{v}</value></field>" for k, v in values.items())
        await ana.ask(room, f"<query xmlns='{owner}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                            f"<value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>", "set")

    await configure(roomdesc="for lists")
    await bo.until("that the settings changed", lambda s: s.name == "message" and "104" in codes(s))
    info = await cleo.ask(room, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    features = {f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")}
    assert {"muc_open", "muc_persistent", "muc_nonanonymous", "muc_public", "urn:xmpp:mam:2"} <= features
    # A closed room puts out who is no member, and lets no one else in.
    await configure(membersonly="1")
    out = await bo.until("to be put out", lambda s: s.name == "presence" and s["from"] == f"{room}/bo" and s["type"] == "unavailable")
    assert "322" in codes(out) and "110" in codes(out), codes(out)
    assert error_of(await cleo.join(room, "cleo")) == "registration-required"
    await ana.ask(room, f"<query xmlns='{admin}'><item affiliation='member' jid='{server.jid('cleo')}'/></query>", "set")
    own = await cleo.join(room, "cleo")
    assert item(own).get("affiliation") == "member"
    members = await ana.ask(room, f"<query xmlns='{admin}'><item affiliation='member'/></query>")
    assert [i.get("jid") for i in members] == [server.jid("cleo")]
    # An auditorium gives voice to presenters.
    await configure(moderatedroom="1")
    own = await cleo.until("to be a visitor", lambda s: s.name == "presence" and s["from"] == f"{room}/cleo" and item(s).get("role") == "visitor")
    refused = await cleo.say(room, "may I?")
    assert refused["type"] == "error" and error_of(refused) == "forbidden"
    ask = cleo.make_message(mto=room)
    ask.xml.append(ET.fromstring("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>"
                                 "<field var='muc#role'><value>participant</value></field></x>"))
    ask.send()
    await ana.until("a request to speak", lambda s: s.name == "message" and s["from"] == room and s.xml.find("{jabber:x:data}x") is not None)
    await ana.ask(room, f"<query xmlns='{admin}'><item role='participant' nick='cleo'/></query>", "set")
    own = await cleo.until("to have a voice", lambda s: s.name == "presence" and s["from"] == f"{room}/cleo" and item(s).get("role") == "participant")
    assert own.xml.find("{urn:xmpp:hats:0}hats/{urn:xmpp:hats:0}hat").get("title") == "Presenter"
    assert (await cleo.say(room, "thank you"))["type"] == "groupchat"
    # Losing membership puts out.
    await ana.ask(room, f"<query xmlns='{admin}'><item affiliation='none' jid='{server.jid('cleo')}'/></query>", "set")
    out = await cleo.until("to be put out", lambda s: s.name == "presence" and s["from"] == f"{room}/cleo" and s["type"] == "unavailable")
    assert "321" in codes(out), codes(out)
    # A hidden room is not listed and not told of.
    await configure(publicroom="0")
    listed = await cleo.ask(server.rooms, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
    assert room not in [i.get("jid") for i in listed]
    assert await cleo.refused(room, "<query xmlns='http://jabber.org/protocol/disco#info'/>") == "item-not-found"


async def kicks(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "kick")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{}' role='none'><reason>enough</reason></item></query>"
    assert await bo.refused(room, kick.format("ana"), "set") == "forbidden"
    await ana.ask(room, kick.format("bo"), "set")
    out = await bo.until("to be sent out", lambda s: s.name == "presence" and s["from"] == f"{room}/bo" and s["type"] == "unavailable")
    assert {"307", "110"} <= set(codes(out))
    seen = await ana.until("bo is sent out", lambda s: s.name == "presence" and s["from"] == f"{room}/bo" and s["type"] == "unavailable")
    assert "307" in codes(seen) and item(seen).find(f"{MUC_USER}reason").text == "enough", seen
    assert "110" in codes(await bo.join(room, "bo")), "he may come again"


async def a_request_to_speak(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "speak")
    await ana.join(room, "ana")
    await ana.ask(room, "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                        "<value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_moderatedroom'><value>1</value></field></x></query>", "set")
    assert item(await bo.join(room, "bo")).get("role") == "visitor"
    ask = bo.make_message(mto=room)
    ask.xml.append(ET.fromstring("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>"
                                 "<field var='muc#role'><value>participant</value></field></x>"))
    ask.send()
    asked = await ana.until("a request to speak", lambda s: s.name == "message" and s["from"] == room and s.xml.find("{jabber:x:data}x") is not None)
    fields = {f.get("var"): f[0].text for f in asked.xml.iter("{jabber:x:data}field") if len(f)}
    assert (fields["muc#jid"], fields["muc#roomnick"]) == (bo.boundjid.full, "bo"), fields
    # What the form says goes back with a yes.
    answer = ana.make_message(mto=room)
    answer.xml.append(ET.fromstring("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>"
                                    f"<field var='muc#jid'><value>{fields['muc#jid']}</value></field><field var='muc#request_allow'><value>1</value></field></x>"))
    answer.send()
    has_a_voice = lambda s: s.name == "presence" and s["from"] == f"{room}/bo" and item(s).get("role") == "participant"
    await bo.until("to have a voice", has_a_voice)
    await ana.until("that he has one", has_a_voice)


async def invitations(server):
    ana, bo, cleo = await server.client("ana"), await server.client("bo"), await server.client("cleo")
    room = a_room(server, "invite")
    await ana.join(room, "ana")
    await ana.ask(room, "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                        "<value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query>", "set")
    invite = ana.make_message(mto=room)
    x = ET.SubElement(invite.xml, f"{MUC_USER}x")
    one = ET.SubElement(x, f"{MUC_USER}invite", {"to": server.jid("bo")})
    ET.SubElement(one, f"{MUC_USER}reason").text = "tea?"
    invite.send()
    got = await bo.until("an invitation", lambda s: s.name == "message" and s["from"] == room and s.xml.find(f"{MUC_USER}x/{MUC_USER}invite/{MUC_USER}reason") is not None)
    assert got.xml.find(f"{MUC_USER}x/{MUC_USER}invite").get("from") == server.jid("ana")
    assert item(await bo.join(room, "bo")).get("affiliation") == "member", "who is invited into a closed room is a member"
    decline = bo.make_message(mto=room)
    x = ET.SubElement(decline.xml, f"{MUC_USER}x")
    ET.SubElement(x, f"{MUC_USER}decline", {"to": server.jid("ana")})
    decline.send()
    await ana.until("that it is declined", lambda s: s.name == "message" and s.xml.find(f"{MUC_USER}x/{MUC_USER}decline") is not None)
    # A direct one is a message like others.
    direct = ana.make_message(mto=server.jid("cleo"))
    ET.SubElement(direct.xml, "{jabber:x:conference}x", {"jid": room})
    direct.send()
    await cleo.until("a direct invitation", lambda s: s.xml.find("{jabber:x:conference}x") is not None)


async def subjects(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "subject")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    ana.make_message(mto=room, mtype="groupchat", msubject="biscuits").send()
    is_subject = lambda text: lambda s: s.name == "message" and s["subject"] == text and s["from"].bare == room
    seen = await bo.until("the subject", is_subject("biscuits"))
    assert seen["from"] == f"{room}/ana"
    bo.make_message(mto=room, mtype="groupchat", msubject="mine").send()
    refused = await bo.until("to be refused", lambda s: s.name == "message" and s["type"] == "error")
    assert error_of(refused) == "forbidden"
    cleo = await server.client("cleo")
    await cleo.join(room, "cleo")
    await cleo.until("the subject on entering", is_subject("biscuits"))


async def whispers(server):
    ana, bo, cleo = await server.client("ana"), await server.client("bo"), await server.client("cleo")
    room = a_room(server, "whisper")
    for client, nick in ((ana, "ana"), (bo, "bo"), (cleo, "cleo")):
        await client.join(room, nick)
    ana.make_message(mto=f"{room}/bo", mbody="psst", mtype="chat").send()
    got = await bo.until("a whisper", lambda s: s["body"] == "psst")
    assert got["from"] == f"{room}/ana" and got["type"] == "chat"
    await cleo.never("a whisper to bo", lambda s: s["body"] == "psst")
    ana.make_message(mto=f"{room}/nobody", mbody="hm", mtype="chat").send()
    refused = await ana.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "item-not-found"


async def a_message_that_is_sent_again_comes_once(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "again")
    await ana.join(room, "ana")
    await bo.join(room, "bo")
    same = str(uuid.uuid4())
    await ana.say(room, "once", id=same)
    again = ana.make_message(mto=room, mbody="once", mtype="groupchat")
    again["id"] = same
    again.send()
    await ana.say(room, "after")
    await bo.heard(room, "once")
    await bo.heard(room, "after")
    assert not [s for s in bo.seen if s["body"] == "once"]
    # Ids that are unique in a stream only do not swallow anything.
    await ana.say(room, "one", id="1")
    other = await server.client("ana", resource="other")
    await other.join(room, "ana")
    await other.say(room, "one", id="1")
    page, _ = await archived(bo, room)
    assert [b for _, b, _ in page] == ["once", "after", "one", "one"], [b for _, b, _ in page]


async def seen_as_they_are(server):
    """Whoever is in a room is seen there under his nick and as his client says, and it is told how he goes."""
    ana, bo, cleo = await server.client("ana"), await server.client("bo"), await server.client("cleo")
    dora = await server.client("dora")
    room = a_room(server, "seen")
    admin = "http://jabber.org/protocol/muc#admin"
    is_at = lambda nick, kind: lambda s: s.name == "presence" and s["from"] == f"{room}/{nick}" and s["type"] == kind
    first = "Ana the First"
    await ana.join(room, first)
    caps = ET.Element("{http://jabber.org/protocol/caps}c", {"hash": "sha-1", "node": "urn:test", "ver": "AAAA"})
    says = ana.make_presence(pto=f"{room}/{first}", pshow="away", pstatus="tea")
    says.append(caps)
    says.send()
    await ana.until("her own presence", is_at(first, "away"))
    await server.settle()
    # Somebody who comes sees that, and what it says later.
    await bo.join(room, "Bobo")
    seen = await bo.until("ana as she is", is_at(first, "away"))
    assert seen["status"] == "tea" and item(seen).get("jid") == ana.boundjid.full, seen
    assert seen.xml.find("{http://jabber.org/protocol/caps}c").get("node") == "urn:test", seen
    await cleo.join(room, "cleo")
    came = await ana.until("bo under his nick", is_at("Bobo", "available"))
    assert item(came).get("jid") == bo.boundjid.full, came
    bo.send_presence(pto=f"{room}/Bobo", pshow="dnd", pstatus="busy")
    seen = await ana.until("that bo is busy", is_at("Bobo", "dnd"))
    assert seen["status"] == "busy", seen
    bo.send_presence(pto=f"{room}/Robert", pshow="dnd")
    gone = await ana.until("his old nick to go", is_at("Bobo", "unavailable"))
    assert "303" in codes(gone) and item(gone).get("nick") == "Robert", gone
    await ana.until("his new nick", is_at("Robert", "dnd"))
    await ana.never("bo twice", lambda s: s.name == "presence" and s["from"] in (f"{room}/bo", f"{room}/Bobo"), moment=0.1)
    # A nick is somebody's at all servers.
    assert error_of(await dora.join(room, first.upper())) == "conflict"
    # What clients ask each other, and whispers, go by nick.
    typing = bo.make_message(mto=room, mtype="groupchat")
    ET.SubElement(typing.xml, "{http://jabber.org/protocol/chatstates}composing")
    typing.send()
    await ana.until("that bo types", lambda s: s["from"] == f"{room}/Robert" and s.xml.find("{http://jabber.org/protocol/chatstates}composing") is not None)
    ana.make_message(mto=f"{room}/Robert", mbody="psst", mtype="chat").send()
    got = await bo.until("a whisper", lambda s: s["body"] == "psst")
    assert got["from"] == f"{room}/{first}", got
    # Those who have a role are listed, wherever they are.
    named = lambda query: sorted(i.get("nick") for i in query)
    moderators = await bo.ask(room, f"<query xmlns='{admin}'><item role='moderator'/></query>")
    assert named(moderators) == [first], named(moderators)
    # Somebody who is there by the web alone stands among them, and hears no whisper: that is said, though he has a client that is not there.
    web = Web("dora")
    number = web.number_of(room)
    async with web.inside(number):
        await ana.until("dora, who is there by the web", is_at("dora", "available"))
        participants = await ana.ask(room, f"<query xmlns='{admin}'><item role='participant'/></query>")
        assert named(participants) == ["Robert", "cleo", "dora"], named(participants)
        ana.make_message(mto=f"{room}/dora", mbody="lost", mtype="chat").send()
        refused = await ana.until("to be refused", lambda s: s.name == "message" and s["type"] == "error")
        assert error_of(refused) == "item-not-found"
        kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{}' role='none'><reason>enough</reason></item></query>"
        assert await ana.refused(room, kick.format("dora"), "set") == "not-allowed"
        # With a client under her own name as well she is one occupant, and stays when that goes.
        await dora.join(room, "dora")
        dora.send_presence(pto=f"{room}/dora", pshow="xa")
        await ana.until("dora's client", is_at("dora", "xa"))
        await dora.stop()
        await ana.until("dora without it", is_at("dora", "available"))
    await ana.until("dora to go", is_at("dora", "unavailable"))
    # How they go: with a word, sent out, put out.
    bo.make_presence(pto=f"{room}/Robert", ptype="unavailable", pstatus="off to bed").send()
    for one in (ana, cleo):
        gone = await one.until("bo to go", is_at("Robert", "unavailable"))
        assert gone["status"] == "off to bed" and not codes(gone), gone
    await bo.join(room, "Bobo")
    await ana.ask(room, kick.format("cleo"), "set")
    for one in (ana, bo):
        gone = await one.until("cleo to be sent out", is_at("cleo", "unavailable"))
        is_item = item(gone)
        assert "307" in codes(gone) and is_item.find(f"{MUC_USER}reason").text == "enough", gone
        assert is_item.find(f"{MUC_USER}actor").get("nick") == first, gone
    await cleo.join(room, "cleo")
    await ana.ask(room, f"<query xmlns='{admin}'><item affiliation='member' jid='{server.jid('cleo')}'/></query>", "set")
    await ana.ask(room, "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                        "<value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query>", "set")
    for one in (ana, cleo):
        await one.until("bo to be put out", lambda s: is_at("Bobo", "unavailable")(s) and "322" in codes(s))
    # Whose client is lost is gone for all.
    await cleo.stop()
    await ana.until("cleo to go", is_at("cleo", "unavailable"))


async def the_end_of_a_room(server):
    root, bo = await server.client("root"), await server.client("bo")
    room = a_room(server, "end")
    await root.join(room, "root")
    await bo.join(room, "bo")
    await root.ask(room, "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>", "set")
    out = await bo.until("the end", lambda s: s.name == "presence" and s["from"].bare == room and s["type"] == "unavailable")
    assert out.xml.find(f"{MUC_USER}x/{MUC_USER}destroy") is not None


async def the_web_and_xmpp_in_one_room(server):
    """Whoever speaks by the web and whoever speaks by XMPP see the same, in the same order."""
    web = Web("bo")
    ana = await server.client("ana")
    room = a_room(server, "both")
    await ana.join(room, "ana")
    number = web.number_of(room)
    expected = []
    for i in range(6):
        text = f"line {i}"
        if i % 2:
            web.ask("POST", f"/rooms/{number}/messages", {"text": text, "client_id": str(uuid.uuid4())})
            heard = await ana.heard(room, text)
            assert heard["from"] == f"{room}/bo"
        else:
            await ana.say(room, text)
        expected.append(text)
    by_web = [e for e in web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"] if e["kind"] == "message"]
    page, _ = await archived(ana, room)
    assert [e["message"]["text"] for e in by_web] == [b for _, b, _ in page] == expected
    assert [int(i.split("-")[0]) for i, _, _ in page] == [e["seq"] for e in by_web]
    # An edit by the web is a correction, one by XMPP an edit.
    sent = web.ask("POST", f"/rooms/{number}/messages", {"text": "by web", "client_id": str(uuid.uuid4())})
    original = await ana.heard(room, "by web")
    web.ask("PATCH", f"/rooms/{number}/messages/{by_web[1]['seq']}", {"text": "line one", "client_id": str(uuid.uuid4())})
    seen = await ana.heard(room, "line one")
    corrected = seen.xml.find("{urn:xmpp:message-correct:0}replace").get("id")
    assert corrected == next(m.get("id") for _, b, m in page if b == "line 1")
    first = next(m for _, b, m in page if b == "line 0")
    await ana.say(room, "line zero", children=[ET.Element("{urn:xmpp:message-correct:0}replace", {"id": first.get("id")})])
    back = ana.make_message(mto=room, mtype="groupchat")
    ET.SubElement(back.xml, "{urn:xmpp:message-retract:1}retract", {"id": page[2][0]})
    back.send()
    await ana.until("the retraction", lambda s: s.xml.find("{urn:xmpp:message-retract:1}retract") is not None)
    now = {e["seq"]: e for e in web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"] if e["kind"] == "message"}
    assert now[by_web[0]["seq"]]["message"]["text"] == "line zero" and now[by_web[0]["seq"]]["edited"]
    assert now[by_web[2]["seq"]]["message"] is None and now[by_web[2]["seq"]]["removed"]["how"] == "retracted"
    assert original is not None and sent
    # What somebody does rather than says, and a correction that makes the one of the other.
    acted = web.ask("POST", f"/rooms/{number}/messages", {"text": "waves", "action": True, "client_id": str(uuid.uuid4())})
    await ana.heard(room, "/me waves")
    web.ask("PATCH", f"/rooms/{number}/messages/{acted['seq']}", {"text": "bows", "client_id": str(uuid.uuid4())})
    await ana.heard(room, "/me bows")
    mine = await ana.say(room, "/me nods")
    for text, shown, action in [("/me nods twice", "nods twice", True), ("yes", "yes", False), ("/me nods again", "nods again", True)]:
        await ana.say(room, text, children=[ET.Element("{urn:xmpp:message-correct:0}replace", {"id": mine["id"]})])
        last = web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"]
        message = [e for e in last if e["kind"] == "message"][-1]["message"]
        assert (message["text"], message["action"]) == (shown, action), message
        edit = last[-1]["edit"]
        assert (edit["text"], edit["action"], edit["files"]) == (shown, action, None), edit


async def a_crowd(server):
    """In a room of more people than the roster limit (3 here) coming is not told, what is said is, and nobody stays as a ghost."""
    room = a_room(server, "crowd")
    names = ["ana", "bo", "cleo", "dora", "emil", "fred"]
    clients = []
    for name in names:
        client = await server.client(name)
        assert "110" in codes(await client.join(room, name))
        clients.append(client)
    first, last = clients[0], clients[-1]
    await last.never("who is there", lambda s: s.name == "presence" and s["from"].bare == room)
    said = await last.say(room, "can you hear me?")
    for client in clients[:-1]:
        assert stanza_id(await client.heard(room, "can you hear me?")) == stanza_id(said)
    for client in clients[1:5]:
        await client.stop()
    # There are two again, fewer than four fifths of the limit: everybody is told who is there.
    await first.until("fred, of whom it was not told", lambda s: s.name == "presence" and s["from"] == f"{room}/fred" and s["type"] == "available")
    await last.until("ana, of whom it was not told", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "available")


async def what_cannot_be(server):
    ana = await server.client("ana")
    room = a_room(server, "hostile")
    ana.make_message(mto=room, mbody="x", mtype="groupchat").send()
    refused = await ana.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "not-acceptable"
    ana.make_presence(pto=room).send()
    refused = await ana.until("to be refused", lambda s: s.name == "presence" and s["type"] == "error")
    assert error_of(refused) == "jid-malformed"
    await ana.join(room, "ana")
    long = await ana.say(room, "x" * 9000)
    assert long["type"] == "error" and error_of(long) == "not-acceptable"
    empty = ana.make_message(mto=room, mtype="groupchat")
    ET.SubElement(empty.xml, "{jabber:client}body").text = "  "
    empty.send()
    refused = await ana.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "not-acceptable"
    assert await ana.refused(room, "<nonsense xmlns='a:b'/>") == "service-unavailable"
    assert await ana.refused(server.rooms, "<nonsense xmlns='a:b'/>") == "service-unavailable"
    assert await ana.refused("nobody@elsewhere.example", "<ping xmlns='urn:xmpp:ping'/>") == "remote-server-not-found"
    # A room that another made is not made again, whatever the case of its name.
    upper = room.split("@")[0].upper()
    ana.make_presence(pto=f"{upper}@{server.rooms}/ana").send()
    own = await ana.until("to be in the same room", lambda s: s.name == "presence" and s["from"].bare == room)
    assert "201" not in codes(own)


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value) and name != "archived"})
