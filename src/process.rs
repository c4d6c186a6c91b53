//! What the process asks of the system: its memory, and which of its threads go first.

/// A figure of the process in bytes, by its name in `/proc/self/status`: `VmHWM` is the most that it ever had resident,
/// `RssAnon` what it has now that is no file's.
///
/// `None` where the system does not say; only Linux does.
pub(crate) fn memory_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(kilobytes.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Has the allocator keep what is freed for whoever asks next, in blocks of up to 4 MiB.
///
/// Batches of a few hundred kilobytes are made and freed all the time. By default such blocks come from the system and go
/// back to it one by one, and it zeroes their pages each time: a tenth of a join's processor time. What is kept without
/// need goes back by [`give_back`].
///
/// Does nothing where the allocator is not glibc's. Called once, before other threads are started.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let heaps = libc::c_int::try_from(threads + 2).unwrap_or(libc::c_int::MAX).max(FEW_HEAPS);
        for (parameter, number) in [
            (libc::M_ARENA_MAX, heaps),
            (libc::M_MMAP_THRESHOLD, MOST_KEPT_BLOCK),
            (libc::M_TRIM_THRESHOLD, MOST_KEPT_TOP),
            (libc::M_TOP_PAD, GROWTH),
        ] {
            // SAFETY: the call sets a number of the allocator, under its locks. One that it refuses changes nothing.
            unsafe {
                libc::mallopt(parameter, number);
            }
        }
    }
}

/// The least number of heaps that threads share. By default there are eight for each processor, and what many requests at
/// once have taken stays in all of them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FEW_HEAPS: libc::c_int = 4;

/// Larger blocks come from the system one by one: those of batches and epochs are smaller, those of large requests are not.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MOST_KEPT_BLOCK: libc::c_int = 4 << 20;
/// How much lies free at the end of a heap before the system gets it back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MOST_KEPT_TOP: libc::c_int = 16 << 20;
/// By how much a heap grows at once. Pages that nobody touches take no memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GROWTH: libc::c_int = 16 << 20;

/// Returns free memory to the system, which the allocator keeps where it lies in pieces between what stays.
///
/// Does nothing where the allocator is not glibc's.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call touches nothing but the allocator's own free memory, under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How far the priority of a thread is lowered that lets others go first.
#[cfg(target_os = "linux")]
const LOWER: libc::c_int = 10;

/// Does the work of a thread at a lower priority: where processors are short it gets a tenth of one, and whoever wakes
/// meanwhile goes first. Does only the work where threads have no priorities of their own.
pub(crate) fn lower_priority(work: impl FnOnce()) {
    #[cfg(target_os = "linux")]
    // SAFETY: the call changes the priority of this thread alone. One that is refused changes nothing.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, LOWER);
    }
    work();
}

/// How long a thread may run that answers before another one comes, in nanoseconds; the shortest that Linux allows.
#[cfg(target_os = "linux")]
const SHORT_SLICE_NS: u64 = 100_000;

/// Lets this thread take a processor often and for short, instead of rarely and for long: its share stays the same. One
/// that answers then need not wait until a query's turn has used up its slice, which is a millisecond or several.
///
/// Does nothing where threads have no slices of their own: Linux before 6.12 ignores it.
pub(crate) fn short_slices() {
    #[cfg(target_os = "linux")]
    // SAFETY: all zeroes are a valid value of this struct of numbers. The call reads it and changes this thread alone; one that is refused changes nothing.
    unsafe {
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        attributes.size = size_of::<libc::sched_attr>() as u32;
        attributes.sched_flags = libc::SCHED_FLAG_KEEP_POLICY as u64;
        attributes.sched_runtime = SHORT_SLICE_NS;
        attributes.sched_nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_memory_is_the_process_own() {
        let kept = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(memory_bytes("RssAnon").is_some_and(|bytes| bytes >= kept.len() as u64));
    }
}
