//! Which processors there are, and which of them share a physical core.

use std::collections::HashSet;

/// The processors that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Processor numbers: first one of each physical core, then their hyper-threading siblings.
    cpus: Vec<usize>,
    n_physical: usize,
}

impl Topology {
    /// Reads the processors allowed to this process and, on Linux, which share a core. Where that cannot be known every
    /// processor counts as a core of its own.
    pub fn of_this_machine() -> Self {
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        Self::new(allowed.into_iter().map(|cpu| cpu.id), core_of)
    }

    fn new(allowed: impl IntoIterator<Item = usize>, core_of: impl Fn(usize) -> Option<(usize, usize)>) -> Self {
        let mut seen = HashSet::new();
        let (mut cpus, siblings): (Vec<usize>, Vec<usize>) =
            allowed.into_iter().partition(|&cpu| core_of(cpu).is_none_or(|core| seen.insert(core)));
        let n_physical = cpus.len();
        cpus.extend(siblings);
        Self { cpus, n_physical }
    }

    /// Processor numbers, one of each physical core first.
    pub fn cpus(&self) -> &[usize] {
        &self.cpus
    }

    /// How many workers can run at full speed: the physical cores, or the share of them that a container's quota allows.
    pub fn n_cores(&self) -> usize {
        let quota = std::thread::available_parallelism().map_or(1, usize::from);
        if self.n_physical == 0 { quota } else { self.n_physical.min(quota) }
    }
}

/// (package, core) of a processor, from Linux's sysfs.
fn core_of(cpu: usize) -> Option<(usize, usize)> {
    let read = |name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some((read("physical_package_id")?, read("core_id")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_processor_of_each_core_comes_first() {
        let two_by_two = |cpu: usize| Some((0, cpu % 2));
        let topology = Topology::new(0..4, two_by_two);
        assert_eq!(topology.cpus(), [0, 1, 2, 3]);
        assert_eq!(topology.n_physical, 2);
        let neighbours = |cpu: usize| Some((cpu / 4, cpu / 2));
        assert_eq!(Topology::new([0, 1, 2, 3, 6, 7], neighbours).cpus(), [0, 2, 6, 1, 3, 7]);
    }

    #[test]
    fn unknown_processors_count_as_cores() {
        assert_eq!(Topology::new(0..3, |_| None).n_physical, 3);
    }
}
