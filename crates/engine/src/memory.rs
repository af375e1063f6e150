//! How much memory there is: sizes beyond it are refused before anything is allocated, since an allocation that fails, or
//! that the system cannot back, ends the process.
use std::{fs, sync::OnceLock};

use crate::error::{Code, Error, Result};

/// Limits of the container, in the places where the two versions of control groups show them.
const CONTAINER_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// A line of `/proc/meminfo`, in bytes.
fn information(name: &str) -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

/// Bytes that the process may have in all; as good as unlimited where that is not known.
#[must_use]
pub fn total() -> usize {
    static TOTAL: OnceLock<usize> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        let container = CONTAINER_LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
        container.chain(information("MemTotal")).min().unwrap_or(usize::MAX)
    })
}

/// Bytes that are free now, or can be freed. Reads a file.
#[must_use]
pub fn available() -> usize {
    information("MemAvailable").unwrap_or(usize::MAX).min(total())
}

/// # Errors
/// `Limit` if `bytes` are more than `budget`; the message begins with `what` and ends with `remedy`.
pub fn check(what: &str, bytes: usize, budget: usize, remedy: &str) -> Result<()> {
    if bytes <= budget {
        return Ok(());
    }
    let message =
        format!("{what} takes about {} MiB, the machine has {} MiB: {remedy}", bytes.div_ceil(1 << 20), budget >> 20);
    Err(Error::new(Code::Limit, message))
}

/// How memory that was freed goes back to the system.
static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Says how memory that was freed goes back to the system, if the allocator keeps it; the first one counts.
pub fn on_give_back(give_back: fn()) {
    GIVE_BACK.get_or_init(|| give_back);
}

/// Gives back what was freed, after work that needed far more memory than what follows.
pub fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::{available, check, total};

    #[test]
    fn sizes_beyond_the_budget_are_refused() {
        assert!(check("a batch", 10, 10, "use less").is_ok());
        let error = check("a batch", 3 << 20, 2 << 20, "use less").unwrap_err();
        assert_eq!(error.message, "a batch takes about 3 MiB, the machine has 2 MiB: use less");
        assert!(check("a batch", usize::MAX, total(), "use less").is_err() || total() == usize::MAX);
        assert!(available() > 0 && available() <= total());
    }
}
