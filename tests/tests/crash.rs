//! Killed under load, again and again: whatever was acknowledged is there, exactly once, in the order in which it was seen.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

use holdfast_tests::load::{Load, Plan};
use holdfast_tests::pool::Pool;
use std::time::Duration;

/// How often the server is killed.
const KILLS: usize = 8;
/// Messages acknowledged between two kills.
const BETWEEN: usize = 120;
/// For these, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_doubled_or_moved_by_kill_9() {
    let mut pool = Pool::embedded();
    let plan = Plan { rooms: 2, writers: 6, listeners: 2, pause: Duration::ZERO, ..Plan::default() };
    let load = Load::start(&pool, &plan);
    for _ in 0..KILLS {
        load.wait_for(BETWEEN, LIMIT);
        pool.kill_server(0);
        pool.start_server(0);
    }
    assert!(load.reconnects() >= KILLS);
    let report = load.finish(&pool).hold();
    println!("{report}");
    assert!(report.counts.acknowledged >= KILLS * BETWEEN, "{report}");
    pool.stop_server(0);
    assert_eq!(pool.cli(0, &["verify", "--json"]).ended(0).json()["holds"], true);
}
