//! The whole table role x action x privacy x type x state, written out in `table.txt` so that a change of a right is a
//! change of a line that somebody reviews; and the rules that must hold in every cell.

use super::*;
use std::fmt::Write as _;

const ROLES: [(&str, Standing); 9] = {
    const NOBODY: Standing =
        Standing { admin: false, admitted: false, member: false, manager: false, presenter: false };
    [
        ("outsider", NOBODY),
        ("outsider on every list", Standing { member: true, manager: true, presenter: true, ..NOBODY }),
        ("in scope", Standing { admitted: true, ..NOBODY }),
        ("member", Standing { admitted: true, member: true, ..NOBODY }),
        ("presenter", Standing { admitted: true, member: true, presenter: true, ..NOBODY }),
        ("presenter, not member", Standing { admitted: true, presenter: true, ..NOBODY }),
        ("manager, not member", Standing { admitted: true, manager: true, ..NOBODY }),
        ("manager", Standing { admitted: true, member: true, manager: true, ..NOBODY }),
        ("administrator", Standing { admin: true, ..NOBODY }),
    ]
};

fn every_terms() -> Vec<Terms> {
    let mut all = Vec::new();
    for privacy in [Privacy::Open, Privacy::Closed, Privacy::Secret] {
        for room_type in [RoomType::Normal, RoomType::Auditorium] {
            for disabled in [false, true] {
                for (history, file_upload) in [(true, true), (false, false)] {
                    all.push(Terms { privacy, room_type, disabled, history, file_upload });
                }
            }
        }
    }
    all
}

#[test]
fn the_table_is_the_reviewed_one() {
    let mut table = String::from("Made by the test in tests.rs; y = may, n = may not, . = does not know the room.\n");
    let _ = writeln!(table, "Columns: {:?}", Action::ALL);
    for terms in every_terms() {
        let _ = writeln!(table, "\n{terms:?}");
        for (name, standing) in ROLES {
            let cells: String = Action::ALL
                .iter()
                .map(|a| match decide(standing, terms, *a) {
                    Ok(()) => " y",
                    Err(Denied::Forbidden(_)) => " n",
                    Err(Denied::Unknown) => " .",
                })
                .collect();
            let _ = writeln!(table, "{name:>24}{cells}");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rights/table.txt");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap();
    assert!(table == reviewed, "rights changed; run with UPDATE_TABLES=1 and review the difference of {path}");
}

#[test]
fn whom_the_category_does_not_admit_gets_nothing_by_any_list() {
    for terms in every_terms() {
        for action in Action::ALL {
            assert_eq!(decide(ROLES[1].1, terms, action), Err(Denied::Unknown), "{terms:?} {action:?}");
        }
    }
}

#[test]
fn more_standing_never_means_less_right() {
    let more = |a: Standing, b: Standing| {
        (b.admin || !a.admin)
            && (b.admitted || !a.admitted)
            && (b.member || !a.member)
            && (b.manager || !a.manager)
            && (b.presenter || !a.presenter)
    };
    let all: Vec<Standing> = (0..32u8)
        .map(|bits| Standing {
            admin: bits & 1 > 0,
            admitted: bits & 2 > 0,
            member: bits & 4 > 0,
            manager: bits & 8 > 0,
            presenter: bits & 16 > 0,
        })
        .collect();
    for terms in every_terms() {
        for action in Action::ALL {
            for a in &all {
                for b in all.iter().filter(|b| more(*a, **b)) {
                    if decide(*a, terms, action).is_ok() {
                        assert!(decide(*b, terms, action).is_ok(), "{a:?} may, {b:?} may not: {terms:?} {action:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_disabled_room_is_entered_by_nobody() {
    for terms in every_terms().into_iter().filter(|t| t.disabled) {
        for (name, standing) in ROLES {
            for action in [Action::Join, Action::ReadHistory, Action::Post, Action::Upload] {
                assert!(decide(standing, terms, action).is_err(), "{name} {action:?}");
            }
        }
    }
}

#[test]
fn an_author_has_the_window_and_nobody_else_has() {
    let (a, b) = (PrincipalId(5), PrincipalId(6));
    assert!(may_amend(a, a, 3_600_000, 3_600).is_ok());
    assert!(may_amend(a, a, 3_600_001, 3_600).is_err());
    assert!(may_amend(a, a, -5, 0).is_err());
    assert!(may_amend(b, a, 0, 3_600).is_err());
}
