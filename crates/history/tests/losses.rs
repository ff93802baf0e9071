//! A site is lost, and what it acknowledged last with it: that much may be missing, as an end and no more of it than was announced.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{ROOM, at, content, finds, history, id, log, logged, message, right, told, view};
use holdfast_history::{Fate, FinalLog, History, Kind, Logged, Loss, Message, Seen, Told, View, check, check_after};
use proptest::prelude::*;
use std::time::Duration;

/// The first epoch is over, and with it up to `at_most` entries.
fn losing(at_most: usize) -> Loss {
    Loss { epoch: 1, at_most }
}

/// Acknowledged after the loss.
fn anew(seq: i64) -> Fate {
    Fate::Acknowledged(vec![Told { seq, epoch: 2, at: Duration::ZERO }])
}

/// Acknowledged before the loss, and with another number after it.
fn again(before: i64, after: i64) -> Fate {
    let Fate::Acknowledged(mut told) = told([before, after]) else { unreachable!() };
    told[1].epoch = 2;
    Fate::Acknowledged(told)
}

/// Four messages, at 2 to 5.
fn four() -> [Message; 4] {
    [message(1, at(2)), message(2, at(3)), message(3, at(4)), message(4, at(5))]
}

/// What comes after the loss is seen by the same observer.
fn view_anew(after: i64, entries: impl IntoIterator<Item = (i64, u128)>) -> View {
    View { epoch: 2, server: "chat-3".into(), ..view(after, entries) }
}

#[test]
fn an_end_may_be_missing_if_it_was_announced() {
    let report = check_after(&history(four(), []), &[log([(2, 1), (3, 2)])], losing(2));
    finds(&report, &[]);
    assert_eq!((report.counts.lost, report.counts.vanished, report.counts.acknowledged), (2, 2, 4));
    assert!(report.to_string().contains("2 acknowledged messages are lost"), "{report}");
    // The same without a loss, or with an older one.
    finds(&check(&history(four(), []), &[log([(2, 1), (3, 2)])]), &[Kind::Lost]);
    let older = Loss { epoch: 0, at_most: 2 };
    finds(&check_after(&history(four(), []), &[log([(2, 1), (3, 2)])], older), &[Kind::Lost]);
}

#[test]
fn no_more_than_was_announced_may_be_missing() {
    finds(&check_after(&history(four(), []), &[log([(2, 1), (3, 2)])], losing(1)), &[Kind::LostMore]);
    // What only others saw counts too.
    let sent = [message(1, at(2)), message(2, Fate::Unknown)];
    let seen = [view(1, [(2, 1), (3, 2)])];
    finds(&check_after(&history(sent.clone(), seen.clone()), &[log([(2, 1)])], losing(0)), &[Kind::LostMore]);
    let report = check_after(&history(sent, seen), &[log([(2, 1)])], losing(1));
    finds(&report, &[]);
    assert_eq!((report.counts.lost, report.counts.vanished), (0, 1));
}

#[test]
fn what_is_missing_is_an_end_of_its_room() {
    let logs = [log([(2, 1), (4, 3)])];
    let report = check_after(&history(four(), []), &logs, losing(4));
    assert!(report.has(Kind::LostBefore), "{report}");
    // A number that is not there is a hole besides.
    assert!(report.has(Kind::Hole), "{report}");
    // Seen and gone, while a later one is there.
    let sent = [message(1, at(2)), message(2, Fate::Unknown), message(3, at(4))];
    let mut logs = [log([(2, 1), (3, 9), (4, 3)])];
    logs[0].entries[2].is_message = false;
    let report = check_after(&history(sent, [view(1, [(2, 1), (3, 2)])]), &logs, losing(4));
    finds(&report, &[Kind::LostBefore]);
}

#[test]
fn what_is_missing_is_an_end_in_time_also_between_rooms() {
    let elsewhere = Message { room: 8, ..message(2, at(2)) };
    let sent = |first: Message| History { clients: vec![vec![first], vec![elsewhere.clone()]], views: vec![] };
    let logs = [log([]), FinalLog { room: 8, ..log([(2, 2)]) }];
    // The first was known before the second was sent.
    finds(&check_after(&sent(message(1, at(2))), &logs, losing(4)), &[Kind::LostBefore]);
    // They were under way together: either may be the later one.
    let together = Message { begun: Duration::from_secs(15), ..message(3, at(2)) };
    finds(&check_after(&sent(together), &logs, losing(4)), &[]);
}

#[test]
fn what_was_acknowledged_after_the_loss_stays() {
    let sent = [message(1, at(2)), message(2, anew(3))];
    finds(&check_after(&history(sent, []), &[log([(2, 1)])], losing(4)), &[Kind::Lost]);
    let moved = [message(1, at(2)), message(2, anew(3)), message(3, anew(4))];
    finds(&check_after(&history(moved, []), &[log([(2, 1), (3, 3), (4, 2)])], losing(4)), &[Kind::Moved]);
}

#[test]
fn numbers_of_what_was_lost_are_given_anew() {
    let sent = [message(1, at(2)), message(2, at(3)), message(3, at(4)), message(4, anew(3))];
    let report = check_after(&history(sent, []), &[log([(2, 1), (3, 4)])], losing(2));
    finds(&report, &[]);
    assert_eq!(report.counts.lost, 2);
}

#[test]
fn what_was_lost_may_be_sent_again() {
    // The message 3 was at 4, and is at 3 now; what was sent after it was lost, and another one came before it.
    let sent = [message(1, at(2)), message(2, at(3)), message(3, again(4, 4)), message(4, at(5)), message(5, anew(3))];
    let report = check_after(&history(sent, []), &[log([(2, 1), (3, 5), (4, 3)])], losing(3));
    finds(&report, &[]);
    let sent = [message(1, at(2)), message(2, at(3)), message(3, again(4, 3)), message(4, anew(4))];
    let report = check_after(&history(sent, []), &[log([(2, 1), (3, 3), (4, 4)])], losing(2));
    finds(&report, &[]);
    assert_eq!((report.counts.lost, report.counts.sent_again, report.counts.vanished), (1, 1, 2));
    // Not twice.
    let sent = [message(1, at(2)), message(2, again(3, 3))];
    finds(&check_after(&history(sent, []), &[log([(2, 1), (3, 2), (4, 2)])], losing(2)), &[Kind::Doubled]);
    // Two numbers under one epoch are no loss.
    let sent = [message(1, at(2)), message(2, told([3, 4]))];
    finds(&check_after(&history(sent, []), &[log([(2, 1), (3, 2)])], losing(2)), &[Kind::Moved]);
}

#[test]
fn an_observer_may_have_seen_what_is_lost_and_goes_on_before_it() {
    let sent = [message(1, at(2)), message(2, at(3)), message(3, at(4)), message(4, anew(3))];
    let logs = [log([(2, 1), (3, 4)])];
    let before = view(1, [(2, 1), (3, 2), (4, 3)]);
    let views = [before.clone(), view_anew(2, [(3, 4)])];
    finds(&check_after(&history(sent.clone(), views), &logs, losing(2)), &[]);
    // After the loss nobody may see it.
    finds(
        &check_after(&history(sent.clone(), [view_anew(1, [(2, 1), (3, 2)])]), &logs, losing(2)),
        &[Kind::SeenOtherwise],
    );
    let gone = [view_anew(1, [(2, 1), (3, 4), (4, 3)])];
    finds(&check_after(&history(sent.clone(), gone), &logs, losing(2)), &[Kind::SeenGone]);
    // Whoever keeps his place in what is lost has a mixture.
    for after in [3, 4, 5] {
        let views = [before.clone(), view_anew(after, [])];
        finds(&check_after(&history(sent.clone(), views), &logs, losing(2)), &[Kind::LostPlace]);
    }
    // And within an epoch all is as ever.
    let views = [view(1, [(2, 1), (3, 2)]), view(2, [(3, 2)])];
    finds(&check_after(&history(sent, views), &logs, losing(2)), &[Kind::LostPlace]);
}

#[test]
fn what_was_seen_and_is_lost_was_sent_and_not_refused() {
    let sent = |fate| history([message(1, at(2)), message(2, fate)], [view(1, [(2, 1), (3, 2)])]);
    finds(&check_after(&sent(Fate::Failed("full".into())), &[log([(2, 1)])], losing(2)), &[Kind::Risen]);
    let nobody = history([message(1, at(2))], [view(1, [(2, 1), (3, 2)])]);
    finds(&check_after(&nobody, &[log([(2, 1)])], losing(2)), &[Kind::Invented]);
    let mut altered = sent(Fate::Unknown);
    altered.views[0].entries[1].content = content(77);
    finds(&check_after(&altered, &[log([(2, 1)])], losing(2)), &[Kind::Altered]);
}

/// A right history whose last part was lost: what was committed from some moment on is not in the logs; some of it was sent again, and everybody went on
/// under another epoch. With it, how many entries were lost.
fn right_with_a_loss() -> impl Strategy<Value = (History, Vec<FinalLog>, usize)> {
    let later = prop::collection::vec((0..4_usize, 1..3_i64, 0..4_u8), 0..20);
    (right(), any::<prop::sample::Index>(), later).prop_map(|((mut history, mut logs), cut, later)| {
        let sent: usize = history.clients.iter().map(Vec::len).sum();
        // Messages were committed in the order of their ids.
        let cut = id(cut.index(sent + 1) as u128);
        let lost: usize = logs[..2].iter_mut().map(|log| drop_from(log, cut)).sum();
        let again: usize = logs[2..].iter_mut().map(|log| drop_from(log, cut)).sum();
        assert_eq!(again, lost, "the second server had the same");
        let mut now = history.clients.iter().flatten().map(|m| m.ended.as_secs()).max().unwrap_or(0);
        let mut write = |logs: &mut [FinalLog], room: i64, author: &str, n: uuid::Uuid, content| {
            now += 10;
            let room = usize::try_from(room - 1).unwrap();
            let seq = logs[room].entries.len() as i64 + 1;
            for log in [room, room + 2] {
                let entry = Logged { author: author.into(), client_id: n, content, ..logged(seq, 0) };
                logs[log].entries.push(entry);
            }
            (Told { seq, epoch: 2, at: Duration::from_secs(now) }, Duration::from_secs(now - 5))
        };
        for (i, (client, room, what)) in later.into_iter().enumerate() {
            let again = history.clients[client].iter_mut().find(|m| {
                m.client_id >= cut && matches!(&m.fate, Fate::Acknowledged(told) if told.iter().all(|t| t.epoch == 1))
            });
            match (what, again) {
                (0, Some(message)) => {
                    let (told, _) = write(&mut logs, message.room, &message.author, message.client_id, message.content);
                    if let Fate::Acknowledged(all) = &mut message.fate {
                        all.push(told);
                    }
                }
                _ => {
                    let (author, n) = (format!("client {client}"), 900 + i as u128);
                    let (told, begun) = write(&mut logs, room, &author, id(n), content(n));
                    let fate = Fate::Acknowledged(vec![told]);
                    let (client_id, content, ended) = (id(n), content(n), told.at);
                    history.clients[client].push(Message { room, author, client_id, content, begun, ended, fate });
                }
            }
        }
        // Observers go on where what they saw is still so.
        let kept: Vec<usize> =
            logs[..2].iter().map(|log| log.entries.iter().filter(|e| e.client_id < cut).count()).collect();
        for i in 0..4 {
            let observer = format!("observer {i}");
            let Some(last) = history.views.iter().rfind(|v| v.observer == observer) else { continue };
            let room = usize::try_from(last.room - 1).unwrap();
            // The first entry of a room is no message, and is never lost.
            let valid = last.end().min(kept[room] as i64 + 1);
            let entries = logs[room].entries[usize::try_from(valid).unwrap()..].iter();
            let entries = entries.map(|e| Seen { seq: e.seq, client_id: e.client_id, content: e.content }).collect();
            history.views.push(View { observer, room: last.room, entries, ..view_anew(valid, []) });
        }
        (history, logs, lost)
    })
}

/// Takes away what was committed from a moment on; answers how many messages that were.
fn drop_from(log: &mut FinalLog, cut: uuid::Uuid) -> usize {
    let before = log.entries.len();
    log.entries.retain(|entry| !entry.is_message || entry.client_id < cut);
    before - log.entries.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, max_global_rejects: 8_000, ..ProptestConfig::default() })]

    #[test]
    fn a_right_history_with_a_loss_holds((history, logs, lost) in right_with_a_loss()) {
        let report = check_after(&history, &logs, losing(lost));
        prop_assert!(report.holds(), "{}", report);
        prop_assert!(report.counts.vanished <= lost);
        if report.counts.vanished > 0 {
            let fewer = check_after(&history, &logs, losing(report.counts.vanished - 1));
            prop_assert!(fewer.has(Kind::LostMore), "{}", fewer);
        }
    }

    /// One more message is missing, or one of those that were lost is there while one that was known before is not.
    #[test]
    fn what_is_missing_and_is_no_end_is_found((history, mut logs, _) in right_with_a_loss(), at: prop::sample::Index) {
        let kept: Vec<(i64, uuid::Uuid)> = history.clients.iter().flatten()
            .filter(|m| matches!(&m.fate, Fate::Acknowledged(told) if told.iter().all(|t| t.epoch == 1)))
            .map(|m| (m.room, m.client_id))
            .filter(|(room, n)| logs[usize::try_from(room - 1).unwrap()].entries.iter().any(|e| e.client_id == *n))
            .collect();
        prop_assume!(!kept.is_empty());
        let (room, gone) = kept[at.index(kept.len())];
        let later = kept.iter().any(|(r, n)| *r == room && *n > gone);
        prop_assume!(later);
        // Somebody else's entry stands in its place, so that the numbers have no hole.
        for log in logs.iter_mut().filter(|log| log.room == room) {
            for entry in log.entries.iter_mut().filter(|e| e.client_id == gone) {
                (entry.is_message, entry.client_id) = (false, id(7_000));
            }
        }
        let report = check_after(&history, &logs, losing(1_000));
        prop_assert!(report.has(Kind::LostBefore), "{}", report);
    }

    #[test]
    fn what_was_written_after_the_loss_is_held_as_ever((history, mut logs, _) in right_with_a_loss(), at: prop::sample::Index) {
        let anew: Vec<(i64, uuid::Uuid)> = history.clients.iter().flatten()
            .filter(|m| matches!(&m.fate, Fate::Acknowledged(told) if told.iter().any(|t| t.epoch == 2)))
            .map(|m| (m.room, m.client_id)).collect();
        prop_assume!(!anew.is_empty());
        let (room, gone) = anew[at.index(anew.len())];
        for log in logs.iter_mut().filter(|log| log.room == room) {
            log.entries.retain(|entry| entry.client_id != gone);
        }
        let report = check_after(&history, &logs, losing(1_000));
        prop_assert!(report.has(Kind::Lost), "{}", report);
    }
}

#[test]
fn the_room_of_these_tests_is_one() {
    assert_eq!(log([]).room, ROOM);
}
