"""Files over XMPP (XEP-0363): uploaded, said, and fetched by whoever knows the address."""

import asyncio
import base64
import os
import re
import urllib.error
import urllib.request
import uuid

from slixmpp.exceptions import IqError

from client import ET, Server, Web, a_room, archived, error_of, mam, results, run, stanza_id

UPLOAD = "urn:xmpp:http:upload:0"
OOB = "{jabber:x:oob}x"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def http(method, url, body=None, **headers):
    """Status, headers and body of an answer."""
    request = urllib.request.Request(url, data=body, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    # No form's type in place of one that is not said.
    if body is not None and "content_type" not in headers:
        request.add_header("Content-Type", "")
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def status(method, url, body=None, **headers):
    return http(method, url, body, **headers)[0]


async def slot(client, name, size, kind="image/png"):
    """Both addresses of a slot, as slixmpp reads them."""
    if not client["xep_0363"].upload_service:
        found = await client["xep_0363"].find_upload_service()
        client["xep_0363"].upload_service = found["from"]
    answer = await client["xep_0363"].request_slot(client["xep_0363"].upload_service, name, size, kind)
    given = answer["http_upload_slot"]
    return given["put"]["url"], given["get"]["url"]


async def upload(client, name, body, kind="image/png"):
    """Uploads a file; answers its address."""
    put, get = await slot(client, name, len(body), kind)
    assert status("PUT", put, body, content_type=kind) == 201
    return get


def oob(url):
    x = ET.Element(OOB)
    ET.SubElement(x, "{jabber:x:oob}url").text = url
    return x


def oob_of(message):
    return [url.text for url in message.findall(f"{OOB}/{{jabber:x:oob}}url")]


def messages_of(web, number):
    return [e for e in web.ask("GET", f"/rooms/{number}/entries?limit=100")["entries"] if e["kind"] == "message"]


async def the_service_is_found(server):
    ana = await server.client("ana")
    found = await ana["xep_0363"].find_upload_service()
    assert found["from"] == f"upload.{server.domain}", found
    form = found.xml.find(".//{jabber:x:data}x")
    values = {f.get("var"): f.find("{jabber:x:data}value").text for f in form.findall("{jabber:x:data}field")}
    assert values["FORM_TYPE"] == UPLOAD and int(values["max-file-size"]) == 20 * 1024 * 1024, values
    items = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
    assert f"upload.{server.domain}" in [i.get("jid") for i in items]
    service = f"upload.{server.domain}"
    assert await ana.refused(service, "<nonsense xmlns='a:b'/>") == "service-unavailable"
    assert await ana.refused(f"x@{service}", f"<request xmlns='{UPLOAD}' filename='a' size='1'/>") == "remote-server-not-found"


async def a_file_said_in_a_room(server):
    """What XMPP uploads and says is an attachment for the web; its address is good as long as the message is in sight."""
    web = Web("bo")
    ana, cleo = await server.client("ana"), await server.client("cleo")
    room = a_room(server, "files")
    await ana.join(room, "ana")
    await cleo.join(room, "cleo")
    number = web.number_of(room)
    get = await upload(ana, "a plan.png", PNG)
    said = await ana.say(room, get, children=[oob(get)])
    assert said["body"] == get and oob_of(said.xml) == [get], said
    heard = await cleo.heard(room, get)
    assert oob_of(heard.xml) == [get]

    code, headers, body = http("GET", get)
    assert (code, body, headers["content-type"]) == (200, PNG, "image/png")
    assert headers["x-content-type-options"] == "nosniff" and headers["content-security-policy"].startswith("sandbox")
    assert headers["content-disposition"].startswith('inline; filename="a plan.png"'), headers["content-disposition"]
    code, headers, body = http("HEAD", get)
    assert (code, body, headers["content-length"]) == (200, b"", str(len(PNG)))
    assert http("GET", get, range="bytes=1-3")[::2] == (206, PNG[1:4])

    [entry] = messages_of(web, number)
    [file] = entry["message"]["files"]
    assert entry["message"]["text"] == "" and file["name"] == "a plan.png" and file["type"] == "image/png", entry
    assert file["thumbnail"] and file["width"] == 1
    assert [f["file"]["id"] for f in web.ask("GET", f"/rooms/{number}/files")["items"]] == [file["id"]]
    [(_, body, archived_one)], _ = await archived(cleo, room)
    assert body == get and oob_of(archived_one) == [get]
    # A client that comes later is told the same.
    dora = await server.client("dora")
    await dora.join(room, "dora", history="5")
    assert oob_of((await dora.heard(room, get)).xml) == [get]

    # Said again, it is a word: the file went with the first. So is somebody else's.
    await ana.say(room, f"again {get}")
    other = await upload(cleo, "cleo.png", PNG)
    await ana.say(room, other)
    assert [len(e["message"]["files"]) for e in messages_of(web, number)] == [1, 0, 0]

    # Text around it, and an address beside the text.
    around, beside = await upload(ana, "around.txt", b"text\n", "text/plain"), await upload(ana, "beside.png", PNG)
    await ana.say(room, f"look: {around} !")
    back = await ana.say(room, "my picture", children=[oob(beside)])
    assert back["body"] == "my picture" and oob_of(back.xml) == [beside], back
    last = messages_of(web, number)[-2:]
    assert [(e["message"]["text"], [f["name"] for f in e["message"]["files"]]) for e in last] == [
        (f"look: {around} !", ["around.txt"]), ("my picture", ["beside.png"])], last

    retract = ana.make_message(mto=room, mtype="groupchat")
    ET.SubElement(retract.xml, "{urn:xmpp:message-retract:1}retract", {"id": stanza_id(said)})
    retract.send()
    await ana.until("the retraction", lambda s: s.xml.find("{urn:xmpp:message-retract:1}retract") is not None)
    assert status("GET", get) == 404 and status("HEAD", get) == 404
    Web("root").ask("POST", f"/rooms/{number}/messages/remove", {"words": "my picture", "reason": "test", "erase": True})
    assert status("GET", beside) == 404 and status("GET", around) == 200


async def a_file_of_the_web(server):
    """What the web attaches reaches XMPP clients as an address, live and from the archive."""
    web = Web("bo")
    ana = await server.client("ana")
    room = a_room(server, "webfile")
    await ana.join(room, "ana")
    number = web.number_of(room)

    named = (("one.png", PNG), ("two.txt", b"two"), ("%C3%BC.bin", b"\0three"))
    one, two, three = (web.attach(number, name, body) for name, body in named)
    web.ask("POST", f"/rooms/{number}/messages", {"text": "", "files": [one], "client_id": str(uuid.uuid4())})
    web.ask("POST", f"/rooms/{number}/messages", {"text": "two of them", "files": [two, three], "client_id": str(uuid.uuid4())})
    alone = await ana.until("the picture", lambda s: s.name == "message" and "one.png" in s["body"])
    assert oob_of(alone.xml) == [alone["body"]]
    assert http("GET", alone["body"])[2] == PNG
    both = await ana.until("both", lambda s: s.name == "message" and "two of them" in s["body"])
    text, second, third = both["body"].split("\n")
    assert text == "two of them" and second.endswith("/two.txt") and third.endswith("/%C3%BC.bin"), both["body"]
    assert http("GET", second)[2] == b"two" and http("GET", third)[2] == b"\0three"
    assert http("GET", third)[1]["content-disposition"].startswith("attachment")
    page, _ = await archived(ana, room)
    assert [body for _, body, _ in page] == [alone["body"], both["body"]]


async def a_file_in_a_correction(server):
    """A correction takes the place of all that was said, its files too; an edit by the web keeps them."""
    web = Web("bo")
    ana, cleo = await server.client("ana"), await server.client("cleo")
    room = a_room(server, "corrected")
    await ana.join(room, "ana")
    await cleo.join(room, "cleo")
    number = web.number_of(room)

    def now():
        [entry] = messages_of(web, number)
        return entry["message"]["text"], [f["name"] for f in entry["message"]["files"]]

    async def correct(text):
        replace = ET.Element("{urn:xmpp:message-correct:0}replace", {"id": first["id"]})
        await ana.say(room, text, children=[replace])
        seen = await cleo.heard(room, text)
        assert seen.xml.find("{urn:xmpp:message-correct:0}replace").get("id") == first["id"]
        return seen

    first = await ana.say(room, "the plan follows")
    await cleo.heard(room, "the plan follows")
    plan, better = await upload(ana, "plan.png", PNG), await upload(ana, "better.png", PNG)
    await correct(f"the plan:\n{plan}")
    assert now() == ("the plan:", ["plan.png"])
    await correct(f"a better plan:\n{better}")
    assert now() == ("a better plan:", ["better.png"])
    assert oob_of((await correct(better)).xml) == [better]
    assert now() == ("", ["better.png"])
    await correct(f"{better}\n{plan}")
    assert now() == ("", ["better.png", "plan.png"])
    await correct("no plan")
    assert now() == ("no plan", []) and status("GET", plan) == 200
    seq = messages_of(web, number)[0]["seq"]
    versions = Web("ana").ask("GET", f"/rooms/{number}/entries/{seq}/versions")["items"]
    assert [len(v["files"]) for v in versions] == [0, 1, 1, 1, 2, 0], versions

    # The web's own files, which its edit keeps and tells.
    file = web.attach(number, "bo.txt", b"bo")
    said = web.ask("POST", f"/rooms/{number}/messages", {"text": "mine", "files": [file], "client_id": str(uuid.uuid4())})
    await ana.until("the file", lambda s: s.name == "message" and s["body"].startswith("mine\n"))
    edited = web.ask("PATCH", f"/rooms/{number}/messages/{said['seq']}", {"text": "still mine", "client_id": str(uuid.uuid4())})
    assert [f["name"] for f in edited["edit"]["files"]] == ["bo.txt"], edited
    seen = await ana.until("the edit", lambda s: s.name == "message" and s["body"].startswith("still mine"))
    text, url = seen["body"].split("\n")
    assert text == "still mine" and http("GET", url)[2] == b"bo"
    page, _ = await archived(cleo, room)
    assert page[-1][1] == seen["body"], page


async def slots_that_are_refused(server):
    ana = await server.client("ana")
    service = f"upload.{server.domain}"
    # Too large, with how large it may be.
    request = f"<request xmlns='{UPLOAD}' filename='a.png' size='20971521'/>"
    try:
        await ana.ask(service, request)
        raise AssertionError("was not refused")
    except IqError as error:
        assert error.condition == "not-acceptable" and error.etype == "modify", error
        most = error.iq.xml.find(f".//{{{UPLOAD}}}file-too-large/{{{UPLOAD}}}max-file-size")
        assert most is not None and most.text == "20971520", error.iq
    for attributes in ("filename='a'", "size='1'", "filename='a' size='x'", "filename='a' size='-1'", "filename='a' size='1.5'"):
        assert await ana.refused(service, f"<request xmlns='{UPLOAD}' {attributes}/>") == "bad-request", attributes
    for name in ("", "..", "/", "x\u202egpj.exe", "n" * 300):
        assert await ana.refused(service, f"<request xmlns='{UPLOAD}' filename='{name}' size='1'/>") == "not-acceptable", name
    assert await ana.refused(service, f"<request xmlns='{UPLOAD}' filename='a' size='0'/>") == "not-acceptable"
    assert await ana.refused(service, f"<request xmlns='{UPLOAD}' filename='a' size='1' content-type='{'x' * 200}'/>") == "not-acceptable"
    assert await ana.refused(service, f"<request xmlns='{UPLOAD}' filename='a' size='1'/>", "set") == "service-unavailable"

    put, get = await slot(ana, "a.png", len(PNG))
    assert status("GET", get) == 404 and status("GET", put) == 404
    assert status("PUT", put, PNG + b"x", content_type="image/png") == 422
    assert status("PUT", put, PNG[1:], content_type="image/png") == 422
    assert status("PUT", put, PNG, content_type="text/html") == 403
    assert status("PUT", put.replace("a.png", "b.png"), PNG, content_type="image/png") == 403
    assert status("PUT", get, PNG, content_type="image/png") == 403
    token = put.split("/")[4]
    forged = put.replace(token, ("B" if token[0] == "A" else "A") + token[1:])
    assert status("PUT", forged, PNG, content_type="image/png") == 403
    assert status("PUT", put, PNG, content_type="image/png") == 201
    assert status("PUT", put, PNG, content_type="image/png") == 403, "good once"
    address = get.split("/")[4]
    assert status("GET", get.replace(address, address[:-2] + ("BA" if address.endswith("AA") else "AA"))) == 404
    assert status("DELETE", get) == 405 and status("POST", get, b"") == 405

    # Hostile names and types: a page is bytes to be saved, whatever it says of itself.
    page = b"<html><script>alert(1)</script>"
    get = await upload(ana, "../../a\"b'<c>.html", page, "text/html")
    code, headers, body = http("GET", get)
    assert (code, body, headers["content-type"]) == (200, page, "application/octet-stream")
    assert headers["content-disposition"].startswith("attachment") and "/" not in headers["content-disposition"].split("filename*=")[0]
    get = await upload(ana, "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml")
    assert http("GET", get)[1]["content-type"] in ("application/octet-stream", "text/plain; charset=utf-8")
    assert http("GET", get)[1]["content-disposition"].startswith("attachment")

    # From a page of another site.
    code, headers, _ = http("OPTIONS", put, origin="https://other.example", access_control_request_method="PUT")
    assert code == 204 and headers["access-control-allow-origin"] == "*" and "PUT" in headers["access-control-allow-methods"]
    assert http("GET", get, origin="https://other.example")[1]["access-control-allow-origin"] == "*"


async def where_no_files_are_taken(server):
    """A category without files refuses messages that would bring one; too much that is never sent is refused, with when to try again."""
    root = Web("root")
    name = f"nofiles-{uuid.uuid4().hex[:8]}"
    category = root.ask("POST", "/categories", {"name": f"{name} category", "file_upload": False})["id"]
    root.ask("POST", "/rooms", {"category": category, "name": name, "privacy": "open"})
    ana = await server.client("ana")
    room = server.room(name)
    await ana.join(room, "ana")
    get = await upload(ana, "a.png", PNG)
    refused = await ana.say(room, get)
    assert refused["type"] == "error" and error_of(refused) == "forbidden", refused
    assert status("GET", get) == 200

    large = b"\0" * (400 * 1024)
    for n in range(2):
        await upload(ana, f"{n}.bin", large, "application/octet-stream")
    try:
        await slot(ana, "more.bin", len(large), "application/octet-stream")
        raise AssertionError("was not refused")
    except IqError as error:
        assert error.condition == "resource-constraint" and error.etype == "wait", error
        retry = error.iq.xml.find(f".//{{{UPLOAD}}}retry")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", retry.get("stamp")), retry.get("stamp")


async def a_file_said_to_one(server):
    ana, bo = await server.client("ana"), await server.client("bo")
    get = await upload(ana, "for you.png", PNG)
    message = ana.make_message(mto=server.jid("bo"), mbody=get, mtype="chat")
    message.xml.append(oob(get))
    message.send()
    heard = await bo.until("the address", lambda s: s.name == "message" and s["body"] == get)
    assert oob_of(heard.xml) == [get] and http("GET", get)[2] == PNG
    # It is theirs: in a room it is a word.
    web = Web("bo")
    room = a_room(server, "later")
    await ana.join(room, "ana")
    await ana.say(room, get)
    [entry] = messages_of(web, web.number_of(room))
    assert entry["message"]["text"] == get and entry["message"]["files"] == []


async def a_pool_that_moves(server):
    """The test exports the pool, takes the archive into a new one and starts that in its place: people find what they had."""
    ana, bo = await server.client("ana"), await server.client("bo")
    room = a_room(server, "moving")
    await ana.join(room, "ana")
    shared, private = await upload(ana, "shared.png", PNG), await upload(ana, "private.png", PNG)
    said = await ana.say(room, f"look: {shared} !")
    ana.make_message(mto=server.jid("bo"), mbody=private, mtype="chat").send()
    heard = await bo.until("the address", lambda s: s.name == "message" and s["body"] == private)
    ana.make_message(mto=server.jid("cleo"), mbody="for later", mtype="chat").send()
    bookmarks = f"<storage xmlns='storage:bookmarks'><conference jid='{room}' name='Moving'/></storage>"
    await ana.ask(None, f"<query xmlns='jabber:iq:private'>{bookmarks}</query>", "set")
    await ana.ask(None, f"<query xmlns='jabber:iq:roster'><item jid='{server.jid('bo')}' name='Bo the builder'/></query>", "set")
    ids = stanza_id(said), stanza_id(heard)
    assert all(ids), ids

    print("do move", flush=True)
    address, web = os.environ["HOLDFAST_MOVED"], None
    for _ in range(300):
        if os.path.exists(address):
            xmpp, web = open(address).read().split()
            break
        await asyncio.sleep(0.1)
    moved = Server(*xmpp.rsplit(":", 1), server.domain, server.rooms)
    ana, bo, cleo = [await moved.client(name) for name in ("ana", "bo", "cleo")]
    await cleo.until("what waited", lambda s: s.name == "message" and s["body"] == "for later")
    for get in (shared, private):
        assert http("GET", f"{web}/files/{get.split('/files/')[1]}")[::2] == (200, PNG), get
    await bo.ask(bo.boundjid.bare, mam(), "set")
    assert [(i, body) for i, body, _ in results(bo)] == [(ids[1], private)]
    await ana.join(room, "ana")
    page, _ = await archived(ana, room)
    assert [(i, body) for i, body, _ in page] == [(ids[0], f"look: {shared} !")]
    kept = await ana.ask(None, "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>")
    assert [c.get("jid") for c in kept.iter("{storage:bookmarks}conference")] == [room]
    roster = await ana.ask(None, "<query xmlns='jabber:iq:roster'/>")
    assert [(i.get("jid"), i.get("name")) for i in roster] == [(server.jid("bo"), "Bo the builder")]
    # What is said from now on follows on what was.
    bo.make_message(mto=server.jid("ana"), mbody="found it", mtype="chat").send()
    answer = await ana.until("an answer", lambda s: s.name == "message" and s["body"] == "found it")
    assert stanza_id(answer) > ids[1]


async def without_uploads(server):
    """`xmpp.uploads = false`: there is no service, and files of the web have names alone."""
    ana = await server.client("ana")
    items = await ana.ask(server.domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
    assert [i.get("jid") for i in items] == [server.rooms]
    assert await ana.refused(f"upload.{server.domain}", f"<request xmlns='{UPLOAD}' filename='a' size='1'/>") == "remote-server-not-found"
    web = Web("bo")
    room = a_room(server, "names")
    await ana.join(room, "ana")
    number = web.number_of(room)
    file = web.attach(number, "one.png", PNG)
    web.ask("POST", f"/rooms/{number}/messages", {"text": "here", "files": [file], "client_id": str(uuid.uuid4())})
    heard = await ana.until("the message", lambda s: s.name == "message" and "here" in s["body"])
    assert heard["body"] == f"here\n[one.png ({len(PNG)} bytes)]", heard["body"]


LISTED = ["the_service_is_found", "a_file_said_in_a_room", "a_file_of_the_web", "a_file_in_a_correction", "slots_that_are_refused",
          "where_no_files_are_taken", "a_file_said_to_one", "a_pool_that_moves", "without_uploads"]
run({name: globals()[name] for name in LISTED})
