//! An output that goes on after errors. What cannot be written is lost and counted, and the loss is told before what can be
//! written next: a full disk or a reader that is gone must neither stop a program nor leave a gap that nobody sees.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many lines were lost. Clones share the number.
#[derive(Debug, Clone, Default)]
pub struct LostLines(Arc<AtomicU64>);

/// What is told of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss<'a> {
    /// How many lines.
    pub lines: u64,
    /// The last reason.
    pub why: &'a str,
}

/// Writes whole lines to an output that may fail and recover.
#[derive(Debug)]
pub struct LossyOutput<W> {
    out: W,
    lost: LostLines,
    untold: u64,
    why: String,
    /// Whether the output ends within a line.
    is_torn: bool,
}

impl LostLines {
    /// So many, since the beginning.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// More were lost.
    pub fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }
}

impl<W: Write> LossyOutput<W> {
    /// Writes to `out`, which must not keep what it could not write: it would come twice. Counts in `lost`.
    pub fn new(out: W, lost: LostLines) -> Self {
        Self { out, lost, untold: 0, why: String::new(), is_torn: false }
    }

    /// Writes lines, each with its line feed. If some were lost before, what `tell` makes of that comes first, as a line of
    /// its own; if that cannot be written, these are lost too.
    pub fn write(&mut self, lines: &[u8], tell: impl FnOnce(Loss<'_>) -> String) {
        if self.untold > 0 {
            let end_of_torn = if self.is_torn { "\n" } else { "" };
            let loss = Loss { lines: self.untold, why: &self.why };
            let told = format!("{end_of_torn}{}\n", tell(loss));
            if let Err(error) = self.put(told.as_bytes()) {
                return self.lose(lines, &error);
            }
            self.untold = 0;
        }
        let mut written = 0;
        if let Err(error) = self.put_counting(lines, &mut written) {
            self.lose(&lines[written..], &error);
        }
    }

    /// Lines were lost before they came here, and have been counted: they are to be told of.
    pub fn lost_elsewhere(&mut self, lines: u64, why: &str) {
        if lines > 0 {
            self.untold += lines;
            why.clone_into(&mut self.why);
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put_counting(bytes, &mut 0)
    }

    fn put_counting(&mut self, bytes: &[u8], written: &mut usize) -> io::Result<()> {
        while *written < bytes.len() {
            match self.out.write(&bytes[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => {
                    *written += more;
                    self.is_torn = bytes[*written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }

    fn lose(&mut self, lines: &[u8], error: &io::Error) {
        let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.lost.add(count);
        self.lost_elsewhere(count, &error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    #[derive(Default)]
    struct Disk {
        holds: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.holds.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tell(loss: Loss<'_>) -> String {
        format!("lost {}: {}", loss.lines, loss.why)
    }

    #[test]
    fn what_is_lost_is_told_before_what_can_be_written_again() {
        let (mut disk, lost) = (Disk { room: 8, ..Disk::default() }, LostLines::default());
        let mut output = LossyOutput::new(&mut disk, lost.clone());
        output.write(b"one\ntwo\nthree\nfour\n", tell);
        output.write(b"five\n", tell);
        assert_eq!(lost.count(), 3);
        output.out.room = 1000;
        output.write(b"six\n", tell);
        output.write(b"seven\n", tell);
        assert_eq!(lost.count(), 3);
        let want = "one\ntwo\nlost 3: no storage space\nsix\nseven\n";
        assert_eq!(String::from_utf8(disk.holds).expect("text"), want);
    }

    #[test]
    fn a_line_that_is_torn_is_lost_and_ended() {
        let (mut disk, lost) = (Disk { room: 6, ..Disk::default() }, LostLines::default());
        let mut output = LossyOutput::new(&mut disk, lost.clone());
        output.write(b"one\ntwo\n", tell);
        assert_eq!(lost.count(), 1);
        // The news of the loss is torn as well: it is told again, and the number is right.
        output.out.room = 4;
        output.write(b"three\n", tell);
        output.out.room = 1000;
        output.write(b"", tell);
        output.write(b"", tell);
        let want = "one\ntw\nlos\nlost 2: no storage space\n";
        assert_eq!(String::from_utf8(disk.holds).expect("text"), want);
    }

    #[test]
    fn what_was_lost_elsewhere_is_told_too() {
        let mut disk = Disk { room: 1000, ..Disk::default() };
        let mut output = LossyOutput::new(&mut disk, LostLines::default());
        output.lost_elsewhere(0, "nothing");
        output.write(b"one\n", tell);
        output.lost_elsewhere(7, "no room");
        output.write(b"two\n", tell);
        assert_eq!(disk.holds, b"one\nlost 7: no room\ntwo\n");
    }
}
