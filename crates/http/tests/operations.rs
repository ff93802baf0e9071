//! Every operation of the OpenAPI document is driven at least once with success, over real sockets, and whatever is answered is as
//! the document says: the client of these tests checks each status and body against it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use axum::http::{Method, StatusCode};
use holdfast_chat::Caller;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Client, PASSWORD, Server};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use uuid::Uuid;

/// 1×1, grey.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3A, 0x7E, 0x9B, 0x55, 0x00, 0x00, 0x00, 0x0A, 0x49,
    0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x68, 0x00, 0x00, 0x00, 0x82, 0x00, 0x81, 0x77, 0xCD, 0x72, 0xB6, 0x00, 0x00,
    0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

#[tokio::test]
async fn every_operation_answers_as_described() {
    let server = Server::start().await;
    let first = first_user(&server).await;
    let admin = server.admin("root").await;
    let ana = server.user("ana").await;
    let bo = server.user("bo").await;

    about_oneself(&server, &ana).await;
    users_and_groups(&server, &admin).await;
    let category = categories(&admin).await;
    let room = rooms(&ana, &admin, category).await;
    messages(&ana, &bo, &admin, room).await;
    files(&ana, &bo, room).await;
    files_by_address(&server).await;
    lists_of_ones_own(&ana, &bo, room).await;
    webhooks(&server, &ana, room).await;
    operating(&server, &admin, room).await;
    endings(&ana, &admin, room).await;
    live(&server, &ana).await;
    drop(first);

    let driven: BTreeSet<String> = server.driven.lock().unwrap().iter().cloned().collect();
    // A pool of servers needs a database that they can share: tests/pool.rs drives these.
    let of_a_pool = |o: &String| o.contains(" /api/v1/pool");
    let left: Vec<String> =
        server.document.operations().into_iter().filter(|o| !driven.contains(o) && !of_a_pool(o)).collect();
    assert!(left.is_empty(), "operations that no test drives: {left:#?}");
    server.stop().await;
}

async fn first_user(server: &Server) -> Client {
    let stranger = server.stranger();
    let about = stranger.get("/api/v1/server").await.ok();
    assert_eq!((&about["needs_first_user"], &about["standing"]), (&json!(true), &json!("alone")));
    assert_eq!(about["servers"], json!([]));
    stranger.get("/health/live").await.ok();
    assert_eq!(stranger.get("/health/ready").await.ok(), json!({"status": "ready", "standing": "alone"}));
    let metrics = stranger.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body);
    assert!(metrics.contains("holdfast_database_condition{condition=\"ready\"} 1\n"), "{metrics}");
    assert!(metrics.contains("holdfast_pool_standing{standing=\"alone\"} 1\n"), "{metrics}");
    assert_eq!(stranger.get("/api/v1/openapi.json").await.ok(), server.document.0);
    let code = server.chat.first_user_code().unwrap().unwrap();
    let wrong = json!({"name": "first", "password": PASSWORD, "code": "x"});
    stranger.post("/api/v1/first-user", wrong).await.refused("invalid", Some("code"));
    let right = json!({"name": "first", "password": PASSWORD, "code": code, "display_name": "The First"});
    let answer = stranger.post("/api/v1/first-user", right.clone()).await;
    let me = answer.expect(StatusCode::CREATED);
    assert_eq!((&me["admin"], &me["display_name"]), (&json!(true), &json!("The First")));
    let client = server.client(server.address, vec![("cookie".into(), answer.cookie())]);
    assert_eq!(client.get("/api/v1/me").await.ok()["name"], "first");
    assert!(!stranger.post("/api/v1/first-user", right).await.status.is_success());
    assert_eq!(stranger.get("/api/v1/server").await.ok()["needs_first_user"], false);
    client
}

async fn about_oneself(server: &Server, ana: &Client) {
    let me = ana.get("/api/v1/me").await.ok();
    assert_eq!(me["scopes"], Value::Null);
    assert_eq!(ana.patch("/api/v1/me", json!({"display_name": "Ana Ruiz"})).await.ok()["display_name"], "Ana Ruiz");
    let choices =
        json!({"theme": "dark", "notify": {"messages": "all"}, "rooms": {"7": {"messages": "none", "sound": true}}});
    let kept = ana.put("/api/v1/me/preferences", choices).await.ok();
    assert_eq!(kept["rooms"]["7"], json!({"messages": "none", "desktop": true, "sound": true}));
    assert_eq!(ana.get("/api/v1/me").await.ok()["preferences"], kept);

    let other = server.signed_in("ana").await;
    let sessions = ana.get("/api/v1/me/sessions").await.ok();
    let of_other = sessions["items"].as_array().unwrap().iter().find(|s| s["current"] == false).unwrap();
    ana.delete(&format!("/api/v1/me/sessions/{}", of_other["id"])).await.expect(StatusCode::NO_CONTENT);
    other.get("/api/v1/me").await.refused("not-signed-in", None);

    let token = json!({"label": "script", "scopes": ["read", "post"], "expires_at": "2099-01-01T00:00:00Z"});
    let token = ana.post("/api/v1/me/tokens", token).await.expect(StatusCode::CREATED);
    let script = server.bearer(token["secret"].as_str().unwrap());
    assert_eq!(script.get("/api/v1/me").await.ok()["scopes"], json!(["read", "post"]));
    script.get("/api/v1/me/tokens").await.refused("forbidden", None);
    assert_eq!(ana.get("/api/v1/me/tokens").await.ok()["items"][0]["label"], "script");
    ana.delete(&format!("/api/v1/me/tokens/{}", token["id"])).await.expect(StatusCode::NO_CONTENT);
    script.get("/api/v1/me").await.refused("not-signed-in", None);

    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    ana.post("/api/v1/me/password", change(PASSWORD, "short")).await.refused("invalid", Some("new"));
    ana.post("/api/v1/me/password", change(PASSWORD, "a long new password")).await.expect(StatusCode::NO_CONTENT);
    ana.post("/api/v1/me/password", change("a long new password", PASSWORD)).await.expect(StatusCode::NO_CONTENT);

    let passing = server.signed_in("ana").await;
    let answer = passing.delete("/api/v1/session").await;
    answer.expect(StatusCode::NO_CONTENT);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    passing.get("/api/v1/me").await.refused("not-signed-in", None);
}

async fn users_and_groups(server: &Server, admin: &Client) {
    let bot = json!({"name": "ci", "kind": "bot", "display_name": "CI"});
    let would = admin.post("/api/v1/users?what_if=true", bot.clone()).await.ok();
    assert_eq!(would, json!({"what_if": true, "changes": ["User ci would be created"]}));
    let bot = admin.post("/api/v1/users", bot).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/users/{}", bot["id"]);
    assert_eq!(admin.get(&path).await.ok()["kind"], "bot");
    assert_eq!(admin.get("/api/v1/users?kind=bot").await.ok()["items"].as_array().unwrap().len(), 1);
    let page = admin.get("/api/v1/users?limit=1").await.ok();
    let next = admin.get(&format!("/api/v1/users?limit=1&cursor={}", page["next"].as_str().unwrap())).await.ok();
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    assert_eq!(admin.get("/api/v1/users?name=CI").await.ok()["items"][0]["id"], bot["id"]);

    let token = json!({"label": "ci", "scopes": ["post"]});
    let token = admin.post(&format!("{path}/tokens"), token).await.expect(StatusCode::CREATED);
    assert_eq!(admin.get(&format!("{path}/tokens")).await.ok()["items"][0]["id"], token["id"]);
    admin.delete(&format!("{path}/tokens/{}", token["id"])).await.expect(StatusCode::NO_CONTENT);

    let temp = json!({"name": "temp", "password": PASSWORD, "may_chat": false});
    let temp = admin.post("/api/v1/users", temp).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/users/{}", temp["id"]);
    let would = admin.patch(&format!("{path}?what_if=true"), json!({"disabled": true})).await.ok();
    assert_eq!(would["what_if"], true);
    let changed = admin.patch(&path, json!({"may_chat": null, "display_name": "Temp"})).await.ok();
    assert_eq!((&changed["may_chat"], &changed["display_name"]), (&Value::Null, &json!("Temp")));
    let signed_in = server.signed_in("temp").await;
    assert_eq!(admin.get(&format!("{path}/sessions")).await.ok()["items"].as_array().unwrap().len(), 1);
    assert_eq!(admin.delete(&format!("{path}/sessions")).await.ok()["ended"], 1);
    signed_in.get("/api/v1/me").await.refused("not-signed-in", None);
    admin.post(&format!("{path}/password"), json!({"new": "another password"})).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await.ok()["disabled"], true);

    let desk = json!({"name": "desk", "members": [bot["id"]]});
    let desk = admin.post("/api/v1/groups", desk).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/groups/{}", desk["id"]);
    assert_eq!(admin.get(&path).await.ok()["members"][0]["name"], "ci");
    assert_eq!(admin.get("/api/v1/groups?name=DESK").await.ok()["items"].as_array().unwrap().len(), 1);
    let changed = admin.patch(&path, json!({"members": {"remove": [bot["id"]]}, "may_chat": true})).await.ok();
    assert_eq!((&changed["members"], &changed["may_chat"]), (&json!([]), &json!(true)));
    assert_eq!(admin.delete(&format!("{path}?what_if=true")).await.ok()["what_if"], true);
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.get("/api/v1/principals?q=an").await.ok()["items"][0]["name"], "ana");
}

async fn categories(admin: &Client) -> i64 {
    let new = json!({"name": "Trading", "creators": [1], "description": "Desks"});
    let trading = admin.post("/api/v1/categories", new).await.expect(StatusCode::CREATED);
    assert_eq!(trading["allowed"][0]["name"], "everyone");
    let path = format!("/api/v1/categories/{}", trading["id"]);
    assert_eq!(admin.get(&path).await.ok(), trading);
    let changed = admin.patch(&path, json!({"description": "All desks", "invitations": true})).await.ok();
    assert_eq!(changed["description"], "All desks");
    assert_eq!(admin.patch(&format!("{path}?what_if=true"), json!({"history": false})).await.ok()["what_if"], true);
    assert_eq!(admin.get("/api/v1/categories?name=trading").await.ok()["items"].as_array().unwrap().len(), 1);
    let other = admin.post("/api/v1/categories", json!({"name": "Gone"})).await.expect(StatusCode::CREATED);
    admin.delete(&format!("/api/v1/categories/{}", other["id"])).await.expect(StatusCode::NO_CONTENT);
    admin.post("/api/v1/categories", json!({"name": "TRADING"})).await.refused("conflict", None);
    trading["id"].as_i64().unwrap()
}

async fn rooms(ana: &Client, admin: &Client, category: i64) -> i64 {
    let new = json!({"category": category, "name": "FX", "type": "normal", "privacy": "closed", "subject": "Rates"});
    assert_eq!(ana.post("/api/v1/rooms?what_if=true", new.clone()).await.ok()["what_if"], true);
    let room = ana.post("/api/v1/rooms", new).await.expect(StatusCode::CREATED);
    let (id, path) = (room["id"].as_i64().unwrap(), format!("/api/v1/rooms/{}", room["id"]));
    assert_eq!(ana.get(&path).await.ok()["subject"], "Rates");
    assert_eq!(ana.get("/api/v1/rooms?q=f&privacy=closed&type=normal").await.ok()["items"][0]["id"], id);
    assert_eq!(ana.get("/api/v1/name-check?room=fx").await.ok()["free"], false);
    let changed = ana.patch(&path, json!({"add_in_url": "https://example.org/board", "subject": "EUR"})).await.ok();
    assert_eq!(changed["add_in_url"], "https://example.org/board");
    assert_eq!(ana.patch(&path, json!({"add_in_url": null})).await.ok()["add_in_url"], Value::Null);

    let bo = admin.get("/api/v1/users?name=bo").await.ok()["items"][0]["id"].as_i64().unwrap();
    let me = ana.get("/api/v1/me").await.ok()["id"].clone();
    assert_eq!(ana.get(&format!("{path}/eligible?q=bo")).await.ok()["items"][0]["id"], bo);
    let roles = json!({"members": {"add": [bo, me]}});
    let would = ana.patch(&format!("{path}/roles?what_if=true"), roles.clone()).await.ok();
    assert_eq!(would["changes"].as_array().unwrap().len(), 1);
    ana.patch(&format!("{path}/roles"), roles).await.ok();
    assert_eq!(ana.get(&format!("{path}/roles")).await.ok()["members"].as_array().unwrap().len(), 2);
    assert_eq!(ana.get(&format!("{path}/roster")).await.ok()["count"], 0);
    id
}

async fn messages(ana: &Client, bo: &Client, admin: &Client, room: i64) {
    let path = format!("/api/v1/rooms/{room}");
    let draft = json!({"client_id": Uuid::new_v4(), "text": "Hello @bo", "alert": true});
    let said = ana.post(&format!("{path}/messages"), draft.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(ana.post(&format!("{path}/messages"), draft).await.ok(), said);
    let story = json!({"client_id": Uuid::new_v4(), "title": "A story", "text": "Once\nupon a time"});
    let story = ana.post(&format!("{path}/messages"), story).await.expect(StatusCode::CREATED);
    assert_eq!(story["message"]["title"], "A story");

    let seq = said["seq"].as_i64().unwrap();
    let edit = json!({"client_id": Uuid::new_v4(), "text": "Hello @bo, again"});
    assert_eq!(ana.patch(&format!("{path}/messages/{seq}"), edit).await.ok()["edit"]["of"], seq);
    let entry = bo.get(&format!("{path}/entries/{seq}")).await.ok();
    assert_eq!(entry["message"]["text"], "Hello @bo, again");
    assert_eq!((entry["hash"].as_str().unwrap().len(), entry["previous_hash"].as_str().unwrap().len()), (64, 64));
    let versions = ana.get(&format!("{path}/entries/{seq}/versions")).await.ok();
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);

    for query in
        ["", "?limit=3", "?before=3", "?after=1", &format!("?around={seq}&limit=5"), "?at=2020-01-01T00:00:00Z"]
    {
        let page = bo.get(&format!("{path}/entries{query}")).await.ok();
        assert!(!page["entries"].as_array().unwrap().is_empty(), "{query}");
    }
    assert_eq!(
        bo.get("/api/v1/search?q=once&match=phrase&order=oldest").await.ok()["items"][0]["entry"]["seq"],
        story["seq"]
    );
    assert_eq!(bo.get("/api/v1/me/mentions").await.ok()["items"][0]["entry"]["seq"], seq);

    let oops = ana.say(room, "oops").await;
    let taken_back = ana.delete(&format!("{path}/messages/{}", oops["seq"])).await.ok();
    assert_eq!((&taken_back["kind"], &taken_back["of"]), (&json!("retraction"), &oops["seq"]));
    let rude = bo.say(room, "rude").await;
    let rude = format!("{path}/messages/{}", rude["seq"]);
    admin.delete(&rude).await.refused("invalid", Some("reason"));
    let removed = admin.delete(&format!("{rude}?reason=rude&client_id={}", Uuid::new_v4())).await.ok();
    assert_eq!(removed["kind"], "removal");
    bo.say(room, "spam one").await;
    bo.say(room, "spam two").await;
    let matching = json!({"words": "spam", "match": "all", "reason": "spam", "replace_with": "(removed)"});
    let would = admin.post(&format!("{path}/messages/remove?what_if=true"), matching.clone()).await.ok();
    assert_eq!(would["what_if"], true);
    let removed = admin.post(&format!("{path}/messages/remove"), matching).await.ok();
    assert_eq!((&removed["matched"], &removed["removed"]), (&json!(2), &json!(2)));
}

async fn files(ana: &Client, bo: &Client, room: i64) {
    let path = format!("/api/v1/rooms/{room}/files");
    let upload = |name: &str, bytes: &[u8]| {
        let (path, bytes) = (format!("{path}?name={name}"), bytes.to_vec());
        async move { ana.raw(Method::POST, &path, bytes).await.expect(StatusCode::CREATED) }
    };
    let picture = upload("dot.png", PNG).await;
    assert_eq!((&picture["type"], &picture["width"]), (&json!("image/png"), &json!(1)));
    let large: Vec<u8> = (0..600_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let data = upload("r%C3%A9sum%C3%A9%22.bin", &large).await;
    let draft = json!({"client_id": Uuid::new_v4(), "text": "Two files", "files": [picture["id"], data["id"]]});
    ana.post(&format!("/api/v1/rooms/{room}/messages"), draft).await.expect(StatusCode::CREATED);

    let listed = bo.get(&path).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let picture = format!("/api/v1/files/{}", picture["id"].as_str().unwrap());
    let answer = bo.get(&picture).await;
    assert_eq!((answer.body.as_ref(), answer.header("content-type")), (PNG, "image/png"));
    assert!(answer.header("content-disposition").starts_with("inline"));
    assert!(answer.header("content-security-policy").starts_with("sandbox"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let known = bo.with("if-none-match", answer.header("etag"));
    assert_eq!(known.get(&picture).await.status, StatusCode::NOT_MODIFIED);
    assert!(bo.get(&format!("{picture}?download=1")).await.header("content-disposition").starts_with("attachment"));
    assert_eq!(bo.get(&format!("{picture}/thumbnail")).await.header("content-type"), "image/png");

    let data = format!("/api/v1/files/{}", data["id"].as_str().unwrap());
    assert_eq!(bo.get(&data).await.body, large);
    let part = bo.with("range", "bytes=262100-262200").get(&data).await;
    assert_eq!(
        (part.status, part.header("content-range")),
        (StatusCode::PARTIAL_CONTENT, "bytes 262100-262200/600000")
    );
    assert_eq!(part.body, large[262_100..=262_200]);
    bo.with("range", "bytes=600000-").get(&data).await.refused("range-not-satisfiable", None);
}

async fn files_by_address(server: &Server) {
    let (ana, stranger) = (server.chat.directory().user_named("ana").unwrap().id, server.stranger());
    let slot = async |name: &str, media_type, body: &[u8]| {
        let caller = Caller::operator_as(ana);
        server.chat.upload_slot(&caller, name, body.len() as u64, Some(media_type)).await.unwrap()
    };
    let put = async |path: &str, media_type, body: &[u8]| {
        stranger
            .with("content-type", media_type)
            .with("origin", "https://other.example")
            .raw(Method::PUT, path, body.to_vec())
            .await
    };
    let picture = slot("dot \"1\".png", "image/png", PNG).await;
    let may = stranger.with("origin", "https://other.example").with("access-control-request-method", "PUT");
    let may = may.raw(Method::OPTIONS, &picture.put, Vec::new()).await;
    may.expect(StatusCode::NO_CONTENT);
    assert_eq!(may.header("access-control-allow-origin"), "*");
    assert!(may.header("access-control-allow-methods").contains("PUT"));
    assert!(may.header("access-control-allow-headers").contains("content-type"));
    put(&picture.put, "text/html", PNG).await.refused("forbidden", None);
    put(&picture.put, "image/png", &PNG[1..]).await.refused("invalid", Some("Content-Length"));
    put(&picture.get, "image/png", PNG).await.refused("forbidden", None);
    stranger.get(&picture.get).await.refused("not-found", None);
    assert_eq!(put(&picture.put, "image/png", PNG).await.status, StatusCode::CREATED);
    put(&picture.put, "image/png", PNG).await.refused("forbidden", None);

    let answer = stranger.get(&picture.get).await;
    assert_eq!((answer.body.as_ref(), answer.header("content-type")), (PNG, "image/png"));
    assert!(answer.header("content-disposition").starts_with("inline"));
    assert!(answer.header("content-security-policy").starts_with("sandbox"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    let head = stranger.raw(Method::HEAD, &picture.get, Vec::new()).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), PNG.len().to_string());
    let part = stranger.with("range", "bytes=1-3").get(&picture.get).await;
    assert_eq!((part.status, part.body.as_ref()), (StatusCode::PARTIAL_CONTENT, &PNG[1..4]));
    let address = picture.get.split('/').nth(2).unwrap();
    assert_eq!(stranger.get(&format!("/files/{address}/evil.html")).await.header("content-type"), "image/png");
    stranger.get(&format!("/files/{}/x.png", &address[1..])).await.refused("not-found", None);

    // What says of itself that it is a page is served as bytes, to be saved.
    let page = b"<html><script>alert(1)</script>";
    let hostile = slot("a.html", "text/html", page).await;
    assert_eq!(put(&hostile.put, "text/html", page).await.status, StatusCode::CREATED);
    let answer = stranger.get(&hostile.get).await;
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(answer.header("content-disposition").starts_with("attachment"));
}

async fn lists_of_ones_own(ana: &Client, bo: &Client, room: i64) {
    let invitations = bo.get("/api/v1/me/invitations").await.ok();
    let invitation = format!("/api/v1/me/invitations/{}", invitations["items"][0]["id"]);
    bo.post(&format!("{invitation}/seen"), Value::Null).await.expect(StatusCode::NO_CONTENT);
    bo.delete(&invitation).await.expect(StatusCode::NO_CONTENT);
    bo.delete(&invitation).await.refused("not-found", None);

    // Whoever asks where he is has what he said himself counted before he follows the room.
    bo.get(&format!("/api/v1/rooms/{room}")).await.ok();
    bo.put(&format!("/api/v1/me/followed/{room}"), Value::Null).await.expect(StatusCode::NO_CONTENT);
    let answers = bo.post("/api/v1/me/followed", json!({"rooms": [room, 999]})).await.ok();
    assert_eq!((&answers["items"][0]["followed"], &answers["items"][1]["followed"]), (&json!(true), &json!(false)));
    let said = ana.say(room, "for @bo, about the ECB").await;
    let mine = bo.get("/api/v1/me/rooms").await.ok();
    // The files, and this; what bo said himself counts as read.
    assert_eq!((&mine["items"][0]["me"]["unread"], &mine["items"][0]["me"]["mentions"]), (&json!(2), &json!(1)));
    let read = bo.put(&format!("/api/v1/rooms/{room}/read"), json!({"seq": said["seq"]})).await.ok();
    assert_eq!(read, json!({"seq": said["seq"], "unread": 0, "mentions": 0}));

    let feed = json!({"name": "Rates", "words": ["ECB"], "match": "any", "notify": true});
    let feed = bo.post("/api/v1/me/feeds", feed).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/me/feeds/{}", feed["id"]);
    assert_eq!(bo.get("/api/v1/me/feeds").await.ok()["items"][0], feed);
    assert_eq!(bo.get(&format!("{path}/entries")).await.ok()["items"][0]["entry"]["seq"], said["seq"]);
    let other = json!({"name": "Ana", "authors": [said["author"]["id"]], "rooms": [room]});
    assert_eq!(bo.put(&path, other).await.ok()["authors"][0]["name"], "ana");
    bo.delete(&path).await.expect(StatusCode::NO_CONTENT);
    bo.put(&path, json!({"name": "x", "words": ["y"]})).await.refused("not-found", None);
    bo.delete(&format!("/api/v1/me/followed/{room}")).await.expect(StatusCode::NO_CONTENT);
}

async fn webhooks(server: &Server, ana: &Client, room: i64) {
    let path = format!("/api/v1/rooms/{room}/webhooks");
    let hook = ana.post(&path, json!({"label": "Build"})).await.expect(StatusCode::CREATED);
    assert_eq!(ana.get(&path).await.ok()["items"][0]["label"], "Build");
    let url = hook["url"].as_str().unwrap();
    let message = json!({"text": "Built", "client_id": Uuid::new_v4()});
    let said = server.stranger().post(url, message.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(said["author"]["kind"], "bot");
    assert_eq!(server.stranger().post(url, message.clone()).await.ok(), said);
    ana.delete(&format!("{path}/{}", hook["id"])).await.expect(StatusCode::NO_CONTENT);
    server.stranger().post(url, message).await.refused("not-found", None);
}

async fn operating(server: &Server, admin: &Client, room: i64) {
    let batch = json!({"room": room, "batch": [
        {"at": "2004-11-15T12:00:00Z", "author": "|trey|", "text": "long ago", "key": Uuid::new_v4()},
        {"at": "2004-11-15T12:01:00Z", "author": "}{", "text": "waves", "action": true, "key": Uuid::new_v4()},
    ]});
    assert_eq!(
        admin.post("/api/v1/admin/import", batch.clone()).await.ok(),
        json!({"imported": 2, "repeated": 0, "authors_created": 2})
    );
    assert_eq!(admin.post("/api/v1/admin/import", batch).await.ok()["repeated"], 2);

    let status = admin.get("/api/v1/admin/status").await.ok();
    assert_eq!((&status["server"], &status["rooms"]), (&json!("Test"), &json!(1)));
    assert_eq!((&status["standing"], &status["name_in_pool"]), (&json!("alone"), &Value::Null));
    assert_eq!(status["database"]["condition"], "ready");
    admin.get("/api/v1/pool").await.refused("not-found", None);
    admin.post("/api/v1/pool/active", json!({"add": ["a"]})).await.refused("not-found", None);
    admin.delete("/api/v1/pool/servers/a").await.refused("not-found", None);
    let audit = admin.get("/api/v1/audit?limit=5").await.ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 5);
    let older = admin.get(&format!("/api/v1/audit?limit=5&cursor={}", audit["next"].as_str().unwrap())).await.ok();
    assert!(older["items"][0]["seq"].as_i64() < audit["items"][4]["seq"].as_i64());

    let lines = |answer: &support::Answer| -> Vec<Value> {
        answer
            .body
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    };
    let verified = lines(&admin.get("/api/v1/admin/verify").await);
    let last = verified.last().unwrap();
    assert_eq!((&last["done"], &last["rooms"], &last["faults"]), (&json!(true), &json!(2), &json!(0)));
    assert_eq!(lines(&admin.get(&format!("/api/v1/admin/verify?room={room}")).await).last().unwrap()["rooms"], 1);
    admin.get("/api/v1/admin/verify?room=999").await.refused("not-found", None);

    let exported = lines(&server.operator().get("/api/v1/admin/export").await);
    let done = exported.last().unwrap();
    let count = |what: &str| exported.iter().filter(|l| l.get(what).is_some()).count();
    assert_eq!((count("manifest"), count("file")), (1, 2));
    assert_eq!((&done["entries"], &done["files"]), (&json!(count("entry")), &json!(2)));
    assert!(exported.iter().any(|l| l["account"]["scram"]["salt"].is_string()));
    let by_admin = lines(&admin.get("/api/v1/admin/export").await);
    assert!(by_admin.iter().all(|l| l.get("account").is_none()), "password keys go to the operator alone");

    let to = server.folder.path().join("copy.db");
    admin.post("/api/v1/admin/backup", json!({"to": to})).await.refused("forbidden", None);
    server.operator().post("/api/v1/admin/backup", json!({"to": "copy.db"})).await.refused("invalid", Some("to"));
    let backup = lines(&server.operator().post("/api/v1/admin/backup", json!({"to": to})).await);
    assert_eq!(backup.last().unwrap()["done"], true);
    assert!(to.exists());

    let ana = server.operator().with("holdfast-act-as", "ana");
    assert_eq!(ana.get("/api/v1/me").await.ok()["name"], "ana");
    ana.get("/api/v1/users").await.refused("forbidden", None);
    server
        .operator()
        .with("holdfast-act-as", "nobody")
        .get("/api/v1/me")
        .await
        .refused("invalid", Some("Holdfast-Act-As"));
}

async fn endings(ana: &Client, admin: &Client, room: i64) {
    let path = format!("/api/v1/rooms/{room}");
    let through = json!({"through": "2099-01-01T00:00:00Z"});
    assert_eq!(admin.post(&format!("{path}/clear?what_if=true"), through.clone()).await.ok()["what_if"], true);
    assert!(admin.post(&format!("{path}/clear"), through).await.ok()["cleared"].as_i64().unwrap() > 0);
    // What is out of sight in every way is described too.
    ana.get(&format!("{path}/entries?limit=500")).await.ok();
    ana.delete(&path).await.refused("forbidden", None);
    assert_eq!(admin.delete(&format!("{path}?what_if=true")).await.ok()["what_if"], true);
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    ana.get(&path).await.refused("not-found", None);
}

async fn live(server: &Server, ana: &Client) {
    ana.get("/api/v1/live").await.refused("bad-request", None);
    let mut request = format!("ws://{}/api/v1/live", server.address).into_client_request().unwrap();
    for (name, value) in &ana.headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let (_, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    server.driven.lock().unwrap().push("GET /api/v1/live".into());
}
