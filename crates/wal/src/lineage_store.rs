//! The lineage on a share: one object for every claim and every opening, written once.

use crate::lineage::{Claim, Lineage, Opening};
use crate::names;
use crate::share::{Share, ShareError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What could not be read from, or said in, a share's lineage.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineageError {
    /// The share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Somebody else has this epoch, or a newer one.
    #[error("epoch {} was claimed by {} ({}) at {}; whoever wants to write needs a newer one", claim.epoch, claim.holder, claim.by, claim.at)]
    Taken {
        /// By whom.
        claim: Box<Claim>,
    },
    /// The epoch's timeline was opened otherwise.
    #[error("epoch {} is on record with timeline {} from {} on, by {}; it cannot be opened twice", opening.epoch, opening.timeline, opening.start, opening.holder)]
    Opened {
        /// What is on record.
        opening: Box<Opening>,
    },
    /// Who opens a timeline must have claimed its epoch before.
    #[error("epoch {epoch} was not claimed by {holder} on the share {share}; claim it first")]
    NotClaimed {
        /// The epoch.
        epoch: u64,
        /// Who wanted to open a timeline in it.
        holder: String,
        /// Where.
        share: String,
    },
    /// An object cannot be what it should be.
    #[error(
        "{object} on the share {share} is damaged: {why}; nothing is shipped or fetched until a person has looked at it"
    )]
    Damaged {
        /// The share.
        share: String,
        /// The object.
        object: String,
        /// Why.
        why: String,
    },
}

/// Reads all claims and openings of a share.
///
/// # Errors
/// [`LineageError`]: half a lineage is none.
pub async fn read(share: &Share) -> Result<Lineage, LineageError> {
    let (mut claims, mut openings) = (Vec::new(), Vec::new());
    for object in share.list(names::LINEAGE).await? {
        let damaged = |why: String| LineageError::Damaged {
            share: share.location().to_owned(),
            object: object.name.clone(),
            why,
        };
        let Some(bytes) = share.get(&object.name).await? else { return Err(damaged("it is gone".into())) };
        let epoch = if object.name.ends_with(".claim") {
            let claim: Claim = parse(&bytes).map_err(damaged)?;
            claims.push(claim);
            claims.last().map(|c| names::claim(c.epoch))
        } else if object.name.ends_with(".open") {
            let opening: Opening = parse(&bytes).map_err(damaged)?;
            openings.push(opening);
            openings.last().map(|o| names::opening(o.epoch))
        } else {
            continue;
        };
        if epoch.as_deref() != Some(object.name.as_str()) {
            return Err(damaged("its name and its content tell different epochs".into()));
        }
    }
    Ok(Lineage::new(claims, openings))
}

/// Claims an epoch. The same claim once more, by the same procedure, is as good as the first.
///
/// # Errors
/// [`LineageError::Taken`] when somebody else has it or a newer one.
pub async fn claim(share: &Share, claim: &Claim) -> Result<(), LineageError> {
    let known = read(share).await?;
    if let Some(newer) = known.newest_claim().filter(|c| c.epoch > claim.epoch) {
        return Err(LineageError::Taken { claim: Box::new(newer.clone()) });
    }
    match share.put_once(&names::claim(claim.epoch), bytes(claim)).await {
        Ok(_) => Ok(()),
        Err(ShareError::Conflict { .. }) => {
            let there = read(share).await?;
            match there.claims().iter().find(|c| c.epoch == claim.epoch) {
                // Only the time differs: this procedure was here before.
                Some(c) if c.holder == claim.holder && c.by == claim.by => Ok(()),
                Some(c) => Err(LineageError::Taken { claim: Box::new(c.clone()) }),
                None => Err(gone(share, names::claim(claim.epoch))),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts on record which timeline the holder of an epoch has begun, and where. Once more is as good as once.
///
/// # Errors
/// [`LineageError::NotClaimed`], [`LineageError::Opened`]
pub async fn open_timeline(share: &Share, opening: &Opening) -> Result<(), LineageError> {
    let known = read(share).await?;
    if !known.claims().iter().any(|c| c.epoch == opening.epoch && c.holder == opening.holder) {
        let (epoch, holder) = (opening.epoch, opening.holder.clone());
        return Err(LineageError::NotClaimed { epoch, holder, share: share.location().to_owned() });
    }
    match share.put_once(&names::opening(opening.epoch), bytes(opening)).await {
        Ok(_) => Ok(()),
        Err(ShareError::Conflict { .. }) => {
            let there = read(share).await?;
            match there.openings().iter().find(|o| o.epoch == opening.epoch) {
                Some(o) if o == opening => Ok(()),
                Some(o) => Err(LineageError::Opened { opening: Box::new(o.clone()) }),
                None => Err(gone(share, names::opening(opening.epoch))),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn gone(share: &Share, object: String) -> LineageError {
    LineageError::Damaged { share: share.location().to_owned(), object, why: "it is there and is not".into() }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn bytes<T: Serialize>(value: &T) -> bytes::Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;
    use std::time::Duration;

    fn claim_of(epoch: u64, holder: &str, by: &str) -> Claim {
        Claim { epoch, holder: holder.into(), by: by.into(), at: jiff::Timestamp::now() }
    }

    #[tokio::test]
    async fn an_epoch_has_one_holder_and_one_timeline() {
        let dir = tempfile::tempdir().unwrap();
        let share = Share::init(dir.path().to_str().unwrap(), "p", "bos", Duration::from_secs(20)).await.unwrap();
        claim(&share, &claim_of(1, "a1", "create")).await.unwrap();
        claim(&share, &claim_of(1, "a1", "create")).await.unwrap();
        let taken = claim(&share, &claim_of(1, "a2", "op-7")).await.unwrap_err().to_string();
        assert!(taken.contains("a1 (create)"), "{taken}");
        let opening =
            |epoch, holder: &str, start| Opening { epoch, holder: holder.into(), timeline: 1, start: Lsn(start) };
        assert!(matches!(open_timeline(&share, &opening(1, "a2", 0)).await, Err(LineageError::NotClaimed { .. })));
        open_timeline(&share, &opening(1, "a1", 0)).await.unwrap();
        open_timeline(&share, &opening(1, "a1", 0)).await.unwrap();
        assert!(matches!(open_timeline(&share, &opening(1, "a1", 9)).await, Err(LineageError::Opened { .. })));
        claim(&share, &claim_of(1000, "b1", "op-8")).await.unwrap();
        assert!(matches!(claim(&share, &claim_of(2, "a2", "op-7")).await, Err(LineageError::Taken { .. })), "too late");
        let lineage = read(&share).await.unwrap();
        assert_eq!(lineage.newest_claim().map(|c| c.epoch), Some(1000));
        assert_eq!(lineage.newest_opening().map(|o| o.epoch), Some(1));
        std::fs::write(dir.path().join("lineage/000000000002.open"), "{").unwrap();
        let damaged = read(&share).await.unwrap_err().to_string();
        assert!(damaged.contains("lineage/000000000002.open"), "{damaged}");
    }
}
