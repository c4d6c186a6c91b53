//! Batches that somebody else has made: what readers rely on is checked before they are appended.

use std::sync::Arc;

use super::compression;
use super::record::{BatchHead, RecordBatch, Records, is_intact, torn};
use crate::error::{Error, Result};

/// The bits of the attributes that a batch from outside may not have: its times are those of its append, it belongs to a
/// transaction, is one of its marks, or was compacted.
const REFUSED: i16 = 0b111_1000;

impl RecordBatch {
    /// A batch that somebody else has made, compressed or not. Everything that readers rely on is checked.
    ///
    /// # Errors
    /// Kind `Backend`: it is no whole batch, is damaged, cannot be decompressed, or its head does not fit its records.
    /// Kind `Unsupported`: it belongs to a transaction, or its times are those of its append.
    pub fn parse(bytes: Vec<u8>) -> Result<RecordBatch> {
        let head = BatchHead::parse_any(&bytes)?.filter(|head| head.length == bytes.len()).ok_or_else(torn)?;
        if !is_intact(&bytes) {
            return Err(Error::backend("a record batch has a wrong checksum"));
        }
        if i16::from_be_bytes([bytes[21], bytes[22]]) & REFUSED != 0 {
            return Err(Error::unsupported("record batches of transactions or with times of their append"));
        }
        let plain = (head.codec != 0).then(|| compression::plain(&bytes, &head)).transpose()?;
        check(plain.as_deref().unwrap_or(&bytes))?;
        Ok(RecordBatch { bytes: Arc::new(bytes), plain: plain.map(Arc::new), records: head.records })
    }
}

/// Refuses a plain batch whose head does not fit its records, or whose records do not follow each other.
fn check(batch: &[u8]) -> Result<()> {
    let wrong = || Error::backend("the head of a record batch does not fit its records");
    let head = BatchHead::parse(batch)?.ok_or_else(torn)?;
    let mut records = Records::new(batch, head);
    let (mut next, mut max_time) = (head.base_offset, i64::MIN);
    while let Some(record) = records.next_record()? {
        record.headers()?;
        if record.offset != next {
            return Err(wrong());
        }
        next += 1;
        max_time = max_time.max(record.time);
    }
    let fits = next == head.next_offset() && max_time == head.max_time && records.place().0 == batch.len();
    if fits && next > head.base_offset { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::Random;
    use crate::topics::record::{BatchWriter, CHECKED_FROM};

    #[test]
    fn a_batch_of_somebody_else_is_checked() {
        let mut writer = BatchWriter::new();
        (0..3).for_each(|time| writer.push(time, Some(b"k"), Some(b"value"), &[]));
        let whole = writer.finish().expect("some records").bytes().to_vec();
        RecordBatch::parse(whole.clone()).expect("as it is made here");
        let mut random = Random::new(0);
        let mut refused = 0;
        for at in 16..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 1 << random.below(8);
            RecordBatch::parse(wrong.clone()).expect_err("a wrong checksum");
            // What is wrong may be hidden by a right checksum.
            let crc = crc32c::crc32c(&wrong[CHECKED_FROM..]);
            wrong[17..21].copy_from_slice(&crc.to_be_bytes());
            refused += usize::from(RecordBatch::parse(wrong).is_err());
        }
        assert!(refused > 40, "{refused} were refused; bytes of keys and values may be any");
        for (at, bits) in [(22, 0b1000), (22, 0b1_0000), (22, 0b10_0000), (26, 1), (60, 1), (42, 1)] {
            let mut wrong = whole.clone();
            wrong[at] ^= bits;
            let crc = crc32c::crc32c(&wrong[CHECKED_FROM..]);
            wrong[17..21].copy_from_slice(&crc.to_be_bytes());
            RecordBatch::parse(wrong).expect_err("refused");
        }
        RecordBatch::parse(whole[..whole.len() - 1].to_vec()).expect_err("it breaks off");
    }
}
