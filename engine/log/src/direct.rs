//! Writes past the page cache, which are durable when they return.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, OFlags, StatxFlags};
use rustix::io::Errno;

/// Start of the memory that is handed to the system, and alignment on file systems that do not name theirs.
const PAGE: usize = 4096;
/// The most bytes in one call, which is also the most memory that a file's writes take.
const CALL_BYTES: usize = 1 << 20;

/// A file whose writes bypass the page cache.
///
/// After a loss of power during a write, each block that the write gives new contents may hold anything; a
/// block that it gives the contents that it has keeps them, and nothing else changes.
pub trait DirectFile: fmt::Debug + Send + Sync {
    /// Offsets and lengths of writes must be multiples of this, in bytes.
    fn alignment(&self) -> u64;
    /// Writes all parts one after the other from an offset on, to a part of the file that has been written
    /// before. They are durable when it returns. Only their total length has to be aligned.
    fn write_durably(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
}

/// A file of the machine, opened with `O_DIRECT` and `O_DSYNC`.
#[derive(Debug)]
pub(super) struct SystemDirectFile {
    file: File,
    alignment: u64,
    buffer: Mutex<AlignedBuffer>,
}

impl SystemDirectFile {
    /// Fails with `Unsupported` if the file system has no direct IO, or one with other demands.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits() as i32;
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(path);
        let file = opened.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::INVAL) => unsupported("the file system has no direct IO"),
            _ => error,
        })?;
        let alignment = alignment(&file)?;
        Ok(SystemDirectFile { file, alignment, buffer: Mutex::default() })
    }

    /// One call may write less. Whatever is left of a block is written again as a whole.
    fn write_blocks(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match rustix::io::pwrite(&self.file, bytes, at) {
                Ok(written) => written as u64 / self.alignment * self.alignment,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            at += written;
            bytes = &bytes[written as usize..];
        }
        Ok(())
    }
}

impl DirectFile for SystemDirectFile {
    fn alignment(&self) -> u64 {
        self.alignment
    }

    fn write_durably(&self, mut parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut left: usize = parts.iter().map(|part| part.len()).sum();
        let mut at = offset;
        let mut buffer = self.buffer.lock();
        while left > 0 {
            let gathered = buffer.of(left.min(CALL_BYTES));
            gather(&mut parts, gathered);
            self.write_blocks(gathered, at)?;
            at += gathered.len() as u64;
            left -= gathered.len();
        }
        Ok(())
    }
}

/// What offsets and lengths must be multiples of.
fn alignment(file: &File) -> io::Result<u64> {
    let found = match rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
        Ok(found) if found.stx_mask & StatxFlags::DIOALIGN.bits() != 0 => found,
        // Older systems do not say. A write will show it.
        Ok(_) | Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => return Ok(PAGE as u64),
        Err(error) => return Err(error.into()),
    };
    let (memory, offset) = (found.stx_dio_mem_align, found.stx_dio_offset_align);
    if offset == 0 {
        return Err(unsupported("the file system has no direct IO for this file"));
    }
    if memory as usize > PAGE {
        return Err(unsupported(&format!("direct IO needs memory aligned to {memory} bytes, not {PAGE}")));
    }
    Ok(offset.into())
}

/// Fills the buffer from the front of the parts, which must be long enough.
fn gather(parts: &mut &mut [IoSlice<'_>], mut buffer: &mut [u8]) {
    while !buffer.is_empty() {
        let count = parts[0].len().min(buffer.len());
        let (now, later) = buffer.split_at_mut(count);
        now.copy_from_slice(&parts[0][..count]);
        IoSlice::advance_slices(parts, count);
        buffer = later;
    }
}

/// Memory for writes, kept from one to the next.
#[derive(Debug, Default)]
struct AlignedBuffer(Vec<u8>);

impl AlignedBuffer {
    /// That many bytes, starting at a page.
    fn of(&mut self, length: usize) -> &mut [u8] {
        let needed = length + PAGE;
        if self.0.len() < needed {
            self.0 = vec![0; needed.next_multiple_of(16 * PAGE)];
        }
        let start = self.0.as_ptr().addr().wrapping_neg() % PAGE;
        &mut self.0[start..start + length]
    }
}

pub(super) fn unsupported(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_buffer_starts_at_a_page_whatever_its_length() {
        let mut buffer = AlignedBuffer::default();
        for length in [1, 512, 4096, 5000, 1 << 20, 512] {
            let bytes = buffer.of(length);
            assert_eq!((bytes.len(), bytes.as_ptr().addr() % PAGE), (length, 0));
        }
    }

    #[test]
    fn parts_are_gathered_across_their_borders() {
        let mut parts = [b"ab".as_slice(), b"", b"cdefg", b"h"].map(IoSlice::new);
        let mut parts = &mut parts[..];
        let mut pieces = [[0; 3], [0; 3]];
        for piece in &mut pieces {
            gather(&mut parts, piece);
        }
        assert_eq!((&pieces[0], &pieces[1]), (b"abc", b"def"));
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 2);
    }

    /// Where the machine's file system has direct IO.
    #[test]
    fn what_is_written_directly_is_read_through_the_page_cache() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![1; 3 << 20]).unwrap();
        let file = match SystemDirectFile::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
            Err(error) => panic!("{error}"),
        };
        let (block, cached) = (PAGE as u64, fs::read(&path).unwrap());
        assert_eq!(block % file.alignment(), 0);
        let data: Vec<u8> = (0..CALL_BYTES + 2 * PAGE).map(|i| (i / 7) as u8).collect();
        let (front, back) = data.split_at(777);
        file.write_durably(&mut [IoSlice::new(front), IoSlice::new(back)], block).unwrap();
        let read = fs::read(&path).unwrap();
        assert_eq!(read[..PAGE], cached[..PAGE]);
        assert!(read[PAGE..PAGE + data.len()] == data[..]);
        assert_eq!(read[PAGE + data.len()..], cached[PAGE + data.len()..]);
    }
}
