//! Backups.

use super::*;
use crate::conformance::support::*;
use crate::{Maintenance as _, StoreError};
use std::sync::Arc;

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let (_database, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    let told = Arc::new(std::sync::Mutex::new((0, 0)));
    let telling = Arc::clone(&told);
    let progress = Box::new(move |done, all| *telling.lock().unwrap() = (done, all));
    let bytes = store.backup(&to, progress).await.unwrap();
    assert!(bytes > 0);
    let (done, all) = *told.lock().unwrap();
    assert!(done == all && all > 0);

    std::fs::write(dir.path().join("other"), "precious").unwrap();
    for taken in [to, dir.path().join("other")] {
        let refused = store.backup(&taken, Box::new(|_, _| {})).await;
        assert!(matches!(refused, Err(StoreError::Taken { .. })), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("other")).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
