//! How much memory is there?

use std::fs::read_to_string;

/// Bytes that this process could use without pushing other programs out: what the machine has left, or as many as its
/// control group allows, if those are fewer. `None` where the operating system does not say.
pub fn available() -> Option<u64> {
    let left = left_on_machine(&read_to_string("/proc/meminfo").ok()?)?;
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).filter_map(|file| read_to_string(file).ok()?.trim().parse().ok());
    Some(limits.fold(left, u64::min))
}

/// The files that hold the limits of the control groups that /proc/self/cgroup lists, of either version.
fn limit_files(groups: &str) -> impl Iterator<Item = String> {
    groups.lines().filter_map(|line| match line.splitn(3, ':').collect::<Vec<_>>()[..] {
        [_, "", path] => Some(format!("/sys/fs/cgroup{path}/memory.max")),
        [_, "memory", path] => Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
        _ => None,
    })
}

fn left_on_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_from_the_line_that_says_so() {
        assert_eq!(left_on_machine("MemTotal:  100 kB\nMemAvailable:   42 kB\n"), Some(42 * 1024));
        assert_eq!(left_on_machine("MemTotal:  100 kB\n"), None);
        assert_eq!(left_on_machine("MemAvailable: much\n"), None);
    }

    #[test]
    fn limits_of_control_groups_of_both_versions_are_found() {
        let files: Vec<String> = limit_files("9:name=systemd:/\n4:memory:/a/b\n0::/user\n").collect();
        assert_eq!(files, ["/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "/sys/fs/cgroup/user/memory.max"]);
    }
}
