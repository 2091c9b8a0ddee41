//! What processes have cost: the processor time of all their threads, in user mode and in the kernel.

use std::fs;

use anyhow::{Context, Result};

/// The processor time that these processes have used so far, in seconds.
///
/// # Errors
/// When one of them has ended.
pub fn seconds(processes: &[u32]) -> Result<f64> {
    processes.iter().map(|process| seconds_of(*process)).sum()
}

fn seconds_of(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} has no such fields: {stat}"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The sum of the 14th and the 15th field. The second one, the program's name, may itself contain blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_may_have_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 7 0 8 9 10";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("42 (a"), None);
    }
}
