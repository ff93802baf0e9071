//! Who is in which room on the other servers of a pool.

use super::{Hub, LiveRoom, State};
use crate::view::Person;
use holdfast_domain::{PrincipalId, RoomId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

impl Hub {
    /// Everybody who is in a room by a connection of this server.
    pub(crate) fn present_here(&self) -> Vec<(RoomId, PrincipalId)> {
        let state = self.lock();
        let here = |(room, live): (&RoomId, &LiveRoom)| {
            let room = *room;
            live.people.iter().filter(|(_, p)| p.here > 0).map(move |(user, _)| (room, *user)).collect::<Vec<_>>()
        };
        state.rooms.iter().flat_map(here).collect()
    }

    /// Another server says who came into rooms there, and who went.
    pub(crate) fn elsewhere(&self, run: Uuid, came: Vec<(RoomId, Person)>, went: &[(RoomId, PrincipalId)]) {
        let mut state = self.lock();
        let known = state.elsewhere.entry(run).or_default();
        let mut changes: BTreeMap<RoomId, (Vec<Person>, Vec<PrincipalId>)> = BTreeMap::new();
        for (room, person) in came {
            if known.entry(room).or_default().insert(person.id) {
                changes.entry(room).or_default().0.push(person);
            }
        }
        for (room, user) in went {
            if known.get_mut(room).is_some_and(|users| users.remove(user)) {
                changes.entry(*room).or_default().1.push(*user);
            }
        }
        known.retain(|_, users| !users.is_empty());
        self.change_elsewhere(&mut state, changes);
    }

    /// Another server says who is in all rooms there, in place of what was known of it. Nobody: the server is forgotten.
    pub(crate) fn all_elsewhere(&self, run: Uuid, present: Vec<(RoomId, Person)>) {
        let mut state = self.lock();
        let mut before = state.elsewhere.remove(&run).unwrap_or_default();
        let mut now: HashMap<RoomId, BTreeSet<PrincipalId>> = HashMap::new();
        let mut changes: BTreeMap<RoomId, (Vec<Person>, Vec<PrincipalId>)> = BTreeMap::new();
        for (room, person) in present {
            if !now.entry(room).or_default().insert(person.id) {
                continue;
            }
            if !before.get_mut(&room).is_some_and(|users| users.remove(&person.id)) {
                changes.entry(room).or_default().0.push(person);
            }
        }
        for (room, users) in before {
            changes.entry(room).or_default().1.extend(users);
        }
        if !now.is_empty() {
            state.elsewhere.insert(run, now);
        }
        self.change_elsewhere(&mut state, changes);
    }

    /// Of each room, who has come into it on one more server, and who has left it on one.
    fn change_elsewhere(&self, state: &mut State, changes: BTreeMap<RoomId, (Vec<Person>, Vec<PrincipalId>)>) {
        for (room, (came, went)) in changes {
            let live = state.rooms.entry(room).or_default();
            let mut joined = Vec::new();
            let (mut plain_came, mut plain_went) = (Vec::new(), Vec::new());
            for person in came {
                let present = live.present(&person);
                present.elsewhere += 1;
                if present.plain() == 1 {
                    plain_came.push(person.clone());
                }
                if present.elsewhere == 1 && present.here == 0 {
                    joined.push(person);
                }
            }
            let mut left = Vec::new();
            for user in went {
                if let Some(present) = live.people.get_mut(&user) {
                    present.elsewhere = present.elsewhere.saturating_sub(1);
                    if present.plain() == 0 {
                        plain_went.push(present.person.clone());
                    }
                    left.extend(live.gone(user));
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
        Person { id: PrincipalId(id), name: format!("u{id}"), display_name: format!("U{id}"), kind: "person" }
    }

    fn connect(hub: &Hub, id: i64) -> Arc<Connection> {
        let caller = Caller { user: PrincipalId(id), ..Caller::operator() };
        let connection = hub.connect(caller, Wire::Json).unwrap();
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
        hub.elsewhere(a, vec![(ROOM, person(10)), (ROOM, person(11))], &[]);
        assert_eq!(hub.present(ROOM), 2);
        assert_eq!(hub.publish(ROOM, Seq(1), None), Published::Done, "nobody is in the room here");
        let here = connect(&hub, 12);
        assert_eq!(hub.publish(ROOM, Seq(2), None), Published::NeedsView);
        hub.elsewhere(b, vec![(ROOM, person(10)), (ROOM, person(12))], &[]);
        assert_eq!(heard(&here).await, [], "both were there already");
        hub.elsewhere(a, vec![], &[(ROOM, PrincipalId(10)), (ROOM, PrincipalId(11)), (ROOM, PrincipalId(11))]);
        assert_eq!(heard(&here).await, [(vec![], vec![11], 2)], "10 is still on the other one");
        assert_eq!(hub.present_here(), [(ROOM, PrincipalId(12))]);
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
        hub.elsewhere(run, vec![(ROOM, person(10)), (ROOM, person(11)), (RoomId(2), person(10))], &[]);
        heard(&here).await;
        hub.all_elsewhere(run, vec![(ROOM, person(11)), (ROOM, person(12)), (ROOM, person(12))]);
        assert_eq!(heard(&here).await, [(vec![12], vec![10], 3)]);
        assert_eq!(hub.present(RoomId(2)), 0);
        hub.all_elsewhere(run, vec![(ROOM, person(11)), (ROOM, person(12))]);
        assert_eq!(heard(&here).await, []);
    }
}
