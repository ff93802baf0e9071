//! Who is in which room on the other servers of a pool.

use super::{Hub, LiveRoom, State};
use crate::pool::signal::{How, There};
use crate::view::Person;
use holdfast_domain::{PrincipalId, RoomId};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How somebody was in a room on another server, and is.
struct Change {
    person: Person,
    before: Option<How>,
    now: Option<How>,
}

impl Hub {
    /// Everybody who is in a room by a connection of this server.
    pub(crate) fn present_here(&self) -> Vec<There> {
        let state = self.lock();
        let here = |(room, live): (&RoomId, &LiveRoom)| {
            let room = *room;
            let there = |(user, how)| There { room, user, how };
            live.people.iter().filter_map(|(user, p)| Some((*user, p.how_here()?))).map(there).collect::<Vec<_>>()
        };
        state.rooms.iter().flat_map(here).collect()
    }

    /// Another server says who came into rooms there, or is in them otherwise than before, and who went.
    pub(crate) fn elsewhere(&self, run: Uuid, came: Vec<(RoomId, Person, How)>, went: &[(RoomId, PrincipalId)]) {
        let mut state = self.lock();
        let state = &mut *state;
        let known = state.elsewhere.entry(run).or_default();
        let mut changes: BTreeMap<RoomId, Vec<Change>> = BTreeMap::new();
        for (room, person, how) in came {
            let before = known.entry(room).or_default().insert(person.id, how);
            changes.entry(room).or_default().push(Change { person, before, now: Some(how) });
        }
        for (room, user) in went {
            let Some(before) = known.get_mut(room).and_then(|users| users.remove(user)) else { continue };
            let there = state.rooms.get(room).and_then(|live| live.people.get(user));
            if let Some(person) = there.map(|present| present.person.clone()) {
                changes.entry(*room).or_default().push(Change { person, before: Some(before), now: None });
            }
        }
        known.retain(|_, users| !users.is_empty());
        self.change_elsewhere(state, changes);
    }

    /// Another server says who is in all rooms there, in place of what was known of it. Nobody: the server is forgotten.
    pub(crate) fn all_elsewhere(&self, run: Uuid, present: Vec<(RoomId, Person, How)>) {
        let mut state = self.lock();
        let state = &mut *state;
        let mut before = state.elsewhere.remove(&run).unwrap_or_default();
        let mut known: HashMap<RoomId, BTreeMap<PrincipalId, How>> = HashMap::new();
        let mut changes: BTreeMap<RoomId, Vec<Change>> = BTreeMap::new();
        for (room, person, how) in present {
            if known.entry(room).or_default().insert(person.id, how).is_none() {
                let before = before.get_mut(&room).and_then(|users| users.remove(&person.id));
                changes.entry(room).or_default().push(Change { person, before, now: Some(how) });
            }
        }
        for (room, users) in before {
            let Some(live) = state.rooms.get(&room) else { continue };
            let gone = |(user, before)| {
                let person = live.people.get(&user)?.person.clone();
                Some(Change { person, before: Some(before), now: None })
            };
            changes.entry(room).or_default().extend(users.into_iter().filter_map(gone));
        }
        if !known.is_empty() {
            state.elsewhere.insert(run, known);
        }
        self.change_elsewhere(state, changes);
    }

    /// Takes in, of each room, what has changed on one other server.
    fn change_elsewhere(&self, state: &mut State, changes: BTreeMap<RoomId, Vec<Change>>) {
        for (room, changes) in changes {
            let live = state.rooms.entry(room).or_default();
            let (mut joined, mut left) = (Vec::new(), Vec::new());
            let (mut plain_came, mut plain_went) = (Vec::new(), Vec::new());
            for Change { person, before, now } in changes {
                let present = live.present(&person);
                let (there, plain) = (present.here + present.elsewhere, present.plain());
                let put = |count: &mut usize, was: bool, is: bool| {
                    *count = (*count + usize::from(is)).saturating_sub(was.into());
                };
                put(&mut present.elsewhere, before.is_some(), now.is_some());
                let over_xmpp = |how| how == Some(How::OverXmpp);
                put(&mut present.elsewhere_over_xmpp, over_xmpp(before), over_xmpp(now));
                match (plain > 0, present.plain() > 0) {
                    (false, true) => plain_came.push(person.clone()),
                    (true, false) => plain_went.push(person.clone()),
                    _ => {}
                }
                if there == 0 {
                    joined.push(person);
                } else {
                    left.extend(live.gone(person.id));
                }
            }
            if !(plain_came.is_empty() && plain_went.is_empty()) {
                live.tell_others(room, plain_came, plain_went);
            }
            if !(joined.is_empty() && left.is_empty()) {
                self.tell_presence(room, live, joined, left, None);
            }
            if live.is_empty() {
                state.rooms.remove(&room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::event::{Event, Roster, Shared, Wire};
    use crate::hub::{Connection, Published};
    use holdfast_domain::Seq;
    use std::sync::Arc;
    use std::sync::Mutex as StdMutex;

    const ROOM: RoomId = RoomId(1);

    fn person(id: i64) -> Person {
        let (name, display_name) = (format!("u{id}"), format!("U{id}"));
        Person { id: PrincipalId(id), name, display_name, kind: "person", has_namesake: false }
    }

    fn at(room: RoomId, id: i64) -> (RoomId, Person, How) {
        (room, person(id), How::Plainly)
    }

    fn connect(hub: &Hub, id: i64) -> Arc<Connection> {
        connect_by(hub, id, Wire::Json)
    }

    fn connect_by(hub: &Hub, id: i64, wire: Wire) -> Arc<Connection> {
        let caller = Caller { user: PrincipalId(id), ..Caller::operator() };
        let connection = hub.connect(caller, wire).unwrap();
        hub.enter(ROOM, &connection, &person(id), hub.published(ROOM), None).unwrap();
        connection
    }

    /// Who came and went, as one connection heard it.
    async fn heard(connection: &Connection) -> Vec<(Vec<i64>, Vec<i64>, usize)> {
        let told = StdMutex::new(Vec::new());
        connection.outbox.push(&Shared::new(Event::RoomsChanged));
        for shared in connection.outbox.take(100).await {
            if let Event::Presence { joined, left, count, .. } = shared.event() {
                let ids = |list: &[Person]| list.iter().map(|p| p.id.0).collect();
                told.lock().unwrap().push((ids(joined), ids(left), *count));
            }
        }
        told.into_inner().unwrap()
    }

    #[tokio::test]
    async fn whoever_is_on_another_server_stands_on_the_same_roster() {
        let hub = Hub::new(100, None, [], 1);
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        hub.elsewhere(a, vec![at(ROOM, 10), at(ROOM, 11)], &[]);
        assert_eq!(hub.present(ROOM), 2);
        assert_eq!(hub.publish(ROOM, Seq(1), None), Published::Done, "nobody is in the room here");
        let here = connect(&hub, 12);
        assert_eq!(hub.publish(ROOM, Seq(2), None), Published::NeedsView);
        hub.elsewhere(b, vec![at(ROOM, 10), at(ROOM, 12)], &[]);
        assert_eq!(heard(&here).await, [], "both were there already");
        hub.elsewhere(a, vec![], &[(ROOM, PrincipalId(10)), (ROOM, PrincipalId(11)), (ROOM, PrincipalId(11))]);
        assert_eq!(heard(&here).await, [(vec![], vec![11], 2)], "10 is still on the other one");
        assert_eq!(hub.present_here(), [There { room: ROOM, user: PrincipalId(12), how: How::Plainly }]);
        hub.disconnect(&here);
        assert_eq!(hub.roster(ROOM).people.iter().map(|p| p.id.0).collect::<Vec<_>>(), [10, 12]);
        hub.all_elsewhere(b, vec![]);
        assert_eq!(hub.present(ROOM), 0);
        assert!(hub.lock().rooms.is_empty());
    }

    #[tokio::test]
    async fn who_came_and_went_while_somebody_caught_up_is_told() {
        let hub = Hub::new(3, None, [], 1);
        let (first, second) = (connect(&hub, 10), connect(&hub, 11));
        let told = hub.roster(ROOM);
        let enter = |id: i64, told: &Roster| {
            let caller = first.caller.clone();
            let connection = hub.connect(Caller { user: PrincipalId(id), ..caller }, Wire::Json).unwrap();
            hub.enter(ROOM, &connection, &person(id), Seq::ZERO, Some(told)).unwrap();
            connection
        };
        hub.disconnect(&second);
        connect(&hub, 12);
        let told = Roster { people: told.people.into_iter().chain([person(13)]).collect(), count: 3, ..told };
        let late = enter(13, &told);
        assert_eq!(heard(&late).await, [(vec![12], vec![11], 3)]);
        let knows = enter(12, &hub.roster(ROOM));
        assert_eq!(heard(&knows).await, [], "nothing has changed");
        // Too large for a roster meanwhile: that is told, and nobody is said to have left.
        let told = hub.roster(ROOM);
        connect(&hub, 14);
        let late = enter(15, &told);
        assert_eq!(heard(&late).await, [(vec![], vec![], 5)]);
        let late = enter(16, &hub.roster(ROOM));
        assert_eq!(heard(&late).await, [], "it knows that the room is too large");
    }

    #[tokio::test]
    async fn everything_anew_is_told_in_one_go() {
        let hub = Hub::new(100, None, [], 1);
        let run = Uuid::from_u128(1);
        let here = connect(&hub, 9);
        hub.elsewhere(run, vec![at(ROOM, 10), at(ROOM, 11), at(RoomId(2), 10)], &[]);
        heard(&here).await;
        hub.all_elsewhere(run, vec![at(ROOM, 11), at(ROOM, 12), at(ROOM, 12)]);
        assert_eq!(heard(&here).await, [(vec![12], vec![10], 3)]);
        assert_eq!(hub.present(RoomId(2)), 0);
        hub.all_elsewhere(run, vec![at(ROOM, 11), at(ROOM, 12)]);
        assert_eq!(heard(&here).await, []);
    }

    #[tokio::test]
    async fn whom_the_other_servers_door_tells_of_is_not_told_of_to_xmpp_clients() {
        let hub = Hub::new(100, None, [], 1);
        let (run, web) = (Uuid::from_u128(1), connect(&hub, 9));
        let xmpp = connect_by(&hub, 12, Wire::Xmpp);
        heard(&web).await;
        let others = async || {
            let mut told = Vec::new();
            xmpp.outbox.push(&Shared::new(Event::RoomsChanged));
            for shared in xmpp.outbox.take(100).await {
                if let Event::Others { came, went, .. } = shared.event() {
                    let ids = |list: &[Person]| list.iter().map(|p| p.id.0).collect::<Vec<_>>();
                    told.push((ids(came), ids(went)));
                }
            }
            told
        };
        let by = |how| vec![(ROOM, person(10), how)];
        hub.elsewhere(run, by(How::OverXmpp), &[]);
        assert_eq!(others().await, []);
        assert_eq!(heard(&web).await, [(vec![10], vec![], 3)], "on the web he is there like others");
        hub.elsewhere(run, by(How::Plainly), &[]);
        assert_eq!(others().await, [(vec![10], vec![])], "now by the web as well");
        hub.all_elsewhere(run, by(How::OverXmpp));
        assert_eq!(others().await, [(vec![], vec![10])]);
        hub.elsewhere(run, vec![], &[(ROOM, PrincipalId(10))]);
        assert_eq!(others().await, []);
        assert_eq!(heard(&web).await, [(vec![], vec![10], 2)], "and was there all the time");
    }
}
