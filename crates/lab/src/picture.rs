//! A demonstration as a picture: what was acknowledged moment by moment, and under it the steps of the failover on the same scale.
//!
//! One SVG file without scripts, fonts or references, in light and dark as whoever looks at it prefers.

use crate::demo::{Demo, StepTaken};
use crate::names;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
/// Where the scale begins: names stand on its left.
const LEFT: f64 = 110.0;
/// Where it ends: durations stand on its right.
const RIGHT: f64 = 870.0;
/// The top and the foot of the columns.
const TOP: f64 = 130.0;
const FOOT: f64 = 250.0;
/// Height of a step.
const ROW: f64 = 20.0;
/// Seconds that are shown before the site is lost, and after the first post is accepted again.
const AROUND: f64 = 3.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-size:20px;font-weight:600}.m{fill:#57606a}.p{fill:#ffffff}\
.c{fill:#2f7d6d}.g{fill:#b4442f;fill-opacity:.10}.l{stroke:#b4442f;stroke-width:1.5}.a{stroke:#d0d7de}.s{fill:#57606a}.o{fill:#2f7d6d}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9da7b1}.p{fill:#15181c}.c,.o{fill:#5cb8a2}.g{fill:#ff8b73}.l{stroke:#ff8b73}.a{stroke:#3a424b}.s{fill:#8b949e}}";

/// The scale: seconds since the site was lost.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.to - self.from) * (RIGHT - LEFT)
    }
}

/// Draws it.
pub fn picture(demo: &Demo) -> String {
    let story = &demo.timeline;
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let since = |ms: u64| (ms as f64 - story.lost_ms as f64) / 1e3;
    let (commanded, accepted) = (since(story.commanded_ms), since(story.accepted_ms));
    let total: u64 = demo.steps.iter().map(|s| s.ms).sum();
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let ended = commanded + total as f64 / 1e3;
    let scale = Scale { from: -AROUND, to: accepted.max(ended) + AROUND };
    let steps: Vec<&StepTaken> = demo.steps.iter().filter(|s| s.ms > 0).collect();
    #[allow(clippy::cast_precision_loss, reason = "a dozen steps")]
    let height = FOOT + 64.0 + steps.len() as f64 * ROW + 28.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\"><style>{STYLE}</style>",
        escaped(&headline(demo).join(" "))
    );
    let mut put = |part: String| svg.push_str(&part);
    put(format!("<rect class=\"p\" width=\"{WIDTH}\" height=\"{height}\"/>"));
    put(text(24.0, 38.0, "t", "start", &format!("Site {} is lost, site {} takes over", names::FIRST, names::SECOND)));
    for (line, y) in headline(demo).iter().zip([62.0, 81.0]) {
        put(text(24.0, y, "m", "start", line));
    }

    // Nobody is served.
    let (gone, back) = (scale.x(0.0), scale.x(accepted));
    put(format!(
        "<rect class=\"g\" x=\"{gone:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        back - gone,
        FOOT - TOP
    ));
    put(columns(demo, &scale));
    put(text(LEFT - 8.0, TOP + 10.0, "m", "end", "posts a"));
    put(text(LEFT - 8.0, TOP + 26.0, "m", "end", "second"));
    for (at, word, anchor) in
        [(0.0, format!("{} is lost", names::FIRST), "end"), (accepted, "first post accepted".to_owned(), "start")]
    {
        let x = scale.x(at);
        put(format!("<line class=\"l\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{FOOT}\"/>", TOP - 14.0));
        let beside = if anchor == "end" { x - 5.0 } else { x + 5.0 };
        put(text(beside, TOP - 4.0, "", anchor, &word));
    }
    put(axis(&scale));
    put(rows(&steps, commanded, &scale));
    svg.push_str("</svg>\n");
    svg
}

fn headline(demo: &Demo) -> [String; 2] {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let seconds = demo.failover_ms as f64 / 1e3;
    [
        format!(
            "{} messages acknowledged; {} lost, and up to {} were shown before it was confirmed; {} doubled, {} out of order.",
            demo.acknowledged, demo.lost, demo.loss_shown, demo.duplicated, demo.reordered
        ),
        format!("{seconds:.1} s from the command to the first accepted post."),
    ]
}

/// What was acknowledged in each moment.
#[allow(clippy::cast_precision_loss, reason = "moments of minutes")]
fn columns(demo: &Demo, scale: &Scale) -> String {
    let story = &demo.timeline;
    let moment = story.moment_ms as f64 / 1e3;
    let at = |i: usize| (i as f64).mul_add(moment, -(story.lost_ms as f64 / 1e3));
    let shown = || {
        let all = story.acknowledged.iter().enumerate().map(|(i, n)| (at(i), *n));
        all.filter(|(at, n)| *n > 0 && *at >= scale.from && at + moment <= scale.to)
    };
    let most = f64::from(shown().map(|(_, n)| n).max().unwrap_or(1));
    let mut drawn = String::new();
    for (at, n) in shown() {
        let height = f64::from(n) / most * (FOOT - TOP);
        let width = (scale.x(at + moment) - scale.x(at) - 0.5).max(0.5);
        let _ = write!(
            drawn,
            "<rect class=\"c\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            scale.x(at),
            FOOT - height
        );
    }
    let top = (most / moment).round();
    drawn + &text(LEFT - 8.0, TOP + 44.0, "m", "end", &format!("to {top}"))
}

fn axis(scale: &Scale) -> String {
    let mut drawn = format!("<line class=\"a\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{FOOT}\" y2=\"{FOOT}\"/>");
    let apart = ((scale.to - scale.from) / 12.0).ceil().max(1.0);
    let mut second = (scale.from / apart).ceil() * apart;
    while second <= scale.to {
        let x = scale.x(second);
        let _ = write!(drawn, "<line class=\"a\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{FOOT}\" y2=\"{:.1}\"/>", FOOT + 5.0);
        drawn.push_str(&text(x, FOOT + 20.0, "m", "middle", &format!("{second:+} s").replace("+0 s", "0")));
        second += apart;
    }
    drawn
}

/// The steps, each where it was taken.
#[allow(clippy::cast_precision_loss, reason = "a dozen steps of seconds")]
fn rows(steps: &[&StepTaken], commanded: f64, scale: &Scale) -> String {
    let mut drawn = text(LEFT - 8.0, FOOT + 48.0, "", "end", "failover");
    let mut begun = commanded;
    for (i, step) in steps.iter().enumerate() {
        let y = FOOT + 60.0 + i as f64 * ROW;
        let ended = begun + step.ms as f64 / 1e3;
        let (x, to) = (scale.x(begun), scale.x(ended));
        // Clients are served from here on; what comes after it needs no hurry.
        let class = if step.name == "servers" { "o" } else { "s" };
        drawn.push_str(&text(LEFT - 8.0, y + 12.0, "m", "end", &step.name));
        let _ = write!(
            drawn,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"11\" rx=\"2\"/>",
            y + 2.0,
            (to - x).max(2.0)
        );
        drawn.push_str(&text((to.max(x + 2.0)) + 6.0, y + 12.0, "m", "start", &format!("{} ms", step.ms)));
        begun = ended;
    }
    drawn
}

fn text(x: f64, y: f64, class: &str, anchor: &str, said: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(said))
}

fn escaped(said: &str) -> String {
    said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Timeline;

    #[test]
    fn every_step_is_drawn_and_nothing_lies_outside() {
        let step = |name: &str, ms| StepTaken { name: name.into(), ms, observed: String::new() };
        let demo = Demo {
            acknowledged: 700,
            failover_ms: 2_000,
            loss_shown: 9,
            steps: vec![
                step("check", 80),
                step("fence", 0),
                step("promote", 300),
                step("servers", 150),
                step("mirror", 900),
            ],
            timeline: Timeline {
                moment_ms: 100,
                acknowledged: vec![20; 100],
                lost_ms: 4_000,
                commanded_ms: 4_500,
                accepted_ms: 6_500,
            },
            ..Demo::default()
        };
        let svg = picture(&demo);
        for word in ["check", "promote", "servers", "mirror", "2.0 s from the command", "0 lost, and up to 9"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
        assert!(!svg.contains("fence"), "what took no time is not drawn");
        let numbers = svg.split(" x=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse::<f64>().ok());
        assert!(numbers.fold(0.0, f64::max) <= WIDTH);
    }
}
