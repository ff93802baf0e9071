//! A session at a terminal: a real one (a pseudo-terminal), with keys pressed and what is shown read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test without a terminal has failed")]

mod world;

use holdfast_shell::{Options, Session};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use world::World;

const INSIDE: &str = "HOLDFAST_TEST_TERMINAL";

#[test]
fn keys_are_completed_remembered_asked_about_and_ended() {
    let dir = std::env::temp_dir().join(format!("holdfast-terminal-{}", std::process::id()));
    let history = dir.join("history");
    let mut terminal = Terminal::open(&history);
    terminal.wait_for("holdfast> ");
    terminal.press("exec sp_who2 rep");
    terminal.wait_for("sp_who2 rep");
    terminal.press("orts\r");
    terminal.wait_for("(1 row affected)");
    // One candidate is taken at once.
    terminal.wait_for("holdfast> ");
    terminal.press("Set-CsPersistentChatA\t");
    terminal.wait_for("Set-CsPersistentChatActiveServer");
    terminal.press("-Sw\t");
    terminal.wait_for("-Swap");
    terminal.press("\r");
    terminal.wait_for("Are you sure");
    terminal.wait_for("default is");
    terminal.press("y\r");
    terminal.wait_for("Active now: bos-cs-001.litwareinc.com.");
    // A line goes on behind a backtick.
    terminal.wait_for("holdfast> ");
    terminal.press("Set-CsPersistentChatActiveServer `\r");
    terminal.wait_for(">> ");
    terminal.press("-Swap -Force\r");
    terminal.wait_for("Active now: bos-cs-001.litwareinc.com.");
    // A refusal and a slip end nothing; the arrow brings back what was typed before.
    terminal.wait_for("holdfast> ");
    terminal.press("restore database mgc with recovery\r");
    terminal.wait_for("Step 1 lacks");
    terminal.wait_for("holdfast> ");
    terminal.press("kil 53\r");
    terminal.wait_for("Did you mean kill?");
    terminal.wait_for("holdfast> ");
    terminal.press("\u{1b}[A");
    terminal.wait_for("kil 53");
    terminal.press("\u{3}");
    terminal.wait_for("holdfast> ");
    terminal.press("\u{4}");
    assert!(terminal.ended(), "Ctrl-D ends it");
    let remembered = std::fs::read_to_string(&history).unwrap();
    assert!(remembered.contains("exec sp_who2 reports") && !remembered.lines().any(|l| l == "y"), "{remembered}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// The session itself, in the process that the test above starts of this same program.
#[tokio::test]
async fn inside() {
    let Some(history) = std::env::var_os(INSIDE) else { return };
    let world = World::new(&[]);
    let session = Session::new(&world, Options::default());
    session.interactive(Some(Path::new(&history))).await.unwrap();
}

struct Terminal {
    keys: File,
    shown: Arc<Mutex<String>>,
    /// What was waited for already.
    seen: usize,
    child: Child,
}

impl Terminal {
    fn open(history: &Path) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs =
            File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, rustix::fs::Mode::empty()).unwrap());
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "inside", "--nocapture"])
            .env(INSIDE, history)
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let keys = File::from(ours);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut screen, mut answers, show) =
            (keys.try_clone().unwrap(), keys.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                // A terminal is asked where its cursor is, and says so.
                for _ in text.matches("\u{1b}[6n") {
                    let _ = answers.write_all(b"\x1b[1;1R");
                }
                show.lock().unwrap().push_str(&text);
            }
        });
        Terminal { keys, shown, seen: 0, child }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown behind what was waited for before, whatever colours and movements stand between its words.
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let plain = plain(&self.shown.lock().unwrap());
            if let Some(at) = plain.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += at + text.len();
                return;
            }
            if Instant::now() > deadline {
                panic!("{text:?} is not shown in {:?}", plain.get(self.seen..));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ended(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is shown, without what steers the terminal.
fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut chars = shown.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            text.push(c);
        } else if chars.next() == Some('[') {
            // Up to the letter that ends the sequence.
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        }
    }
    text
}
