#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use async_trait::async_trait;
use std::sync::atomic::{AtomicU32, Ordering};

/// A step of a machine that is slow: so many looks, and so many deeds, are without an answer before one has one.
struct Slow {
    silent_looks: AtomicU32,
    silent_deeds: AtomicU32,
    deeds: AtomicU32,
    patience: Duration,
}

impl Slow {
    fn new(looks: u32, deeds: u32, patience: Duration) -> Arc<Slow> {
        let (silent_looks, silent_deeds) = (AtomicU32::new(looks), AtomicU32::new(deeds));
        Arc::new(Slow { silent_looks, silent_deeds, deeds: AtomicU32::new(0), patience })
    }
}

fn is_left(of: &AtomicU32) -> bool {
    of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

struct Its(Arc<Slow>);

#[async_trait]
impl Step for Its {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn title(&self) -> String {
        "Do something slowly".into()
    }

    fn number(&self) -> u8 {
        1
    }

    fn patience(&self) -> Duration {
        self.0.patience
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        if is_left(&self.0.silent_looks) {
            return Err(StepError::no_answer("PostgreSQL does not answer here"));
        }
        Ok(match self.0.deeds.load(Ordering::SeqCst) {
            0 => Observed::NotYet("it is not done".into()),
            _ => Observed::done("it is done"),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        if is_left(&self.0.silent_deeds) {
            return Err(StepError::no_answer("the other agent cannot be reached"));
        }
        self.0.deeds.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct One(Vec<Box<dyn Step>>);

impl Procedure for One {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn title(&self) -> String {
        "Test".into()
    }

    fn steps(&self) -> &[Box<dyn Step>] {
        &self.0
    }

    fn unchanged(&self, _: usize) -> String {
        String::new()
    }
}

/// Carries it out, and answers how it ended and what was said meanwhile.
async fn carry_out(slow: &Arc<Slow>) -> (OperationView, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let procedure = Arc::new(One(vec![Box::new(Its(Arc::clone(slow)))]));
    let mut operation =
        Operation::begin(procedure, &dir.path().join("op"), "1", "here", "somebody", Value::Null, None).unwrap();
    let mut watch = operation.watch();
    let listening = tokio::spawn(async move {
        let mut said = Vec::new();
        while watch.changed().await.is_ok() {
            let view = watch.borrow_and_update().clone();
            said.push(view.steps[0].observed.clone());
        }
        said
    });
    operation.go(None).await;
    let view = operation.watch().borrow().clone();
    drop(operation);
    (view, listening.await.unwrap())
}

#[tokio::test]
async fn what_gives_no_answer_is_asked_and_done_again_and_this_is_said() {
    let slow = Slow::new(3, 2, Duration::from_secs(60));
    let (view, said) = carry_out(&slow).await;
    assert_eq!(view.state, OperationState::Done, "{view:#?}");
    assert_eq!((view.steps[0].observed.as_str(), slow.deeds.load(Ordering::SeqCst)), ("it is done", 1));
    for what in ["PostgreSQL does not answer here; it is asked again", "cannot be reached; it is asked again"] {
        assert!(said.iter().any(|s| s.contains(what)), "{what}: {said:?}");
    }
}

#[tokio::test]
async fn it_is_not_asked_for_longer_than_the_step_has() {
    let slow = Slow::new(u32::MAX, 0, Duration::from_millis(50));
    let (view, _) = carry_out(&slow).await;
    let told = &view.steps[0].observed;
    assert!(view.state.is_over() && view.steps[0].state == StepState::Failed, "{view:#?}");
    assert!(told.contains("does not answer here; it was asked again for"), "{told}");
    assert_eq!(slow.deeds.load(Ordering::SeqCst), 0);
}
