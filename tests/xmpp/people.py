"""What people have besides rooms: messages to each other, presence, and what their clients keep."""

import asyncio
import base64
import hashlib
import json
import os
import urllib.request
import uuid

from client import Client, ET, IqError, PASSWORD, Web, error_of, results, run, stanza_id

MAM = "urn:xmpp:mam:2"
PUBSUB = "http://jabber.org/protocol/pubsub"


async def own_archive(client, **fields):
    form = "".join(f"<field var='{k.replace('_', '-')}'><value>{v}</value></field>" for k, v in fields.items())
    x = f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>{form}</x>"
    fin = await client.ask(client.boundjid.bare, f"<query xmlns='{MAM}'>{x}<set xmlns='http://jabber.org/protocol/rsm'><max>200</max></set></query>", "set")
    return [(i, body) for i, body, _ in results(client)], fin


def says(text):
    return lambda s: s.name == "message" and s["body"] == text


async def one_to_one(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    text = f"hello {uuid.uuid4()}"
    ana.make_message(mto=server.jid("bo"), mbody=text, mtype="chat").send()
    got = await bo.until("a message", says(text))
    assert got["from"] == ana.boundjid.full and stanza_id(got)
    for client, other in ((ana, "bo"), (bo, "ana")):
        page, _ = await own_archive(client, **{"with": server.jid(other)})
        assert page[-1] == (stanza_id(got), text), "both have it in their archives under the id that was told"
    cleo = await server.client("cleo")
    page, _ = await own_archive(cleo)
    assert text not in [b for _, b in page]
    page, fin = await own_archive(ana, after_id=stanza_id(got))
    assert page == [] and fin.get("complete") == "true"
    assert await cleo.refused(cleo.boundjid.bare, f"<query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'><after>{stanza_id(got)}</after></set></query>", "set") == "item-not-found"
    ana.make_message(mto=server.jid("nobody"), mbody="x", mtype="chat").send()
    refused = await ana.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "service-unavailable"


async def carbons(server):
    ana, other, bo = await server.client("ana", resource="one"), await server.client("ana", resource="two"), await server.client("bo")
    # The other does not take messages by itself, but copies.
    other.send_presence(ppriority=-1)
    await other.ask(None, "<enable xmlns='urn:xmpp:carbons:2'/>", "set")
    text = f"to bo {uuid.uuid4()}"
    ana.make_message(mto=server.jid("bo"), mbody=text, mtype="chat").send()
    path = "{urn:xmpp:carbons:2}%s/{urn:xmpp:forward:0}forwarded/{jabber:client}message/{jabber:client}body"
    copy = await other.until("a copy of what was sent", lambda s: s.xml.find(path % "sent") is not None)
    assert copy.xml.find(path % "sent").text == text and copy["from"] == server.jid("ana")
    text = f"to ana {uuid.uuid4()}"
    bo.make_message(mto=ana.boundjid.full, mbody=text, mtype="chat").send()
    await ana.until("the message", says(text))
    copy = await other.until("a copy of what came", lambda s: s.xml.find(path % "received") is not None)
    assert copy.xml.find(path % "received").text == text
    private = bo.make_message(mto=ana.boundjid.full, mbody="private", mtype="chat")
    ET.SubElement(private.xml, "{urn:xmpp:carbons:2}private")
    private.send()
    await ana.until("the private message", says("private"))
    await other.never("a copy of it", lambda s: s.xml.find(path % "received") is not None)


async def messages_wait_for_whoever_is_away(server):
    ana = await server.client("ana")
    text = f"later {uuid.uuid4()}"
    ana.make_message(mto=server.jid("hans"), mbody=text, mtype="chat").send()
    await asyncio.sleep(0.5)
    hans = await server.client("hans")
    got = await hans.until("what waited", says(text))
    assert got.xml.find("{urn:xmpp:delay}delay") is not None and stanza_id(got)
    await hans.stop()
    again = await server.client("hans")
    await again.never("it twice", says(text))


async def subscriptions(server):
    dora, emil = await server.client("dora"), await server.client("emil")
    dora.send_presence(pto=server.jid("emil"), ptype="subscribe")
    asked = await emil.until("to be asked", lambda s: s.name == "presence" and s["type"] == "subscribe")
    assert asked["from"] == server.jid("dora")
    emil.send_presence(pto=server.jid("dora"), ptype="subscribed")
    await dora.until("to be let see", lambda s: s.name == "presence" and s["type"] == "subscribed")
    seen = await dora.until("his presence", lambda s: s.name == "presence" and s["from"] == emil.boundjid.full and s["type"] == "available")
    assert seen
    emil.send_presence(pshow="dnd", pstatus="busy")
    await dora.until("his new presence", lambda s: s.name == "presence" and s["from"] == emil.boundjid.full and s["show"] == "dnd")
    roster = await dora.ask(None, "<query xmlns='jabber:iq:roster'/>")
    assert [(i.get("jid"), i.get("subscription")) for i in roster] == [(server.jid("emil"), "to")]
    roster = await emil.ask(None, "<query xmlns='jabber:iq:roster'/>")
    assert [(i.get("jid"), i.get("subscription")) for i in roster] == [(server.jid("dora"), "from")]
    await dora.ask(None, f"<query xmlns='jabber:iq:roster'><item jid='{server.jid('emil')}' name='Emil'><group>Friends</group></item></query>", "set")
    roster = await dora.ask(None, "<query xmlns='jabber:iq:roster'/>")
    assert roster[0].get("name") == "Emil" and roster[0][0].text == "Friends" and roster[0].get("subscription") == "to"
    await emil.stop()
    await dora.until("his end", lambda s: s.name == "presence" and s["from"] == emil.boundjid.full and s["type"] == "unavailable")
    await dora.ask(None, f"<query xmlns='jabber:iq:roster'><item jid='{server.jid('emil')}' subscription='remove'/></query>", "set")
    assert len(await dora.ask(None, "<query xmlns='jabber:iq:roster'/>")) == 0
    assert await dora.refused(None, f"<query xmlns='jabber:iq:roster'><item jid='{server.jid('emil')}' subscription='remove'/></query>", "set") == "item-not-found"


async def blocking(server):
    ana, fred = await server.client("ana"), await server.client("fred")
    await fred.ask(None, f"<block xmlns='urn:xmpp:blocking'><item jid='{server.jid('ana')}'/></block>", "set")
    listed = await fred.ask(None, "<blocklist xmlns='urn:xmpp:blocking'/>")
    assert [i.get("jid") for i in listed] == [server.jid("ana")]
    ana.make_message(mto=server.jid("fred"), mbody="hey", mtype="chat").send()
    refused = await ana.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "service-unavailable"
    fred.make_message(mto=server.jid("ana"), mbody="hey", mtype="chat").send()
    refused = await fred.until("to be refused", lambda s: s["type"] == "error")
    assert error_of(refused) == "not-acceptable" and refused.xml.find(".//{urn:xmpp:blocking:errors}blocked") is not None
    await fred.ask(None, "<unblock xmlns='urn:xmpp:blocking'/>", "set")
    ana.make_message(mto=server.jid("fred"), mbody="hey again", mtype="chat").send()
    await fred.until("a message", says("hey again"))


async def blocking_ends_presence_both_ways(server):
    dora, emil = await server.client("dora"), await server.client("emil")
    is_from = lambda who, kind: lambda s: s.name == "presence" and s["from"] == who.boundjid.full and s["type"] == kind
    for one, other in ((dora, emil), (emil, dora)):
        one.send_presence(pto=other.boundjid.bare, ptype="subscribe")
        await other.until("to be asked", lambda s: s["type"] == "subscribe")
        other.send_presence(pto=one.boundjid.bare, ptype="subscribed")
        await one.until("the presence", is_from(other, "available"))
    await dora.ask(None, f"<block xmlns='urn:xmpp:blocking'><item jid='{server.jid('emil')}'/></block>", "set")
    await emil.until("dora to go", is_from(dora, "unavailable"))
    await dora.until("emil to go", is_from(emil, "unavailable"))
    dora.send_presence(pstatus="hidden from emil")
    emil.send_presence(pstatus="hidden from dora")
    again = await server.client("dora", resource="again")
    for client, other in ((dora, emil), (again, emil), (emil, dora)):
        await client.never("a presence of somebody blocked", lambda s: s.name == "presence" and s["from"].bare == other.boundjid.bare and s["type"] == "available", 0.3)
    await dora.ask(None, "<unblock xmlns='urn:xmpp:blocking'/>", "set")
    back = await emil.until("dora back", is_from(dora, "available"))
    assert back["status"] == "hidden from emil"
    back = await dora.until("emil back", is_from(emil, "available"))
    assert back["status"] == "hidden from dora"


async def a_client_of_another_is_asked(server):
    """What one client asks another goes there and back, whichever servers they are at."""
    ana, bo = await server.client("ana"), await server.client("bo")
    said = await ana.ask(bo.boundjid.full, "<query xmlns='jabber:iq:version'/>")
    assert said.find("{jabber:iq:version}name").text, said
    assert await ana.refused(f"{server.jid('bo')}/none", "<query xmlns='jabber:iq:version'/>") == "service-unavailable"
    # To one client of somebody, and as a state that nobody keeps.
    state = ana.make_message(mto=bo.boundjid.full, mtype="chat")
    ET.SubElement(state.xml, "{http://jabber.org/protocol/chatstates}composing")
    state.send()
    await bo.until("that ana writes", lambda s: s.name == "message" and s.xml.find("{http://jabber.org/protocol/chatstates}composing") is not None)


async def the_same_client_again(server):
    """A client that comes again takes the place of its connection that was there before, and its presence does not end with that."""
    gina, hans = await server.client("gina"), await server.client("hans")
    hans.send_presence(pto=server.jid("gina"), ptype="subscribe")
    await gina.until("to be asked", lambda s: s["type"] == "subscribe")
    gina.send_presence(pto=server.jid("hans"), ptype="subscribed")
    is_from_gina = lambda kind: lambda s: s.name == "presence" and s["from"] == gina.boundjid.full and s["type"] == kind
    await hans.until("her presence", is_from_gina("available"))
    ended = gina.ended
    await server.client("cleo")
    again = await server.client("gina")
    assert again.boundjid.full == gina.boundjid.full
    await asyncio.wait([ended], timeout=15)
    assert ended.done(), "the one before is still there"
    await server.settle()
    again.send_presence(pstatus="here again")
    await hans.until("her presence", lambda s: s.name == "presence" and s["from"] == again.boundjid.full and s["status"] == "here again")
    hans.seen.clear()
    await hans.never("her end", is_from_gina("unavailable"), 1)
    hans.make_message(mto=server.jid("gina"), mbody="which one?", mtype="chat").send()
    await again.until("a message", says("which one?"))


async def a_roster_that_is_known_is_not_sent_again(server):
    fred = await server.client("fred")
    ask = lambda ver: fred.ask(None, f"<query xmlns='jabber:iq:roster' ver='{ver}'/>")
    empty = await ask("")
    assert empty is not None and empty.get("ver")
    assert await ask(empty.get("ver")) is None, "unchanged"
    pushed = asyncio.get_event_loop().create_future()
    fred.add_filter("in", lambda s: (pushed.done() or s.xml.find("{jabber:iq:roster}query") is None or s["type"] != "set" or pushed.set_result(s.xml.find("{jabber:iq:roster}query").get("ver")), s)[1])
    await fred.ask(None, f"<query xmlns='jabber:iq:roster'><item jid='{server.jid('gina')}' name='Gina'/></query>", "set")
    version = await asyncio.wait_for(pushed, 15)
    changed = await ask(empty.get("ver"))
    assert [i.get("name") for i in changed] == ["Gina"] and changed.get("ver") == version
    assert await ask(version) is None
    plain = await fred.ask(None, "<query xmlns='jabber:iq:roster'/>")
    assert len(plain) == 1 and plain.get("ver") is None, "who knows no versions is told none"


async def bookmarks_in_all_forms(server):
    gina = await server.client("gina")
    room = server.room("tea")
    options = ("<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
               "<field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field>"
               "<field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options>")
    new = (f"<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:bookmarks:1'><item id='{room}'><conference xmlns='urn:xmpp:bookmarks:1' name='Tea' autojoin='true'>"
           f"<nick>gina</nick><extensions><x xmlns='a:b'/></extensions></conference></item></publish>{options}</pubsub>")
    await gina.ask(None, new, "set")
    old = await gina.ask(None, "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>")
    found = old.find("{storage:bookmarks}storage/{storage:bookmarks}conference")
    assert found.get("jid") == room and found.get("autojoin") == "true" and found.find("{storage:bookmarks}nick").text == "gina"
    pep = await gina.ask(None, f"<pubsub xmlns='{PUBSUB}'><items node='storage:bookmarks'/></pubsub>")
    assert pep.find(".//{storage:bookmarks}conference").get("jid") == room
    # An older client adds one; the newer one's extensions stay.
    other = server.room("coffee")
    await gina.ask(None, f"<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='{room}' name='Tea' autojoin='true'><nick>gina</nick></conference>"
                         f"<conference jid='{other}' name='Coffee'/></storage></query>", "set")
    items = await gina.ask(None, f"<pubsub xmlns='{PUBSUB}'><items node='urn:xmpp:bookmarks:1'/></pubsub>")
    found = {i.get("id"): i for i in items.iter(f"{{{PUBSUB}}}item")}
    assert set(found) == {room, other}
    assert found[room].find(".//{a:b}x") is not None, "what only newer clients know is kept"
    second = await server.client("gina", resource="second")
    told = await second.until("its bookmarks, which it wants to be told of", lambda s: s.xml.find(".//{http://jabber.org/protocol/pubsub#event}items") is not None)
    await gina.ask(None, f"<pubsub xmlns='{PUBSUB}'><retract node='urn:xmpp:bookmarks:1' notify='true'><item id='{other}'/></retract></pubsub>", "set")
    conferences = lambda s: [c.get("jid") for c in s.xml.iter("{storage:bookmarks}conference")]
    assert other in conferences(told)
    await second.until("that one is gone", lambda s: conferences(s) == [room])
    assert await gina.refused(None, f"<pubsub xmlns='{PUBSUB}'><items node='no:such:node'/></pubsub>") == "item-not-found"
    wrong = options.replace("whitelist", "open")
    assert await gina.refused(None, new.replace(options, wrong), "set") == "conflict"
    ana = await server.client("ana")
    assert await ana.refused(server.jid("gina"), f"<pubsub xmlns='{PUBSUB}'><items node='urn:xmpp:bookmarks:1'/></pubsub>") == "not-authorized"


async def cards_and_private_xml(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    await ana.ask(None, "<vCard xmlns='vcard-temp'><FN>Ana Ruiz</FN><TITLE>Trader</TITLE></vCard>", "set")
    card = await bo.ask(server.jid("ana"), "<vCard xmlns='vcard-temp'/>")
    assert card.find("{vcard-temp}FN").text == "Ana Ruiz"
    card = await ana.ask(server.jid("cleo"), "<vCard xmlns='vcard-temp'/>")
    assert card.find("{vcard-temp}FN").text == "cleo"
    assert await bo.refused(server.jid("ana"), "<vCard xmlns='vcard-temp'><FN>Evil</FN></vCard>", "set") == "service-unavailable"
    await ana.ask(None, "<query xmlns='jabber:iq:private'><notes xmlns='x:notes'><one/></notes></query>", "set")
    kept = await ana.ask(None, "<query xmlns='jabber:iq:private'><notes xmlns='x:notes'/></query>")
    assert kept.find("{x:notes}notes/{x:notes}one") is not None


async def one_picture_in_both_forms(server):
    gina, hans = await server.client("gina"), await server.client("hans")
    data, meta, update = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata", "{vcard-temp:x:update}"
    features = await gina.ask(gina.boundjid.bare, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert "urn:xmpp:pep-vcard-conversion:0" in {f.get("var") for f in features}
    hash_of = lambda picture: hashlib.sha1(picture).hexdigest()
    encoded = lambda picture: base64.b64encode(picture).decode()
    shown = lambda s: [p.text for p in s.xml.iter(update + "photo")]
    items = lambda node: gina.ask(None, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
    binval = lambda card: None if card.find("{vcard-temp}PHOTO") is None else base64.b64decode(card.find("{vcard-temp}PHOTO/{vcard-temp}BINVAL").text)
    card = lambda who: who.ask(server.jid("gina"), "<vCard xmlns='vcard-temp'/>")

    # From the vCard to what is published.
    one = b"first picture"
    await gina.ask(None, f"<vCard xmlns='vcard-temp'><FN>Gina</FN><PHOTO><TYPE>image/jpeg</TYPE><BINVAL>{encoded(one)}</BINVAL></PHOTO></vCard>", "set")
    info = (await items(meta)).find(".//{%s}info" % meta)
    assert (info.get("id"), info.get("bytes"), info.get("type")) == (hash_of(one), str(len(one)), "image/jpeg")
    kept = (await items(data)).find(f".//{{{PUBSUB}}}item")
    assert kept.get("id") == hash_of(one) and base64.b64decode(kept[0].text) == one
    # And in its presence, in rooms too, without the client's doing.
    room = server.room(f"pictures-{uuid.uuid4().hex[:8]}")
    await hans.join(room, "hans")
    await gina.join(room, "gina")
    seen = await hans.until("gina", lambda s: s.name == "presence" and s["from"] == f"{room}/gina")
    assert shown(seen) == [hash_of(one)], seen
    assert binval(await hans.ask(f"{room}/gina", "<vCard xmlns='vcard-temp'/>")) == one, "an occupant's vCard"

    # From what is published to the vCard; the rest of it stays.
    two = b"second picture"
    publish = lambda node, id, payload: gina.ask(None, f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>{payload}</item></publish></pubsub>", "set")
    await publish(data, hash_of(two), f"<data xmlns='{data}'>{encoded(two)}</data>")
    await publish(meta, hash_of(two), f"<metadata xmlns='{meta}'><info bytes='{len(two)}' id='{hash_of(two)}' type='image/png'/></metadata>")
    told = await card(hans)
    assert binval(told) == two and told.find("{vcard-temp}FN").text == "Gina" and told.find("{vcard-temp}PHOTO/{vcard-temp}TYPE").text == "image/png"
    gina.send_presence(pto=f"{room}/gina", pstatus="new")
    seen = await hans.until("gina's new presence", lambda s: s.name == "presence" and s["from"] == f"{room}/gina" and s["status"] == "new")
    assert shown(seen) == [hash_of(two)]
    # One whose data is not what it is called changes nothing, nor one that is elsewhere.
    await publish(meta, hash_of(one), f"<metadata xmlns='{meta}'><info bytes='1' id='{hash_of(one)}' type='image/png'/></metadata>")
    await publish(meta, "x", f"<metadata xmlns='{meta}'><info bytes='1' id='x' type='image/png' url='http://x.example/'/></metadata>")
    assert binval(await card(hans)) == two
    # None any more.
    await publish(meta, "current", f"<metadata xmlns='{meta}'/>")
    assert binval(await card(hans)) is None
    gina.send_presence(pto=f"{room}/gina", pstatus="none")
    seen = await hans.until("gina without one", lambda s: s.name == "presence" and s["from"] == f"{room}/gina" and s["status"] == "none")
    assert shown(seen) == []


async def how_far_one_has_read(server):
    """One client notes it, the other is told, and nobody else may look (XEP-0490)."""
    node = "urn:xmpp:mds:displayed:0"
    ana, phone = await server.client("ana"), await server.client("ana", resource="phone")
    phone["xep_0030"].add_feature(f"{node}+notify")
    await phone["xep_0115"].update_caps()
    room, read = server.room("tea"), f"1-{uuid.uuid4().hex[:8]}"
    options = ("<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
               "<field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field>"
               "<field var='pubsub#send_last_published_item'><value>never</value></field><field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options>")
    await ana.ask(None, f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{room}'><displayed xmlns='{node}'>"
                        f"<stanza-id xmlns='urn:xmpp:sid:0' id='{read}' by='{room}'/></displayed></item></publish>{options}</pubsub>", "set")
    told = await phone.until("how far the other has read", lambda s: s.xml.find(f".//{{{node}}}displayed") is not None)
    assert told["from"].bare == ana.boundjid.bare and told.xml.find(".//{urn:xmpp:sid:0}stanza-id").get("id") == read, told
    items = await phone.ask(None, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
    assert [i.get("id") for i in items.iter(f"{{{PUBSUB}}}item")] == [room]
    bo = await server.client("bo")
    assert await bo.refused(server.jid("ana"), f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>") == "not-authorized"
    await ana.ask(None, f"<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='{node}'/></pubsub>", "set")


async def a_client_that_nobody_looks_at(server):
    """It is spared what is of the moment, and gets the rest (XEP-0352)."""
    ana, bo = await server.client("ana", without=("xep_0198",)), await server.client("bo")
    room = server.room(f"idle-{uuid.uuid4().hex[:8]}")
    await bo.join(room, "bo")
    await ana.join(room, "ana")
    composing = "{http://jabber.org/protocol/chatstates}composing"

    async def look(word):
        ana.send_raw(f"<{word} xmlns='urn:xmpp:csi:0'/>")
        await ana.ask(server.domain, "<ping xmlns='urn:xmpp:ping'/>")

    async def type_and_say(text):
        message = bo.make_message(mto=room, mtype="groupchat")
        ET.SubElement(message.xml, composing)
        message.send()
        await bo.say(room, text)
        await ana.heard(room, text)
        return [s for s in ana.seen if s.xml.find(composing) is not None]

    await look("inactive")
    assert await type_and_say("nobody looks") == []
    await look("active")
    assert len(await type_and_say("she looks")) == 1


async def the_server_says_what_it_is(server):
    ana = await server.client("ana")
    info = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    features = {f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")}
    assert {"urn:xmpp:carbons:2", "urn:xmpp:blocking", "urn:xmpp:ping", "msgoffline", "jabber:iq:last"} <= features
    assert int((await ana.ask(server.domain, "<query xmlns='jabber:iq:last'/>")).get("seconds")) >= 0
    items = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
    assert {i.get("jid") for i in items} == {server.rooms, f"upload.{server.domain}"}
    version = await ana.ask(server.domain, "<query xmlns='jabber:iq:version'/>")
    assert version.find("{jabber:iq:version}name").text == "Holdfast"
    assert (await ana.ask(server.domain, "<time xmlns='urn:xmpp:time'/>")).find("{urn:xmpp:time}utc").text.endswith("Z")
    bo = await server.client("bo")
    answer = await ana.ask(bo.boundjid.full, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert answer.tag.endswith("query"), "one client asks another"
    assert await ana.refused(server.jid("nobody"), "<query xmlns='jabber:iq:version'/>") == "service-unavailable"


async def a_broken_connection_goes_on(server):
    ana, bo = await server.client("ana", resource="phone"), await server.client("bo")
    room = server.room(f"resume-{uuid.uuid4().hex[:8]}")
    await bo.join(room, "bo")
    await ana.join(room, "ana")
    await bo.until("ana comes", lambda s: s.name == "presence" and s["from"] == f"{room}/ana")
    sm = ana["xep_0198"]
    assert sm.sm_id, "the session can be taken up again"
    resumed = asyncio.get_event_loop().create_future()
    ana.add_event_handler("session_resumed", lambda _: resumed.done() or resumed.set_result(True))
    # Cut, not closed.
    ana.transport.abort()
    await asyncio.wait([ana.ended], timeout=10)
    said = [await bo.say(room, f"while away {i}") for i in range(3)]
    await bo.never("ana's end", lambda s: s.name == "presence" and s["from"] == f"{room}/ana" and s["type"] == "unavailable")
    ana.connect(server.host, server.port)
    await asyncio.wait_for(resumed, 15)
    for i, one in enumerate(said):
        got = await ana.heard(room, f"while away {i}")
        assert stanza_id(got) == stanza_id(one)
    assert await ana.ask(f"{room}/ana", "<ping xmlns='urn:xmpp:ping'/>") is None, "it is still in the room"
    await ana.say(room, "here again")


async def over_tls(server):
    """Against the port for TLS after STARTTLS, or for TLS from the first byte, as the test says."""
    plain = Client(server, "ana", resource="plain")
    try:
        await plain.start()
        raise RuntimeError("a password went over plain TCP")
    except AssertionError:
        pass
    client = Client(server, "ana", resource="tls", tls=True)
    await client.start()
    assert client["feature_mechanisms"].mech.name.startswith("SCRAM-SHA-256"), client["feature_mechanisms"].mech.name
    room = server.room(f"tls-{uuid.uuid4().hex[:8]}")
    await client.join(room, "ana")
    await client.say(room, "nobody on the way reads this")


async def wrong_passwords(server):
    wrong = Client(server, "ana", password="wrong wrong")
    try:
        await wrong.start()
    except AssertionError:
        pass
    assert wrong.failed.done()
    nobody = Client(server, "whoever", password="wrong wrong")
    try:
        await nobody.start()
    except AssertionError:
        pass
    assert nobody.failed.done()


COMMANDS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"


async def command(client, node, action=None, session=None, **fields):
    """Asks for a command; answers the command element. `fields`: what is filled in."""
    values = lambda v: "".join(f"<value>{one}</value>" for one in ([v] if isinstance(v, str) else v))
    form = "".join(f"<field var='{k.replace('__', '-')}'>{values(v)}</field>" for k, v in fields.items())
    x = f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{ADMIN}</value></field>{form}</x>" if fields else ""
    more = (f" action='{action}'" if action else "") + (f" sessionid='{session}'" if session else "")
    return await client.ask(client.where.domain, f"<command xmlns='{COMMANDS}' node='{node}'{more}>{x}</command>", "set")


def found(answer, var):
    return [v.text for f in answer.iter("{jabber:x:data}field") if f.get("var") == var for v in f]


async def condition(awaitable):
    try:
        await awaitable
    except IqError as error:
        return error.condition
    raise AssertionError("was not refused")


async def administration_by_commands(server):
    root = await server.client("root")
    features = await root.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert COMMANDS in {f.get("var") for f in features}
    items = await root.ask(server.domain, f"<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>")
    nodes = [i.get("node") for i in items]
    assert f"{ADMIN}#add-user" in nodes and "change-password" in nodes, nodes
    info = await root.ask(server.domain, f"<query xmlns='http://jabber.org/protocol/disco#info' node='{ADMIN}#add-user'/>")
    assert info[0].get("type") == "command-node" and info.get("node") == f"{ADMIN}#add-user"

    # A form first, with a session that goes on; it can be broken off.
    begun = await command(root, f"{ADMIN}#add-user")
    assert begun.get("status") == "executing" and begun.find(f"{{{COMMANDS}}}actions").get("execute") == "complete"
    assert "accountjid" in {f.get("var") for f in begun.iter("{jabber:x:data}field")}
    ended = await command(root, f"{ADMIN}#add-user", "cancel", begun.get("sessionid"))
    assert ended.get("status") == "canceled"
    assert await condition(command(root, f"{ADMIN}#add-user", "next", begun.get("sessionid"))) == "bad-request"
    assert await condition(command(root, f"{ADMIN}#add-user", "dance")) == "bad-request"
    assert await condition(command(root, f"{ADMIN}#add-user", session="never begun")) == "bad-request"
    assert await condition(command(root, f"{ADMIN}#shutdown")) == "item-not-found"

    who, jid = f"new{uuid.uuid4().hex[:8]}", None
    jid = server.jid(who)
    assert await condition(command(root, f"{ADMIN}#add-user", accountjid=jid, password="a long one", password__verify="another one")) == "bad-request"
    assert await condition(command(root, f"{ADMIN}#add-user", accountjid=jid, password="short", password__verify="short")) == "not-acceptable"
    added = await command(root, f"{ADMIN}#add-user", "complete", begun.get("sessionid"), accountjid=jid, password="a long one", password__verify="a long one")
    assert added.get("status") == "completed" and added.get("sessionid") == begun.get("sessionid")
    assert await condition(command(root, f"{ADMIN}#add-user", accountjid=jid, password="a long one")) == "conflict"
    new = Client(server, who, password="a long one")
    await new.start()

    online = found(await command(root, f"{ADMIN}#get-online-users-list"), "onlineuserjids")
    assert set(online) == {jid, server.jid("root")}, online
    assert found(await command(root, f"{ADMIN}#get-online-users-num"), "onlineusersnum") == ["2"]
    registered = found(await command(root, f"{ADMIN}#get-registered-users-list"), "registereduserjids")
    assert jid in registered and server.jid("ana") in registered
    assert found(await command(root, f"{ADMIN}#get-registered-users-num"), "registeredusersnum") == [str(len(registered))]
    assert found(await command(root, f"{ADMIN}#user-stats", accountjid=jid), "onlineresources") == ["test"]
    assert found(await command(root, f"{ADMIN}#get-user-lastlogin", accountjid=jid), "lastlogin") != ["never"]
    assert found(await command(root, f"{ADMIN}#get-user-lastlogin", accountjid=server.jid("fred")), "lastlogin") == ["never"]

    await command(root, f"{ADMIN}#announce", announcement=["The kitchen", "is closed"])
    told = await new.until("the announcement", lambda s: s.name == "message" and s["type"] == "headline" and s["body"])
    assert told["body"] == "The kitchen\nis closed" and str(told["from"]) == server.domain, told

    await command(root, f"{ADMIN}#end-user-session", accountjids=[jid])
    await asyncio.wait_for(new.ended, 15)
    new = await Client(server, who, password="a long one").start()
    await command(root, f"{ADMIN}#change-user-password", accountjid=jid, password="quite another")
    await asyncio.wait_for(new.ended, 15)
    new = await Client(server, who, password="quite another").start()
    await command(root, f"{ADMIN}#disable-user", accountjids=[jid])
    await asyncio.wait_for(new.ended, 15)
    assert jid in found(await command(root, f"{ADMIN}#get-disabled-users-list"), "disableduserjids")
    assert found(await command(root, f"{ADMIN}#get-disabled-users-num"), "disabledusersnum") == ["1"]
    gone = Client(server, who, password="quite another")
    assert isinstance(await asyncio.gather(gone.start(), return_exceptions=True), list) and gone.failed.done()
    await command(root, f"{ADMIN}#reenable-user", accountjids=[jid])
    await (await Client(server, who, password="quite another").start()).stop()
    await command(root, f"{ADMIN}#delete-user", accountjids=[jid])
    assert jid in found(await command(root, f"{ADMIN}#get-disabled-users-list"), "disableduserjids")
    # The last administrator stays, as on the web.
    assert await condition(command(root, f"{ADMIN}#delete-user", accountjids=[server.jid("root")])) == "conflict"
    assert await condition(command(root, f"{ADMIN}#disable-user", accountjids=[server.jid("nobody")])) == "item-not-found"
    assert await condition(command(root, f"{ADMIN}#disable-user", accountjids=["ana@elsewhere.example"])) == "item-not-found"

    # Nobody else: neither the list nor anything on it.
    ana = await server.client("ana")
    items = await ana.ask(server.domain, f"<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>")
    assert [i.get("node") for i in items] == ["change-password"]
    assert await ana.refused(server.domain, f"<query xmlns='http://jabber.org/protocol/disco#info' node='{ADMIN}#announce'/>") == "forbidden"
    for node in nodes:
        if node != "change-password":
            assert await condition(command(ana, node)) == "forbidden", node
    assert await condition(command(ana, f"{ADMIN}#announce", announcement="x")) == "forbidden"
    # Each act stands in the log as the web's administration writes it.
    web = Web("root")
    acts = json.dumps(web.ask("GET", "/audit?limit=50"))
    for act in ("announcement", "password-reset", "sign-ins-ended", who):
        assert act in acts, f"{act} is not on record"


async def ones_own_password_by_command(server):
    gina, other = await server.client("gina"), await server.client("gina", resource="other")
    assert await condition(command(gina, "change-password", old_password="wrong", password="quite a new one")) == "not-acceptable"
    assert await condition(command(gina, "change-password", old_password=PASSWORD, password="short")) == "not-acceptable"
    done = await command(gina, "change-password", old_password=PASSWORD, password="quite a new one", password__verify="quite a new one")
    assert done.get("status") == "completed"
    await asyncio.wait_for(other.ended, 15)
    assert await gina.ask(None, "<query xmlns='jabber:iq:roster'/>") is not None, "this connection goes on"
    await (await Client(server, "gina", resource="again", password="quite a new one").start()).stop()


async def passwords_are_changed_in_band(server):
    hans, other = await server.client("hans"), await server.client("hans", resource="other")
    features = await hans.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert "jabber:iq:register" in {f.get("var") for f in features}
    register = lambda **f: "<query xmlns='jabber:iq:register'>" + "".join(f"<{k}>{v}</{k}>" for k, v in f.items()) + "</query>"
    is_registered = await hans.ask(server.domain, register())
    assert is_registered.find("{jabber:iq:register}registered") is not None and is_registered.find("{jabber:iq:register}username").text == "hans"
    assert await hans.refused(server.domain, register(username="ana", password="a new one!"), "set") == "not-allowed"
    assert await hans.refused(server.domain, register(username="hans"), "set") == "bad-request"
    assert await hans.refused(server.domain, register(username="hans", password="short"), "set") == "not-acceptable"
    assert await hans.refused(server.domain, register(remove=""), "set") == "not-allowed"
    assert await hans.ask(server.domain, register(username="hans", password="a new one!"), "set") is None
    await asyncio.wait_for(other.ended, 15)
    assert await hans.ask(None, "<query xmlns='jabber:iq:roster'/>") is not None, "this connection goes on"
    old = Client(server, "hans", resource="old")
    await asyncio.gather(old.start(), return_exceptions=True)
    assert old.failed.done()
    await (await Client(server, "hans", resource="new", password="a new one!").start()).stop()


async def contacts_are_said(server):
    ana = await server.client("ana")
    info = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    form = next(x for x in info.iter("{jabber:x:data}x") if found(x, "FORM_TYPE") == ["http://jabber.org/network/serverinfo"])
    assert found(form, "admin-addresses") == ["mailto:admin@example.org", "xmpp:root@example.org"]
    assert found(form, "abuse-addresses") == ["mailto:abuse@example.org"] and found(form, "support-addresses") == []


async def outages_are_told(server):
    """The test sets and clears the notice by the command line."""
    def document():
        with urllib.request.urlopen(os.environ["HOLDFAST_HTTP"] + "/xmpp-status.json") as answer:
            assert answer.headers["access-control-allow-origin"] == "*"
            return json.loads(answer.read())
    ana = await server.client("ana")
    info = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    form = next(x for x in info.iter("{jabber:x:data}x") if found(x, "FORM_TYPE") == ["urn:xmpp:sos:0"])
    assert found(form, "external-status-addresses") == ["https://status.example.org/xmpp.json"]
    assert document() == {}
    print("do set", flush=True)
    told = await ana.until("the notice", lambda s: s.name == "message" and s["type"] == "headline" and s["body"])
    assert "New disks" in told["body"] and str(told["from"]) == server.domain, told
    said = document()
    assert said["planned"] is True and said["beginning"].startswith("2031-05-12T20:00:00") and said["expected_end"].startswith("2031-05-12T21:00:00")
    assert said["message"]["default"] == "New disks"
    later = await server.client("bo")
    await later.until("the notice", lambda s: s.name == "message" and "New disks" in s["body"])
    print("do clear", flush=True)
    for _ in range(50):
        if document() == {}:
            break
        await asyncio.sleep(0.1)
    assert document() == {}
    await (await server.client("cleo")).never("a notice that is over", lambda s: s["type"] == "headline" and s["body"])


async def what_monitoring_is_told(server):
    def figures():
        with urllib.request.urlopen(os.environ["HOLDFAST_HTTP"] + "/metrics") as answer:
            lines = answer.read().decode().splitlines()
        told = (line.removeprefix("holdfast_xmpp_").split() for line in lines if line.startswith("holdfast_xmpp_"))
        return {name: int(value) for name, value in told}

    async def become(**wanted):
        for _ in range(100):
            now = figures()
            if all(now[name] == value for name, value in wanted.items()):
                return now
            await asyncio.sleep(0.1)
        raise AssertionError(f"{now} instead of {wanted}")
    await become(connections=0, clients=0, room_places=0, sign_ins_total=0, received_stanzas_total=0)
    ana, bo = await server.client("ana"), await server.client("bo")
    room = f"counted-{uuid.uuid4()}@{server.rooms}"
    for client, nick in ((ana, "ana"), (bo, "bo")):
        await client.join(room, nick)
    before = await become(connections=2, clients=2, room_places=2, sign_ins_total=2, refused_sign_ins_total=0)
    await ana.say(room, "hello")
    await bo.heard(room, "hello")
    # At least what was said; to both.
    now = figures()
    assert now["received_stanzas_total"] > before["received_stanzas_total"], now
    assert now["sent_stanzas_total"] >= before["sent_stanzas_total"] + 2, now
    wrong = Client(server, "cleo", password="wrong wrong")
    try:
        await wrong.start()
    except AssertionError:
        pass
    assert figures()["refused_sign_ins_total"] >= 1
    await ana.stop()
    await bo.stop()
    await become(clients=0, room_places=0, sign_ins_total=2)


async def every_way_to_sign_in(server):
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        client = await server.client("bo", resource=mechanism, mechanism=mechanism)
        assert client["feature_mechanisms"].mech.name == mechanism
        await client.stop()


run({name: value for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value) and name not in ("own_archive", "command", "condition")})
