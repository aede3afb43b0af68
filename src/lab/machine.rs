//! What machine is this, how busy is it, and how fast does it read memory?

use std::fs::read_to_string;
use std::hint::black_box;
use std::time::Instant;

use crate::lab::Machine;
use crate::threads::{Team, Topology};

/// Bytes that are read to measure the bandwidth: more than any cache holds.
const BYTES: usize = 512 << 20;
/// Readings of which the best counts: whatever disturbs one makes it slower, never faster.
const READINGS: usize = 5;

impl Machine {
    /// This machine, for teams of these sizes; pinning is that of the last.
    pub fn of(teams: &[Team]) -> Self {
        let topology = Topology::of_this_machine();
        let memory = || meminfo(&read_to_string("/proc/meminfo").ok()?);
        Self {
            processor: read_to_string("/proc/cpuinfo").ok().as_deref().and_then(processor).unwrap_or_else(|| "unknown".into()),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            n_cores: topology.n_cores(),
            n_cpus: topology.cpus().len(),
            caches: caches(),
            memory_gib: memory(),
            load: load(),
            bandwidth: bandwidth(teams),
            pinning: teams.last().map(|team| team.cpus().to_vec()).unwrap_or_default(),
        }
    }
}

/// How many programs wanted a core in the last minute, where the system tells.
fn load() -> Option<f64> {
    read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn meminfo(meminfo: &str) -> Option<f64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / (1 << 20) as f64)
}

/// The first processor's caches, from Linux's sysfs.
fn caches() -> Vec<String> {
    let cache = |k: usize| {
        let read = |name: &str| {
            let text = read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{k}/{name}")).ok()?;
            Some(text.trim().to_owned())
        };
        let kind = match read("type")?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some(format!("L{}{kind} {}", read("level")?, read("size")?))
    };
    (0..).map_while(cache).collect()
}

/// GB/s at which each team reads memory in order: the ceiling for an epoch that must read every row.
fn bandwidth(teams: &[Team]) -> Vec<(usize, f64)> {
    let words = vec![1u64; BYTES / size_of::<u64>()];
    let read = |team: &Team| {
        let n = team.n_workers();
        let started = Instant::now();
        team.each(|worker| {
            let part = &words[words.len() * worker / n..words.len() * (worker + 1) / n];
            black_box(part.iter().fold(0u64, |sum, &word| sum.wrapping_add(word)));
        });
        BYTES as f64 / 1e9 / started.elapsed().as_secs_f64()
    };
    teams.iter().map(|team| (team.n_workers(), (0..READINGS).map(|_| read(team)).fold(0.0, f64::max))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words_are_understood() {
        assert_eq!(processor("x: y\nmodel name\t: A Processor 9000\n").as_deref(), Some("A Processor 9000"));
        assert_eq!(processor("nothing"), None);
        assert_eq!(meminfo("MemTotal:       2097152 kB\n"), Some(2.0));
    }
}
