//! `Set-CsPersistentChatState`: step 5. The pool is failed over, or back to normal.

use crate::administration::{Administration, PoolState, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct SetCsPersistentChatState;

static ABOUT: About = About {
    name: "Set-CsPersistentChatState",
    synopsis: "Step 5: sets the state of the pool, which every server sees.",
    here: "Refused until the database of that site takes writes. Both parameters must be there: Lync takes Normal for -PoolState when it is not.",
    parameters: &[
        Parameter::new("Identity", Kind::Identity, "The pool, by its own name or that of one of its servers.")
            .mandatory()
            .positional(),
        Parameter::new("PoolState", Kind::OneOf(&["Normal", "FailedOver"]), "The state.").mandatory(),
        Parameter::new("Force", Kind::Switch, "Does not ask."),
        Parameter::new(
            "Instance",
            Kind::Absent("there are no objects to hand over; -Identity says which pool is meant"),
            "",
        ),
    ],
    changes: true,
    example: r#"Set-CsPersistentChatState -Identity "service:atl-cs-001.litwareinc.com" -PoolState FailedOver"#,
};

#[async_trait]
impl Cmdlet for SetCsPersistentChatState {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        let state = match *given.need_word("PoolState")? {
            "FailedOver" => PoolState::FailedOver,
            _ => PoolState::Normal,
        };
        pool.set_pool_state(given.need_identity("Identity")?, state, what_if).await
    }
}
