//! The check itself: five questions, each asked of everything.

use crate::loss::{Loss, Losses, Standing};
use crate::record::{Fate, FinalLog, History, Logged, Message, View};
use crate::report::{Kind, Report, named, short};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// The logs that count, by room: of several servers' the first, the others must be the same.
type Logs<'a> = BTreeMap<i64, &'a FinalLog>;
/// Where in a room a client id is.
type Places<'a> = HashMap<(i64, Uuid), Vec<&'a Logged>>;

/// Says whether the history can be so, given what the rooms' logs were in the end. Logs may be given as several servers tell them.
pub fn check(history: &History, final_logs: &[FinalLog]) -> Report {
    check_after(history, final_logs, Loss::NONE)
}

/// As [`check()`], after a site was lost with the end of what it had acknowledged: as much as was announced may be missing, and nothing else be wrong.
pub fn check_after(history: &History, final_logs: &[FinalLog], loss: Loss) -> Report {
    let mut losses = Losses::new(loss);
    let mut report = Report::default();
    let logs = one_log_a_room(final_logs, &mut report);
    let mut places: Places = HashMap::new();
    for log in logs.values() {
        for entry in log.entries.iter().filter(|entry| entry.is_message) {
            places.entry((log.room, entry.client_id)).or_default().push(entry);
        }
    }
    whatever_was_sent_met_its_fate(history, &logs, &places, &mut losses, &mut report);
    whatever_is_there_was_sent(history, &logs, &places, &mut report);
    order_is_kept(history, &places, &mut report);
    all_saw_the_same(history, &logs, &mut losses, &mut report);
    losses.judge(&mut report);
    report
}

fn one_log_a_room<'a>(final_logs: &'a [FinalLog], report: &mut Report) -> Logs<'a> {
    let mut logs: Logs = BTreeMap::new();
    for log in final_logs {
        let Some(first) = logs.get(&log.room) else {
            numbers_are_contiguous(log, report);
            report.counts.logged += log.entries.len();
            logs.insert(log.room, log);
            continue;
        };
        let differs =
            (0..first.entries.len().max(log.entries.len())).find(|i| first.entries.get(*i) != log.entries.get(*i));
        if let Some(i) = differs {
            let tell = |log: &FinalLog| {
                let entry = log.entries.get(i).map(|e| format!("{} {} of {}", e.seq, short(e.client_id), e.author));
                format!("{} has {}", log.server, entry.unwrap_or_else(|| "nothing".to_owned()))
            };
            report.add(Kind::Disagreement, log.room, format!("{}, {}", tell(first), tell(log)));
        }
    }
    report.counts.rooms = logs.len();
    logs
}

fn numbers_are_contiguous(log: &FinalLog, report: &mut Report) {
    let mut expected = 1;
    for entry in &log.entries {
        if entry.seq != expected {
            report.add(Kind::Hole, log.room, format!("{} where {expected} should be, on {}", entry.seq, log.server));
        }
        expected = entry.seq + 1;
    }
}

fn whatever_was_sent_met_its_fate<'a>(
    history: &'a History,
    logs: &Logs,
    places: &Places,
    losses: &mut Losses<'a>,
    report: &mut Report,
) {
    for message in history.clients.iter().flatten() {
        report.counts.sent += 1;
        let found = places.get(&(message.room, message.client_id)).map_or(&[][..], Vec::as_slice);
        match &message.fate {
            Fate::Acknowledged(told) => {
                report.counts.acknowledged += 1;
                if !logs.contains_key(&message.room) {
                    report.add(Kind::NoLog, message.room, named(message));
                } else {
                    match losses.take(message, told, found) {
                        Standing::Kept => {}
                        Standing::Lost if found.is_empty() => report.counts.lost += 1,
                        Standing::Lost => report.counts.sent_again += 1,
                        Standing::Wrong(_) if found.is_empty() => {
                            report.add(Kind::Lost, message.room, named(message));
                        }
                        Standing::Wrong(wrong) => {
                            let what = format!("{} was told {}, is at {}", named(message), wrong.seq, numbers(found));
                            report.add(Kind::Moved, message.room, what);
                        }
                    }
                }
            }
            Fate::Failed(_) => {
                report.counts.failed += 1;
                if !found.is_empty() {
                    report.add(Kind::Risen, message.room, format!("{} is at {}", named(message), numbers(found)));
                }
            }
            Fate::Unknown if found.is_empty() => report.counts.unknown_absent += 1,
            Fate::Unknown => report.counts.unknown_found += 1,
        }
        if found.len() > 1 {
            report.add(Kind::Doubled, message.room, format!("{} is at {}", named(message), numbers(found)));
        }
        for entry in found.iter().filter(|e| e.author != message.author || e.content != message.content) {
            let what = format!("{} is at {} of {}, {:?}", named(message), entry.seq, entry.author, entry.content);
            report.add(Kind::Altered, message.room, what);
        }
    }
}

fn whatever_is_there_was_sent(history: &History, logs: &Logs, places: &Places, report: &mut Report) {
    let sent: HashSet<(i64, Uuid)> = history.clients.iter().flatten().map(|m| (m.room, m.client_id)).collect();
    for (room, log) in logs {
        for entry in log.entries.iter().filter(|e| e.is_message && !sent.contains(&(*room, e.client_id))) {
            report.add(Kind::Invented, *room, format!("{} {} of {}", entry.seq, short(entry.client_id), entry.author));
            let all = &places[&(*room, entry.client_id)];
            if all.len() > 1 && all[0].seq == entry.seq {
                report.add(Kind::Doubled, *room, format!("{} is at {}", short(entry.client_id), numbers(all)));
            }
        }
    }
}

/// What had been acknowledged when a message was sent comes before it. Of an unknown one it cannot be said when it was over; and one that was lost and
/// sent again is where it is since it was told anew.
fn order_is_kept<'a>(history: &'a History, places: &Places, report: &mut Report) {
    let place = |message: &Message| Some(places.get(&(message.room, message.client_id))?.first()?.seq);
    let known = |message: &Message, seq: i64| match &message.fate {
        Fate::Acknowledged(told) => told.iter().filter(|told| told.seq == seq).map(|told| told.at).max(),
        _ => None,
    };
    for client in &history.clients {
        let mut last: HashMap<i64, (i64, &Message)> = HashMap::new();
        for message in client {
            let Some(seq) = place(message) else { continue };
            if let Some((before, other)) = last.get(&message.room).filter(|(before, _)| *before > seq) {
                let what = format!("{} at {seq}, sent after {} at {before}", named(message), named(other));
                report.add(Kind::OutOfTurn, message.room, what);
            }
            if is_where_it_was_told(message, seq) && last.get(&message.room).is_none_or(|(before, _)| *before < seq) {
                last.insert(message.room, (seq, message));
            }
        }
    }

    // By the time of sending; of those that were over by then, the last number counts.
    let mut begun: HashMap<i64, Vec<(&Message, usize, i64)>> = HashMap::new();
    for (client, messages) in history.clients.iter().enumerate() {
        for message in messages {
            if let Some(seq) = place(message) {
                begun.entry(message.room).or_default().push((message, client, seq));
            }
        }
    }
    for (room, mut begun) in begun {
        let acknowledged =
            |(message, client, seq): &(&'a Message, usize, i64)| Some((known(message, *seq)?, *message, *client, *seq));
        let mut ended: Vec<_> = begun.iter().filter_map(acknowledged).collect();
        begun.sort_by_key(|(message, ..)| message.begun);
        ended.sort_by_key(|(at, ..)| *at);
        let mut over = ended.into_iter().peekable();
        let mut last: Option<(&Message, usize, i64)> = None;
        for (message, client, seq) in begun {
            while let Some((_, other, of, place)) = over.next_if(|(at, ..)| *at < message.begun) {
                if last.is_none_or(|(.., highest)| highest < place) {
                    last = Some((other, of, place));
                }
            }
            // One's own are out of turn rather.
            if let Some((other, _, before)) = last.filter(|(_, of, before)| *before > seq && *of != client) {
                let what = format!("{} at {seq}, sent after {} was known at {before}", named(message), named(other));
                report.add(Kind::OutOfTime, room, what);
            }
        }
    }
}

/// Whether it was acknowledged with this number and has had it since: what was lost and sent again may have the same by chance.
fn is_where_it_was_told(message: &Message, seq: i64) -> bool {
    let Fate::Acknowledged(told) = &message.fate else { return false };
    told.iter().all(|answer| answer.seq == seq && answer.epoch == told[0].epoch)
}

fn all_saw_the_same(history: &History, logs: &Logs, losses: &mut Losses, report: &mut Report) {
    let sent: HashMap<(i64, Uuid), &Message> =
        history.clients.iter().flatten().map(|message| ((message.room, message.client_id), message)).collect();
    let mut contents = HashMap::new();
    for view in &history.views {
        report.counts.views += 1;
        report.counts.seen += view.entries.len();
        let who = format!("{} on {}", view.observer, view.server);
        a_view_is_contiguous(view, &who, report);
        let log = logs.get(&view.room);
        if log.is_none() && !view.entries.is_empty() {
            report.add(Kind::NoLog, view.room, who.clone());
        }
        // What is seen in a lost epoch may have a number that was given anew.
        let may_be_lost = losses.covers(view.epoch);
        let mut missing = 0;
        for seen in &view.entries {
            let same = (seen.client_id, seen.content);
            if *contents.entry((view.room, seen.seq, may_be_lost)).or_insert(same) != same {
                report.add(Kind::SeenTwoWays, view.room, format!("{who} saw {} otherwise than others", seen.seq));
            }
            let Some(log) = log else { continue };
            let found = log.entries.binary_search_by_key(&seen.seq, |entry| entry.seq).map(|i| &log.entries[i]);
            match found {
                Ok(entry) if (entry.client_id, entry.content) == same => {}
                _ if may_be_lost => {
                    let message = sent.get(&(view.room, seen.client_id)).copied();
                    if let Some((kind, what)) = losses.take_seen(view.room, seen, message) {
                        report.add(kind, view.room, format!("{what}, by {who}"));
                    }
                }
                Ok(entry) => {
                    let what = format!(
                        "{who} saw {} as {}, which is {}",
                        seen.seq,
                        short(seen.client_id),
                        short(entry.client_id)
                    );
                    report.add(Kind::SeenOtherwise, view.room, what);
                }
                Err(_) => missing += 1,
            }
        }
        if missing > 0 {
            report.add(Kind::SeenGone, view.room, format!("{who} saw {missing} entries, up to {}", view.end()));
        }
    }
    everybody_went_on_where_he_had_stopped(history, losses, report);
}

/// Who has seen something that is lost goes on somewhere before that.
fn everybody_went_on_where_he_had_stopped(history: &History, losses: &Losses, report: &mut Report) {
    let mut ends: HashMap<(&str, i64), (i64, bool)> = HashMap::new();
    for view in &history.views {
        let may_be_lost = losses.covers(view.epoch);
        let before = ends.insert((&view.observer, view.room), (view.end(), may_be_lost));
        let Some((end, was_lost)) = before.filter(|_| view.continues) else { continue };
        let is_right = if was_lost && !may_be_lost {
            view.after <= end && losses.fork(view.room).is_none_or(|fork| view.after < fork)
        } else {
            view.after == end
        };
        if !is_right {
            let who = format!("{} on {}", view.observer, view.server);
            report.add(Kind::LostPlace, view.room, format!("{who} had {end}, went on after {}", view.after));
        }
    }
}

fn a_view_is_contiguous(view: &View, who: &str, report: &mut Report) {
    let mut expected = view.after + 1;
    for seen in &view.entries {
        if seen.seq != expected {
            report.add(Kind::SeenHole, view.room, format!("{who} saw {} where {expected} was due", seen.seq));
        }
        expected = seen.seq + 1;
    }
}

fn numbers(entries: &[&Logged]) -> String {
    entries.iter().map(|e| e.seq.to_string()).collect::<Vec<_>>().join(" and ")
}
