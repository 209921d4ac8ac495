//! Log lines on their way to standard error, many at a time.
//!
//! A thread of its own writes them, so that a terminal that is held or a pipe that nobody reads holds no stream. It is
//! woken for the first line and waits a moment for more: a wake-up and a write for every line cost an eighth of the CPU
//! of a small request. Lines that find no room, or cannot be written, are lost; their number is told as soon as a line can
//! be written again.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use outlast_runtime::lossy::{Loss, LossyOutput, LostLines};
use tracing_subscriber::fmt::MakeWriter;

/// At 300 bytes a line, some 14,000 lines may wait.
const BYTES_WAITING_MAX: usize = 4 * 1024 * 1024;
/// How long a line may wait for others. A reader does not see it, and at most forty wake-ups a second remain.
const GATHERING: Duration = Duration::from_millis(25);
/// How long the end waits for the last lines to be written: a terminal that is held must not hold the exit.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Why lines are lost that were never tried.
const NO_ROOM: &str = "they came faster than they could be written";
const UNBROKEN: &str = "nothing panics while it holds the lock";

/// Where log lines go. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogWriter(Arc<Shared>);

#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    lost: LostLines,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    is_ending: bool,
    has_ended: bool,
}

/// The thread that writes. Dropped, it writes what still waits, and tells how much was lost.
#[derive(Debug)]
pub(crate) struct LogThread(Arc<Shared>);

/// The line that tells of lost lines.
pub(crate) type Tell = Box<dyn Fn(Loss<'_>) -> String + Send>;

impl LogWriter {
    /// Starts the thread that writes to `out`, which must not buffer.
    pub(crate) fn start(
        &self,
        out: impl Write + Send + 'static,
        tell: Tell,
    ) -> io::Result<LogThread> {
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("log".to_owned());
        drop(thread.spawn(move || {
            shared.write_all_to(LossyOutput::new(out, shared.lost.clone()), &tell);
            shared.lock().has_ended = true;
            shared.changed.notify_all();
        })?);
        Ok(LogThread(Arc::clone(&self.0)))
    }
}

impl LogThread {
    /// How many lines are lost, now and later.
    pub(crate) fn lost(&self) -> LostLines {
        self.0.lost.clone()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Shared;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

impl Write for &Shared {
    /// Takes a whole line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.waiting.len() + line.len() > BYTES_WAITING_MAX {
            state.dropped += 1;
            self.lost.add(1);
        } else {
            let was_empty = state.waiting.is_empty();
            state.waiting.extend_from_slice(line);
            drop(state);
            if was_empty {
                self.changed.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNBROKEN)
    }

    /// Writes until the end.
    fn write_all_to(&self, mut out: LossyOutput<impl Write>, tell: &Tell) {
        let mut lines = Vec::new();
        loop {
            let state = self.lock();
            let idle = |state: &mut State| state.waiting.is_empty() && !state.is_ending;
            let state = self.changed.wait_while(state, idle).expect(UNBROKEN);
            let (mut state, _timed_out) = self
                .changed
                .wait_timeout_while(state, GATHERING, |state| !state.is_ending)
                .expect(UNBROKEN);
            if state.waiting.is_empty() {
                drop(state);
                return out.write(&[], tell);
            }
            std::mem::swap(&mut lines, &mut state.waiting);
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            out.write(&lines, tell);
            // They came after those that waited.
            out.lost_elsewhere(dropped, NO_ROOM);
            lines.clear();
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_ending = true;
        self.0.changed.notify_all();
        let changed = &self.0.changed;
        let _ended_or_late = changed
            .wait_timeout_while(state, END_TIMEOUT, |state| !state.has_ended)
            .expect(UNBROKEN);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a write only when told to, and shows what it took.
    struct Gate {
        open: mpsc::Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.open.recv().map_err(io::Error::other)?;
            self.taken.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(writer: &LogWriter, out: impl Write + Send + 'static) -> LogThread {
        let tell = |loss: Loss<'_>| format!("lost {}: {}", loss.lines, loss.why);
        writer.start(out, Box::new(tell)).unwrap()
    }

    #[test]
    fn lines_are_gathered_and_the_last_ones_are_written_at_the_end() {
        let (open, gate) = mpsc::channel();
        let (taken, written) = mpsc::channel();
        let writer = LogWriter::default();
        let thread = start(&writer, Gate { open: gate, taken });
        writer.make_writer().write_all(b"one\n").unwrap();
        open.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"one\n");
        for line in ["two\n", "three\n"] {
            writer.make_writer().write_all(line.as_bytes()).unwrap();
        }
        open.send(()).unwrap();
        drop(thread);
        assert_eq!(written.iter().flatten().collect::<Vec<_>>(), b"two\nthree\n");
    }

    #[test]
    fn an_output_that_is_held_does_not_hold_the_end() {
        let (_open, gate) = mpsc::channel();
        let (taken, _written) = mpsc::channel();
        let writer = LogWriter::default();
        let thread = start(&writer, Gate { open: gate, taken });
        writer.make_writer().write_all(b"never\n").unwrap();
        drop(thread);
        assert!(!writer.0.lock().has_ended);
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody() {
        let (open, gate) = mpsc::channel();
        let (taken, written) = mpsc::channel();
        let writer = LogWriter::default();
        let thread = start(&writer, Gate { open: gate, taken });
        let mut line = vec![b'x'; 1024 * 1024 - 1];
        line.push(b'\n');
        // Two buffers at most are full: the one that is being written, and the one that waits.
        for _ in 0..20 {
            writer.make_writer().write_all(&line).unwrap();
        }
        let dropped = thread.lost().count();
        assert!((12..=16).contains(&dropped), "{dropped}");
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        drop(thread);
        assert!(writer.0.lock().has_ended);
        let mut bytes = written.iter().flatten().collect::<Vec<_>>();
        let told = bytes.split_off(usize::try_from(20 - dropped).unwrap() * line.len());
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains(&format!("lost {dropped}: they came faster")), "{told}");
    }
}
