//! Right histories pass; every kind of fault is found, in histories made by hand and in right ones that were spoilt in one place.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{at, both, content, finds, history, log, logged, message, right, seen, told, view};
use holdfast_history::{Fate, FinalLog, History, Kind, Logged, Message, View, check};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

#[test]
fn a_right_history_holds() {
    let unknown = [message(3, Fate::Unknown), message(4, Fate::Unknown), message(5, Fate::Failed("full".into()))];
    let sent = both().into_iter().chain(unknown);
    let views = [view(1, [(2, 1), (3, 2)]), view(3, []), view(3, [(4, 4)])];
    let report = check(&history(sent, views), &[log([(2, 1), (3, 2), (4, 4)])]).hold();
    let c = report.counts;
    assert_eq!((c.sent, c.acknowledged, c.unknown_found, c.unknown_absent, c.failed), (5, 2, 1, 1, 1));
    assert_eq!((c.seen, c.views, c.rooms, c.logged), (3, 3, 1, 4));
    assert!(report.to_string().contains("2 acknowledged, 1 unknown and found, 1 unknown and absent, 1 failed"));
}

#[test]
fn nothing_at_all_holds() {
    finds(&check(&History::default(), &[]), &[]);
}

#[test]
fn a_lost_message_is_found() {
    finds(&check(&history(both(), []), &[log([(2, 1)])]), &[Kind::Lost]);
    finds(&check(&history(both(), []), &[]), &[Kind::NoLog]);
}

#[test]
fn a_moved_message_is_found_also_by_a_repeated_answer() {
    let twice = message(2, told([3, 4]));
    finds(&check(&history([message(1, at(2)), twice], []), &[log([(2, 1), (3, 2)])]), &[Kind::Moved]);
}

#[test]
fn a_doubled_message_is_found_whatever_its_fate() {
    for fate in [at(2), Fate::Unknown] {
        finds(&check(&history([message(1, fate)], []), &[log([(2, 1), (3, 1)])]), &[Kind::Doubled]);
    }
    finds(&check(&History::default(), &[log([(2, 1), (3, 1)])]), &[Kind::Invented, Kind::Doubled, Kind::Invented]);
}

#[test]
fn two_answers_for_two_copies_do_not_excuse_each_other() {
    let twice = message(1, told([2, 3]));
    finds(&check(&history([twice], []), &[log([(2, 1), (3, 1)])]), &[Kind::Doubled]);
}

#[test]
fn an_invented_message_is_found() {
    finds(&check(&history(both(), []), &[log([(2, 1), (3, 2), (4, 9)])]), &[Kind::Invented]);
}

#[test]
fn a_message_in_another_room_than_it_was_sent_to_is_invented_there_and_lost_here() {
    let mut elsewhere = log([(2, 1)]);
    elsewhere.room = 8;
    finds(&check(&history([message(1, at(2))], []), &[log([]), elsewhere]), &[Kind::Lost, Kind::Invented]);
}

#[test]
fn a_failed_message_that_is_there_is_found() {
    let failed = message(1, Fate::Failed("refused".into()));
    finds(&check(&history([failed], []), &[log([(2, 1)])]), &[Kind::Risen]);
}

#[test]
fn another_text_or_author_is_found() {
    let mut text = log([(2, 1), (3, 2)]);
    text.entries[1].content = content(77);
    finds(&check(&history(both(), []), &[text]), &[Kind::Altered]);
    let mut author = log([(2, 1), (3, 2)]);
    author.entries[1].author = "boris".into();
    finds(&check(&history(both(), []), &[author]), &[Kind::Altered]);
}

#[test]
fn a_senders_order_is_kept_also_by_what_is_unknown() {
    let turned = [message(1, at(3)), message(2, at(2))];
    finds(&check(&history(turned, []), &[log([(2, 2), (3, 1)])]), &[Kind::OutOfTurn]);
    let unknown = [message(1, at(3)), message(2, Fate::Unknown)];
    finds(&check(&history(unknown, []), &[log([(2, 2), (3, 1)])]), &[Kind::OutOfTurn]);
    // What was unknown may have come late.
    let late = [message(1, Fate::Unknown), message(2, at(2))];
    finds(&check(&history(late, []), &[log([(2, 2), (3, 1)])]), &[]);
}

#[test]
fn what_was_known_before_comes_before_also_between_clients() {
    let clients = |second: Message| History { clients: vec![vec![message(1, at(3))], vec![second]], views: vec![] };
    let logs = [log([(2, 2), (3, 1)])];
    finds(&check(&clients(message(2, at(2))), &logs), &[Kind::OutOfTime]);
    // Sent while the other was under way: either may be first.
    let meanwhile = Message { begun: Duration::from_secs(15), ..message(2, at(2)) };
    finds(&check(&clients(meanwhile), &logs), &[]);
}

#[test]
fn a_hole_in_the_log_is_found() {
    finds(&check(&history([message(1, at(3))], []), &[log([(3, 1)])]), &[Kind::Hole]);
    let mut headless = log([(2, 1)]);
    headless.entries.remove(0);
    finds(&check(&history([message(1, at(2))], []), &[headless]), &[Kind::Hole]);
    let same_number = [message(1, at(2)), message(2, at(2))];
    finds(&check(&history(same_number, []), &[log([(2, 1), (2, 2)])]), &[Kind::Hole]);
}

#[test]
fn servers_that_disagree_are_found() {
    let full = log([(2, 1), (3, 2)]);
    let mut other = full.clone();
    other.server = "chat-2".into();
    finds(&check(&history(both(), []), &[full.clone(), other.clone()]), &[]);
    other.entries.pop();
    finds(&check(&history(both(), []), &[full.clone(), other]), &[Kind::Disagreement]);
    let mut changed = full.clone();
    changed.entries[2].content = content(9);
    finds(&check(&history(both(), []), &[full, changed]), &[Kind::Disagreement]);
}

#[test]
fn what_was_seen_with_a_hole_a_repeat_or_in_disorder_is_found() {
    let logs = [log([(2, 1), (3, 2)])];
    for seen in [vec![(3, 2)], vec![(2, 1), (2, 1), (3, 2)], vec![(3, 2), (2, 1)]] {
        finds(&check(&history(both(), [view(1, seen)]), &logs), &[Kind::SeenHole]);
    }
}

#[test]
fn what_was_seen_and_is_otherwise_or_gone_is_found() {
    let logs = [log([(2, 1), (3, 2)])];
    finds(&check(&history(both(), [view(1, [(2, 2)])]), &logs), &[Kind::SeenOtherwise]);
    finds(&check(&history(both(), [view(1, [(2, 1), (3, 2), (4, 3)])]), &logs), &[Kind::SeenGone]);
    finds(&check(&history([], [view(1, [(2, 1)])]), &[]), &[Kind::NoLog]);
}

#[test]
fn a_number_seen_with_two_contents_is_found_even_if_it_is_gone() {
    let views = [view(3, [(4, 8)]), View { observer: "boris".into(), ..view(3, [(4, 9)]) }];
    let report = check(&history(both(), views), &[log([(2, 1), (3, 2)])]);
    assert!(report.has(Kind::SeenTwoWays) && report.has(Kind::SeenGone), "{report}");
}

#[test]
fn an_observer_who_does_not_go_on_where_he_stopped_is_found() {
    let logs = [log([(2, 1), (3, 2)])];
    finds(&check(&history(both(), [view(1, [(2, 1)]), view(1, [(2, 1), (3, 2)])]), &logs), &[Kind::LostPlace]);
    // Another observer's place is another's, and who begins anew begins anywhere.
    let other = View { observer: "boris".into(), ..view(1, [(2, 1), (3, 2)]) };
    let anew = View { continues: false, ..view(1, [(2, 1)]) };
    finds(&check(&history(both(), [view(1, [(2, 1)]), other, anew]), &logs), &[]);
}

#[test]
fn a_report_lists_the_first_of_each_kind_and_counts_the_rest() {
    let lost = (1..=30).map(|n| message(n, at(n as i64 + 1)));
    let text = check(&history(lost, []), &[log([])]).to_string();
    assert!(text.contains("acknowledged, and not in the log (30):"), "{text}");
    assert!(text.contains("... and 10 more") && text.lines().count() == 23, "{text}");
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Spoil {
    LoseEntry,
    DoubleEntry,
    SwapEntries,
    InventEntry,
    AlterEntry,
    LoseOnOneServer,
    TellAnotherNumber,
    ReportAsFailed,
    SkipSeen,
    RepeatSeen,
    SwapSeen,
    SeeAnother,
    SeeMore,
    GoOnElsewhere,
}

/// Spoils it, if it has what is to be spoilt; says which fault, at least, is to be found.
fn spoil(spoil: Spoil, at: prop::sample::Index, history: &mut History, logs: &mut [FinalLog]) -> Option<Kind> {
    fn pick<T>(at: prop::sample::Index, mut all: Vec<T>) -> Option<T> {
        (!all.is_empty()).then(|| all.swap_remove(at.index(all.len())))
    }
    let acknowledged: Vec<&mut Message> =
        history.clients.iter_mut().flatten().filter(|m| matches!(m.fate, Fate::Acknowledged(_))).collect();
    let known: Vec<(i64, Uuid)> = acknowledged.iter().map(|m| (m.room, m.client_id)).collect();
    // Where the entry of an acknowledged message is; the same on both servers.
    let entry = || {
        let (room, client_id) = pick(at, known.clone())?;
        let room = usize::try_from(room - 1).unwrap();
        Some((room, logs[room].entries.iter().position(|e| e.client_id == client_id)?))
    };
    match spoil {
        Spoil::LoseEntry => {
            let (room, i) = entry()?;
            for log in [room, room + 2] {
                logs[log].entries.remove(i);
            }
            Some(Kind::Lost)
        }
        Spoil::DoubleEntry => {
            let (room, i) = entry()?;
            for log in [room, room + 2] {
                let entries = &mut logs[log].entries;
                let copy = Logged { seq: entries.len() as i64 + 1, ..entries[i].clone() };
                entries.push(copy);
            }
            Some(Kind::Doubled)
        }
        Spoil::SwapEntries => {
            let (room, i) = entry()?;
            if i == 1 {
                return None;
            }
            for log in [room, room + 2] {
                let entries = &mut logs[log].entries;
                entries.swap(i - 1, i);
                (entries[i - 1].seq, entries[i].seq) = (i as i64, i as i64 + 1);
            }
            Some(Kind::Moved)
        }
        Spoil::InventEntry => {
            for log in [0, 2] {
                let seq = logs[log].entries.len() as i64 + 1;
                logs[log].entries.push(logged(seq, 5_000));
            }
            Some(Kind::Invented)
        }
        Spoil::AlterEntry => {
            let (room, i) = entry()?;
            for log in [room, room + 2] {
                logs[log].entries[i].content = content(5_000);
            }
            Some(Kind::Altered)
        }
        Spoil::LoseOnOneServer => {
            let (room, i) = entry()?;
            logs[room + 2].entries.remove(i);
            Some(Kind::Disagreement)
        }
        Spoil::TellAnotherNumber => {
            let message = pick(at, acknowledged)?;
            let Fate::Acknowledged(told) = &mut message.fate else { return None };
            told.last_mut()?.seq += 1;
            Some(Kind::Moved)
        }
        Spoil::ReportAsFailed => {
            pick(at, acknowledged)?.fate = Fate::Failed("not so".into());
            Some(Kind::Risen)
        }
        Spoil::GoOnElsewhere => {
            let again = history
                .views
                .iter()
                .enumerate()
                .filter(|(i, v)| history.views[..*i].iter().any(|w| w.observer == v.observer && w.room == v.room));
            let i = pick(at, again.map(|(i, _)| i).collect())?;
            history.views[i].after += 1;
            Some(Kind::LostPlace)
        }
        Spoil::SkipSeen | Spoil::RepeatSeen | Spoil::SwapSeen | Spoil::SeeAnother | Spoil::SeeMore => {
            let room_ends: Vec<i64> = logs.iter().map(|l| l.entries.len() as i64).collect();
            let view = pick(at, history.views.iter_mut().filter(|v| v.entries.len() > 1).collect())?;
            let entries = &mut view.entries;
            match spoil {
                Spoil::SkipSeen => drop(entries.remove(0)),
                Spoil::RepeatSeen => entries.insert(0, entries[0]),
                Spoil::SwapSeen => entries.swap(0, 1),
                Spoil::SeeAnother => {
                    entries[0].content = content(5_000);
                    return Some(Kind::SeenOtherwise);
                }
                _ => {
                    let end = room_ends[usize::try_from(view.room - 1).unwrap()];
                    entries.push(seen(end + 1, 5_000));
                    return Some(Kind::SeenGone);
                }
            }
            Some(Kind::SeenHole)
        }
    }
}

fn any_spoil() -> impl Strategy<Value = Spoil> {
    prop::sample::select(vec![
        Spoil::LoseEntry,
        Spoil::DoubleEntry,
        Spoil::SwapEntries,
        Spoil::InventEntry,
        Spoil::AlterEntry,
        Spoil::LoseOnOneServer,
        Spoil::TellAnotherNumber,
        Spoil::ReportAsFailed,
        Spoil::SkipSeen,
        Spoil::RepeatSeen,
        Spoil::SwapSeen,
        Spoil::SeeAnother,
        Spoil::SeeMore,
        Spoil::GoOnElsewhere,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, max_global_rejects: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn right_histories_hold((history, logs) in right()) {
        let report = check(&history, &logs);
        prop_assert!(report.holds(), "{}", report);
        let c = report.counts;
        prop_assert_eq!(c.sent, c.acknowledged + c.failed + c.unknown_found + c.unknown_absent);
    }

    #[test]
    fn one_thing_that_goes_wrong_is_found((mut history, mut logs) in right(), what in any_spoil(), at: prop::sample::Index) {
        let Some(kind) = spoil(what, at, &mut history, &mut logs) else { return Err(TestCaseError::reject("nothing to spoil")) };
        let report = check(&history, &logs);
        prop_assert!(report.has(kind), "{:?} was not found as {:?}:\n{}", what, kind, report);
    }
}

#[test]
fn every_kind_of_fault_has_its_test() {
    let this = [include_str!("faults.rs"), include_str!("losses.rs")].concat();
    for kind in Kind::ALL {
        assert!(
            this.contains(&format!("&[Kind::{kind:?}]")) || this.contains(&format!("has(Kind::{kind:?})")),
            "{kind:?}"
        );
        assert!(!kind.meaning().is_empty());
    }
}
