//! Signing in and entering a room of ten, many side by side: with SCRAM, which costs the client a derivation that it keeps, and with PLAIN, which costs the
//! server one each time.

use super::{Sizes, micros, rate};
use crate::audience::{Audience, Deaf, Seat};
use crate::figures::Figure;
use crate::sasl::Way;
use crate::site::{Site, room};
use anyhow::Result;
use std::sync::Arc;

const WHAT: &str = "sign-ins";
const IN_EACH: usize = 10;

pub(crate) async fn measure(site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    // The first is thrown away: in it the generator derives its keys, and the rooms are made.
    for (name, way) in [(None, Way::Scram), (Some("SCRAM"), Way::Scram), (Some("PLAIN"), Way::Plain)] {
        let seat =
            |n: usize| Seat { account: site.account(n, way), room: Some(room(format!("signins{}", n / IN_EACH))) };
        let before = site.usage();
        let audience = Audience::gather((0..sizes.signins).map(seat).collect(), &Arc::new(Deaf)).await?;
        let used = site.used(before);
        audience.ensure_all_there()?;
        if let Some(name) = name {
            let people = audience.len() as u64;
            let mut figure = |what: &str, unit, value| {
                figures.push(Figure::new(WHAT, format!("{name}: {what}"), unit, value));
            };
            figure("sign-ins, each with a join", "1/s", rate(people, audience.took));
            figure("server's CPU of one", "us", micros(used.server, people));
            figure("PostgreSQL's CPU of one", "us", micros(used.postgres, people));
            figure("generator's CPU of one", "us", micros(used.generator, people));
        }
        audience.leave().await?;
        site.settle().await;
    }
    Ok(figures)
}
