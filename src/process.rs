//! The memory of the process, as the system sees it.

/// A figure of the process in bytes, by its name in `/proc/self/status`: `VmHWM` is the most that it ever had resident,
/// `RssAnon` what it has now that is no file's.
///
/// `None` where the system does not say; only Linux does.
pub(crate) fn memory_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(kilobytes.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_memory_is_the_process_own() {
        let kept = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(memory_bytes("RssAnon").is_some_and(|bytes| bytes >= kept.len() as u64));
    }
}
