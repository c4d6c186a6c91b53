//! The manifest: what a checkpoint consists of, in one small file that is replaced as a whole.
//!
//! ```text
//! "TIDEMANI", version (4 bytes)
//! round, number of commands, generation         varint each
//! ends        number; for each topic, partition, segment, byte, offset        varints
//! fronts      number; for each topic, partition, first offset, first segment           varints
//! compacted   number; for each topic, partition, first segment, first segment after, generation, bytes    varints
//! image       length, bytes
//! queries     number; for each query, epoch, head (length, bytes),
//!             horizons (number; for each operator, task, bucket (8 bytes))
//! runs        number; the number of each, the oldest first
//! CRC32C of all bytes before (4 bytes)
//! ```
//!
//! Numbers are varints where nothing else is said, the others little-endian. The order of the runs matters: a newer one
//! overrides older ones, and after a merge it is not the order of their numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::EpochHead;
use super::frame::{put_compaction, put_front, take_compaction, take_front};
use crate::disk::{self, Disk, Open, SyncSite};
use crate::error::{Error, Result};
use crate::ids::{EpochNumber, Generation, QueryNumber, RoundNumber, RunNumber, TopicId, Version};
use crate::state::{BucketId, OperatorId, OperatorTask};
use crate::topics::PartitionId;
use crate::topics::log::{Compaction, Layout, Place};
use crate::types::row::{Input, put_bytes, put_varint};

/// A checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The round at which it was taken; later ones are in the journal.
    ///
    /// 0 if there was no checkpoint.
    pub round: RoundNumber,
    /// The number of commands up to there.
    pub version: Version,
    /// Journal files of earlier generations are not needed.
    ///
    /// The first file that has rounds after the checkpoint.
    pub generation: Generation,
    /// The decided end of every partition.
    ///
    /// Partitions without records are in it too, with a place at the start.
    pub ends: BTreeMap<PartitionId, Place>,
    /// What of partitions was deleted and compacted; those of which nothing was are left out.
    pub layouts: BTreeMap<PartitionId, Layout>,
    /// What exists, as the engine writes it.
    pub image: Vec<u8>,
    /// Where each query stood, in the order of their numbers.
    pub queries: Vec<QueryState>,
    /// The numbers of the runs of state, the oldest first.
    pub runs: Vec<RunNumber>,
}

/// Where a query stood.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryState {
    /// The last epoch that the checkpoint has.
    pub head: EpochHead,
    /// For each operator task its horizon: no entry of an earlier bucket exists any more.
    pub horizons: BTreeMap<OperatorTask, BucketId>,
}

/// Starts a manifest.
const MAGIC: [u8; 8] = *b"TIDEMANI";
/// The version of the format that this program writes and reads.
const VERSION: u32 = 5;

/// The path of the manifest in a data folder.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join("manifest")
}

/// Replaces the manifest. The new one is written beside the old one and renamed, so that there is always a whole one.
///
/// When it returns, the new manifest is durable. After an error the old one is still there, or after a failed sync
/// either of them.
///
/// # Errors
/// The disk is full, or the file cannot be written or synced.
pub fn write(disk: &dyn Disk, data: &Path, manifest: &Manifest) -> Result<()> {
    let target = path(data);
    let beside = data.join("manifest.new");
    match disk.remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = disk.open(&beside, Open::New)?;
    file.write_at(&encode(manifest), 0)?;
    file.sync(SyncSite::Manifest)?;
    disk.rename(&beside, &target)?;
    Ok(disk.sync_dir(data, SyncSite::ManifestDirectory)?)
}

/// The manifest of a data folder, if there has been a checkpoint.
///
/// `None` if there has been none.
///
/// # Errors
/// The file cannot be read, is damaged, or has another version.
pub(super) fn read(disk: &dyn Disk, data: &Path) -> Result<Option<Manifest>> {
    let file = match disk.open(&path(data), Open::Existing) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = usize::try_from(file.len()?).map_err(|_| Error::backend("the manifest is too large"))?;
    decode(&disk::read(file.as_ref(), 0, length)?).map(Some)
}

/// The bytes of a manifest, with a checksum at the end.
fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    for number in [manifest.round.get(), manifest.version.get(), manifest.generation.get()] {
        put_varint(&mut out, number);
    }
    put_varint(&mut out, manifest.ends.len() as u64);
    for (id, end) in &manifest.ends {
        put_varint(&mut out, id.topic.get());
        put_varint(&mut out, u64::from(id.partition));
        put_varint(&mut out, end.segment as u64);
        put_varint(&mut out, end.byte);
        put_varint(&mut out, end.offset as u64);
    }
    put_layouts(&mut out, &manifest.layouts);
    put_bytes(&mut out, &manifest.image);
    put_varint(&mut out, manifest.queries.len() as u64);
    for query in &manifest.queries {
        put_varint(&mut out, query.head.query.get());
        put_varint(&mut out, query.head.number.get());
        put_bytes(&mut out, &query.head.bytes);
        put_varint(&mut out, query.horizons.len() as u64);
        for (place, horizon) in &query.horizons {
            put_varint(&mut out, u64::from(place.operator.encode()));
            put_varint(&mut out, u64::from(place.task));
            out.extend_from_slice(&horizon.to_le_bytes());
        }
    }
    put_varint(&mut out, manifest.runs.len() as u64);
    manifest.runs.iter().for_each(|run| put_varint(&mut out, run.get()));
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn put_layouts(out: &mut Vec<u8>, layouts: &BTreeMap<PartitionId, Layout>) {
    put_varint(out, layouts.len() as u64);
    layouts.iter().for_each(|(id, layout)| put_front(out, *id, layout.front));
    let of = |(id, layout): (&PartitionId, &'_ Layout)| {
        let partition = *id;
        let all = layout.compacted.clone().into_iter();
        all.map(move |(first, compacted)| Compaction { partition, first, compacted })
    };
    let all: Vec<Compaction> = layouts.iter().flat_map(of).collect();
    put_varint(out, all.len() as u64);
    all.iter().for_each(|compaction| put_compaction(out, compaction));
}

/// Reads what [`put_layouts`] wrote.
fn take_layouts(input: &mut Input) -> Result<BTreeMap<PartitionId, Layout>> {
    let mut layouts: BTreeMap<PartitionId, Layout> = BTreeMap::new();
    for _ in 0..input.varint()? {
        let (id, front) = take_front(input)?;
        layouts.entry(id).or_default().front = front;
    }
    for _ in 0..input.varint()? {
        let Compaction { partition, first, compacted } = take_compaction(input)?;
        layouts.entry(partition).or_default().compact(first, compacted);
    }
    Ok(layouts)
}

/// Reads what [`encode`] wrote. An error if a byte is wrong or another version wrote it.
///
/// Kind `Backend`.
fn decode(bytes: &[u8]) -> Result<Manifest> {
    let damaged = || Error::backend("the manifest is damaged").hint("restore the folder from a backup");
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let mut input = Input(body);
    if input.array::<8>()? != MAGIC {
        return Err(damaged());
    }
    let version = u32::from_le_bytes(input.array()?);
    if version != VERSION {
        let age = if version > VERSION { "a newer" } else { "an older" };
        let error = Error::backend(format!("the manifest has the unknown version {version}"));
        return Err(error.hint(format!("it was written by {age} Tidemill; use that one")));
    }
    let mut manifest = Manifest {
        round: RoundNumber::new(input.varint()?),
        version: Version::new(input.varint()?),
        generation: Generation::new(input.varint()?),
        ..Manifest::default()
    };
    for _ in 0..input.varint()? {
        let id = PartitionId { topic: TopicId::new(input.varint()?), partition: input.varint()? as u32 };
        let end = Place { segment: input.varint()? as i64, byte: input.varint()?, offset: input.varint()? as i64 };
        manifest.ends.insert(id, end);
    }
    manifest.layouts = take_layouts(&mut input)?;
    manifest.image = input.bytes()?.to_vec();
    for _ in 0..input.varint()? {
        let (query, number) = (QueryNumber::new(input.varint()?), EpochNumber::new(input.varint()?));
        let head = EpochHead { query, number, bytes: input.bytes()?.to_vec() };
        let mut horizons = BTreeMap::new();
        for _ in 0..input.varint()? {
            let operator = OperatorId::decode(input.varint()? as u32).ok_or_else(damaged)?;
            let place = OperatorTask { operator, task: input.varint()? as u32 };
            horizons.insert(place, input.i64()?);
        }
        manifest.queries.push(QueryState { head, horizons });
    }
    manifest.runs = (0..input.varint()?).map(|_| Ok(RunNumber::new(input.varint()?))).collect::<Result<_>>()?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::log::{Compacted, Front};

    #[test]
    fn manifests_survive_the_way_through_bytes() {
        let operator = OperatorId { kind: crate::state::OperatorKind::Join, number: 3 };
        let operator = OperatorTask { operator, task: 2 };
        let compacted = [(1, Compacted { end: 3, generation: 9, length: 70 })].into();
        let layout = Layout { front: Front { start: 2, segment: 1 }, compacted };
        let head = EpochHead { query: QueryNumber::new(7), number: EpochNumber::new(8), bytes: b"head".to_vec() };
        let manifest = Manifest {
            round: RoundNumber::new(5),
            version: Version::new(6),
            generation: Generation::new(4),
            ends: [(PartitionId { topic: TopicId::new(1), partition: 2 }, Place { segment: 3, byte: 4, offset: 5 })]
                .into(),
            layouts: [(PartitionId { topic: TopicId::new(1), partition: 2 }, layout)].into(),
            image: b"image".to_vec(),
            queries: vec![QueryState { head, horizons: [(operator, -9)].into() }],
            runs: vec![RunNumber::new(10), RunNumber::new(4)],
        };
        let mut bytes = encode(&manifest);
        assert_eq!(decode(&bytes).expect("intact"), manifest);
        bytes[20] ^= 1;
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn another_version_is_called_newer_or_older() {
        for (version, age) in [(VERSION + 1, "a newer Tidemill"), (VERSION - 1, "an older Tidemill")] {
            let mut bytes = [&MAGIC[..], &version.to_le_bytes()].concat();
            bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
            let error = decode(&bytes).expect_err("another version");
            assert!(error.advice().is_some_and(|advice| advice.contains(age)), "{error:?}");
        }
    }
}
