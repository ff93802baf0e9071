//! Work that goes through stages, for whoever watches: on a terminal something moves while one is at work, and each leaves a line when it is done; always
//! on standard error.

use holdfast_lab::Event;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often what moves moves.
const TICK: Duration = Duration::from_millis(100);

/// Tells of stages.
pub(crate) struct Stages {
    bar: Mutex<Option<ProgressBar>>,
    terminal: bool,
    quiet: bool,
}

impl Stages {
    /// To whoever watches; with `quiet`, to nobody.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: Mutex::new(None), terminal: std::io::stderr().is_terminal(), quiet }
    }

    /// Tells of something.
    pub(crate) fn hear(&self, event: Event) {
        if self.quiet {
            return;
        }
        match event {
            Event::Begun(what) if self.terminal => self.show(Some(&what)),
            Event::Begun(_) => {}
            Event::Done(what, took) => {
                self.show(None);
                say(&format!("{:>7.1} s  {what}", took.as_secs_f64()));
            }
            Event::Note(what) => {
                let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
                match &*bar {
                    Some(bar) => bar.suspend(|| say(&format!("           {what}"))),
                    None => say(&format!("           {what}")),
                }
            }
        }
    }

    fn show(&self, what: Option<&str>) {
        let bar = what.map(|what| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{elapsed:>9}  {msg} {spinner}") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        let old = std::mem::replace(&mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner), bar);
        if let Some(old) = old {
            old.finish_and_clear();
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.show(None);
    }
}

fn say(line: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
