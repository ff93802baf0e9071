//! What lies on a share of the way from a position to the end: found by one listing, without reading a segment.

use crate::lineage::Lineage;
use crate::lsn::Lsn;
use crate::names::{self, Pair};
use crate::segment::{Segment, SegmentSize, SystemIdentifier, WalFile};
use crate::share::{Listed, Share, ShareError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From where on: the position that was replayed, and its timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// The position.
    pub lsn: Lsn,
    /// Its timeline: history files are needed only of later ones.
    pub timeline: u32,
}

/// What a listing showed.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The cluster.
    pub system: SystemIdentifier,
    /// The size of its segments.
    pub size: SegmentSize,
    /// The lineage by which it was read.
    pub lineage: Lineage,
    /// From where on.
    pub start: Start,
    /// The segments of the lineage from there to the last that is there, in order; also those in between that are not there.
    pub segments: Vec<Found>,
    /// The history files that are needed on that way.
    pub histories: Vec<FoundHistory>,
    /// The last object, when it has no manifest yet: on its way when its shipper stopped. It does not count.
    pub in_flight: Option<String>,
    /// What lies there and is not the pool's history.
    pub foreign: Vec<Foreign>,
}

/// A segment of the lineage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which.
    pub segment: Segment,
    /// Its name.
    pub name: String,
    /// The size of its bytes as stored; `None` if they are not there.
    pub data: Option<u64>,
    /// Whether its manifest is there.
    pub manifest: bool,
    /// Both of them as they lie there, if their store says by what it knows them: another one when one of them was written anew.
    pub stamp: Option<String>,
}

/// A history file of the lineage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundHistory {
    /// The timeline whose it is.
    pub timeline: u32,
    /// Its name.
    pub name: String,
    /// Where the timeline begins: from the segment of this position on, the file is needed.
    pub fork: Lsn,
    /// Whether its bytes are there.
    pub data: bool,
    /// Whether its manifest is there.
    pub manifest: bool,
}

/// An object that is not the pool's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Foreign {
    /// The object.
    pub object: String,
    /// Why it does not count.
    pub why: String,
}

impl Inventory {
    /// Lists a share and lays what is there along the lineage.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]: what cannot be listed is not empty.
    pub async fn take(
        share: &Share,
        system: SystemIdentifier,
        size: SegmentSize,
        lineage: &Lineage,
        start: Start,
    ) -> Result<Inventory, ShareError> {
        let listed = share.list(names::WAL).await?;
        Ok(Inventory::of(&listed, system, size, lineage, start))
    }

    /// Lays what was listed along the lineage.
    pub fn of(
        listed: &[Listed],
        system: SystemIdentifier,
        size: SegmentSize,
        lineage: &Lineage,
        start: Start,
    ) -> Inventory {
        let objects: BTreeMap<&str, &Listed> = listed.iter().map(|l| (l.name.as_str(), l)).collect();
        let first = size.number_of(start.lsn);
        let (mut last, mut foreign) = (None, Vec::new());
        for object in objects.keys() {
            match ours(object, system, size) {
                Ok(file) => match file {
                    WalFile::Segment(segment) if segment.number < first => {}
                    WalFile::Segment(segment) if lineage.has(file, size) => last = last.max(Some(segment.number)),
                    WalFile::Segment(segment) => {
                        foreign.push(Foreign { object: (*object).into(), why: off(lineage, segment, size) });
                    }
                    WalFile::History(timeline) if lineage.opening_of(timeline).is_none() => {
                        let why = format!("timeline {timeline} is not on the lineage");
                        foreign.push(Foreign { object: (*object).into(), why });
                    }
                    WalFile::History(_) | WalFile::Partial(_) | WalFile::Backup(..) => {}
                },
                Err(why) => foreign.push(Foreign { object: (*object).into(), why }),
            }
        }
        let found = |file: WalFile| {
            let pair = Pair::of(system, file, size);
            (objects.get(pair.data().as_str()).copied(), objects.get(pair.manifest().as_str()).copied())
        };
        let numbers = last.map_or(0..0, |last| first..last + 1);
        let segments = numbers.filter_map(|number| {
            let segment = Segment { timeline: lineage.owner(number, size)?, number };
            let (data, manifest) = found(WalFile::Segment(segment));
            let name = segment.name(size);
            let stamp = data.zip(manifest).and_then(|(data, manifest)| stamp(&name, data, manifest));
            Some(Found { segment, name, data: data.map(|d| d.size), manifest: manifest.is_some(), stamp })
        });
        let mut segments: Vec<Found> = segments.collect();
        let unfinished = segments.pop_if(|last| last.data.is_some() && !last.manifest);
        let end = segments.last().map_or(first, |f| f.segment.number);
        let needed = lineage.path().into_iter().filter(|o| {
            o.timeline > start.timeline && o.start > Lsn(0) && !segments.is_empty() && size.number_of(o.start) <= end
        });
        let histories = needed.map(|o| {
            let file = WalFile::History(o.timeline);
            let (data, manifest) = found(file);
            FoundHistory {
                timeline: o.timeline,
                name: file.name(size),
                fork: o.start,
                data: data.is_some(),
                manifest: manifest.is_some(),
            }
        });
        Inventory {
            system,
            size,
            lineage: lineage.clone(),
            start,
            histories: histories.collect(),
            segments,
            in_flight: unfinished.map(|f| f.name),
            foreign,
        }
    }

    /// Only the first so many segments of it, with the history files that are needed among them: for whoever goes on little by little.
    #[must_use]
    pub fn first(mut self, most: usize) -> Inventory {
        if self.segments.len() > most {
            self.segments.truncate(most);
            self.in_flight = None;
        }
        let end = self.segments.last().map_or(0, |f| f.segment.number);
        let (size, some) = (self.size, !self.segments.is_empty());
        self.histories.retain(|h| some && size.number_of(h.fork) <= end);
        self
    }

    /// All but the first so many segments of it, for whoever knows those to hold.
    #[must_use]
    pub fn behind(mut self, skipped: usize) -> Inventory {
        self.segments.drain(..skipped.min(self.segments.len()));
        self
    }

    /// How many bytes the segments have when they are decompressed: the room that a copy folder needs.
    pub fn room(&self) -> u64 {
        self.size.bytes().saturating_mul(self.segments.len() as u64)
    }
}

/// The numbers of the first and the last segment of the lineage that lies there with its manifest.
pub fn extent(listed: &[Listed], system: SystemIdentifier, size: SegmentSize, lineage: &Lineage) -> Option<(u64, u64)> {
    let vouched = listed.iter().filter(|l| l.name.ends_with(".json"));
    let numbers = vouched.filter_map(|l| match ours(&l.name, system, size).ok()? {
        file @ WalFile::Segment(segment) if lineage.has(file, size) => Some(segment.number),
        _ => None,
    });
    numbers.fold(None, |extent, n| Some(extent.map_or((n, n), |(first, last): (u64, u64)| (first.min(n), last.max(n)))))
}

/// The file that an object under `wal/` is a part of.
fn ours(object: &str, system: SystemIdentifier, size: SegmentSize) -> Result<WalFile, String> {
    let parts: Vec<&str> = object.split('/').collect();
    let [_, cluster, folder, file] = parts.as_slice() else { return Err("no file of the log lies there".into()) };
    if *cluster != system.to_string() {
        return Err(format!("it is of cluster {cluster}"));
    }
    let name = file.strip_suffix(".zst").or_else(|| file.strip_suffix(".json"));
    let name = name.ok_or_else(|| "neither data nor a manifest".to_owned())?;
    let file = WalFile::parse(name, size).map_err(|e| e.to_string())?;
    if *folder != format!("{:08X}", file.timeline()) {
        return Err(format!("it lies in the folder of timeline {folder}"));
    }
    Ok(file)
}

fn off(lineage: &Lineage, segment: Segment, size: SegmentSize) -> String {
    let owner = lineage.owner(segment.number, size);
    let owner = owner.map_or_else(|| "no timeline".into(), |timeline| format!("timeline {timeline}"));
    format!("it is off the lineage, where this segment is of {owner}")
}

fn stamp(name: &str, data: &Listed, manifest: &Listed) -> Option<String> {
    let of = |object: &Listed| Some(format!("{} {} {}", object.tag.as_ref()?, object.size, object.modified));
    Some(format!("{name} {} {}", of(data)?, of(manifest)?))
}
