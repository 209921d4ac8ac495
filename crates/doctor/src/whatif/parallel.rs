//! The same work for many things, on as many cores as there are.

use std::sync::Mutex;
use std::thread;

/// Calls `work` once for each index below `count`, and gives what it made in the order of the indices.
pub(super) fn for_each<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(count);
    if cores <= 1 {
        return (0..count).map(work).collect();
    }
    let (next, done) = (Mutex::new(0..count), Mutex::new(Vec::with_capacity(count)));
    let drain = || {
        loop {
            let index = next.lock().expect("no panic while held").next();
            let Some(index) = index else { return };
            let made = work(index);
            done.lock().expect("no panic while held").push((index, made));
        }
    };
    thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(drain);
        }
        drain();
    });
    let mut done = done.into_inner().expect("no thread panicked");
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_done_once_and_told_in_order() {
        for count in [0, 1, 2, 1_000] {
            assert_eq!(
                for_each(count, |index| index * 2),
                (0..count).map(|index| index * 2).collect::<Vec<_>>()
            );
        }
    }
}
