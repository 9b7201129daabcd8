//! The same work on many things at once, with the answers in the things' order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What is told while it goes on: how many are done, and of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Works on each of `jobs` with so many threads (at least one); the answers, or the first error in order, are the same
/// whatever their number.
pub fn in_threads<J: Sync, T: Send, E: Send>(
    jobs: &[J],
    threads: usize,
    progress: Progress<'_>,
    work: &(dyn Fn(&J) -> Result<T, E> + Sync),
) -> Result<Vec<T>, E> {
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let done: Mutex<Vec<(usize, Result<T, E>)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { return };
                    let answer = work(job);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, answer));
                    progress(finished.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_the_first_error_come_in_the_order_of_the_jobs() {
        let jobs: Vec<u32> = (0..50).collect();
        let doubled = in_threads(&jobs, 4, &|_, _| {}, &|job| Ok::<_, u32>(job * 2)).unwrap();
        assert_eq!(doubled, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
        let failed = in_threads(&jobs, 4, &|_, _| {}, &|&job| if job % 7 == 6 { Err(job) } else { Ok(()) });
        assert_eq!(failed, Err(6));
    }
}
