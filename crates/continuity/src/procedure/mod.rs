//! Procedures: journaled, resumable sequences of steps.
//!
//! Each step is carried out the same way: look whether its outcome is there already; write the intent; act; look again until the outcome is
//! there; write that it is done. *Resume* is nothing special: the world is looked at, not the journal, to decide whether an intent has happened.
//! Success is only ever said of an outcome that was observed; what is not known counts as not done. What gives no answer is asked again, within the step's own
//! time, and this is said meanwhile: a slow machine is no reason to stop halfway.
//!
//! [`step`] is what a step is, [`journal`] what is written, [`run`] the engine, [`view`] what a terminal sees. What the steps do stands in
//! [`crate::failover`], [`crate::switchover`] and [`crate::mirror`].

pub(crate) mod failpoint;
pub mod journal;
pub mod run;
pub mod step;
pub mod view;

pub use journal::{Journal, JournalError, Phase, Record};
pub use run::{Answer, Operation};
pub use step::{Memory, Observed, Procedure, Question, Step, StepError};
pub use view::{OperationState, OperationView, StepState, StepView};
