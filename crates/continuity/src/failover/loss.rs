//! What would be lost: counted in entries and seconds, never less than can be.

use serde::{Deserialize, Serialize};

/// What is known of the site that is gone, and of what is here.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Known {
    /// Entries that its primary held when it was last heard of; `None`: it was never heard of.
    pub theirs: Option<i64>,
    /// When the last of them was taken in, in milliseconds since 1970.
    pub theirs_at: Option<i64>,
    /// Entries a second that it took at the busiest of the last minute.
    pub rate: f64,
    /// Seconds from the question that it answered last to the first that it did not.
    pub unheard_seconds: f64,
    /// Entries that are here for certain.
    pub ours: i64,
    /// When the last of them was taken in.
    pub ours_at: Option<i64>,
    /// Entries that may be here, if more may be than are for certain.
    pub ours_at_most: Option<i64>,
    /// Whether it was stopped in order and everything of it is here.
    pub nothing_is_missing: bool,
}

/// What would be lost.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Loss {
    /// Entries that are lost certainly.
    pub at_least: u64,
    /// Entries that may be lost, if that site stopped taking messages when it stopped answering.
    pub at_most: u64,
    /// Seconds between the last entry there that is known and the last one here.
    pub seconds: f64,
    /// Entries here.
    pub here: i64,
    /// Whether anything is known of that site: if not, the figures say nothing.
    pub known: bool,
}

/// How much faster than ever seen the last moments may have been.
const HASTE: f64 = 2.0;

impl Loss {
    /// Counts.
    pub fn of(known: &Known) -> Loss {
        if known.nothing_is_missing {
            return Loss { at_least: 0, at_most: 0, seconds: 0.0, here: known.ours, known: true };
        }
        let Some(theirs) = known.theirs else {
            return Loss { at_least: 0, at_most: u64::MAX, seconds: 0.0, here: known.ours, known: false };
        };
        let certainly_missing = theirs - known.ours_at_most.unwrap_or(known.ours).max(known.ours);
        let at_least = u64::try_from(certainly_missing).unwrap_or(0);
        let heard_of = u64::try_from(theirs - known.ours).unwrap_or(0);
        let unheard = (known.rate * known.unheard_seconds * HASTE).ceil().clamp(0.0, 1e15);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
        let unheard = unheard as u64;
        // What is here beyond what was last heard of is not missing.
        let ahead = u64::try_from(known.ours - theirs).unwrap_or(0);
        let unheard = unheard.saturating_sub(ahead).max(u64::from(known.rate > 0.0));
        #[allow(clippy::cast_precision_loss, reason = "a difference of times in milliseconds")]
        let seconds = match (known.theirs_at, known.ours_at) {
            (Some(theirs), Some(ours)) => (theirs - ours).max(0) as f64 / 1e3,
            _ => 0.0,
        };
        Loss {
            at_least,
            at_most: heard_of + unheard,
            seconds: seconds + known.unheard_seconds,
            here: known.ours,
            known: true,
        }
    }

    /// For people.
    pub fn told(&self) -> String {
        if !self.known {
            return "how much would be lost is not known: nothing was ever heard of the other site here".into();
        }
        let entries = match (self.at_least, self.at_most) {
            (0, 0) => return "nothing would be lost".into(),
            (least, most) if least == most => format!("{least} messages and changes"),
            (least, most) => format!("{least} to {most} messages and changes"),
        };
        format!("{entries} would be lost, of the last {:.1} s", self.seconds.max(0.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            theirs: Some(1_000),
            theirs_at: Some(10_000),
            rate: 200.0,
            unheard_seconds: 0.5,
            ours: 990,
            ours_at: Some(9_900),
            ..Known::default()
        }
    }

    #[test]
    fn it_is_never_said_to_be_less_than_it_can_be() {
        let loss = Loss::of(&known());
        assert_eq!((loss.at_least, loss.at_most), (10, 210));
        assert!((loss.seconds - 0.6).abs() < 1e-9);
        let ahead = Loss::of(&Known { ours: 1_150, ..known() });
        assert_eq!((ahead.at_least, ahead.at_most), (0, 50), "what is here already cannot be lost");
        let in_between = Loss::of(&Known { ours_at_most: Some(995), ..known() });
        assert_eq!((in_between.at_least, in_between.at_most), (5, 210), "five of them may be on the share, or not");
        let fewer = Loss::of(&Known { ours_at_most: Some(900), ..known() });
        assert_eq!(fewer, Loss::of(&known()), "what is here is here, whatever was counted");
        let all = Loss::of(&Known { ours: 800, ours_at_most: Some(1_150), ..known() });
        assert_eq!((all.at_least, all.at_most), (0, 400));
        let idle = Loss::of(&Known { rate: 0.0, ours: 1_000, ours_at: Some(10_000), ..known() });
        assert_eq!((idle.at_least, idle.at_most), (0, 0));
        assert_eq!(Loss::of(&Known { nothing_is_missing: true, ..known() }).at_most, 0);
    }

    #[test]
    fn what_is_not_known_is_not_called_nothing() {
        let loss = Loss::of(&Known { theirs: None, ..known() });
        assert!(!loss.known && loss.at_most == u64::MAX && loss.told().contains("not known"));
    }
}
