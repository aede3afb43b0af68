//! Which step size? A few are tried, each with the same budget, and the best is taken.

use crate::error::Result;
use crate::lab::timing::Timing;
use crate::lab::{Trial, Tuning};
use crate::problem::Problem;
use crate::threads::Team;
use crate::train::StepSize;

/// Step sizes tried, as multiples of the one that the data suggests; where the best is the last, one more is tried, twice.
const GRID: [f64; 5] = [1.0 / 16.0, 1.0 / 4.0, 1.0, 4.0, 16.0];
const FACTOR: f64 = 4.0;
const EXTENSIONS: usize = 2;

/// Tries step sizes; the best is the one that comes to the smallest epsilon soonest, or nearest to the optimum.
pub(super) fn tune(timing: &Timing, problem: &Problem, team: &Team) -> Result<Tuning> {
    let choice = timing.method.choice(timing.seed);
    let suggested = team.install(|| StepSize::new(problem, &choice, None, None)).first;
    let tried = |step_size: f64| -> Result<Trial> {
        let run = Timing { step_size: Some(step_size), ..timing.clone() }.run(problem, team)?;
        let lowest = run.points.iter().map(|point| point.suboptimality).fold(f64::INFINITY, f64::min);
        Ok(Trial {
            step_size,
            suboptimality: (!run.diverged && lowest.is_finite()).then_some(lowest),
            seconds: run.reached.last().copied().flatten().filter(|_| !run.diverged).map(|reached| reached.seconds),
        })
    };
    let mut grid = GRID.iter().map(|factor| tried(factor * suggested)).collect::<Result<Vec<_>>>()?;
    for _ in 0..EXTENSIONS {
        match best(&grid) {
            Some(0) => grid.insert(0, tried(grid[0].step_size / FACTOR)?),
            Some(k) if k + 1 == grid.len() => grid.push(tried(grid[k].step_size * FACTOR)?),
            _ => break,
        }
    }
    let chosen = best(&grid).map_or(suggested, |k| grid[k].step_size);
    Ok(Tuning { method: timing.method.to_string(), threads: team.n_workers(), grid, chosen })
}

fn best(grid: &[Trial]) -> Option<usize> {
    let cost = |trial: &Trial| {
        let near = trial.suboptimality?;
        // Any that arrives is better than any that does not.
        Some((trial.seconds.is_none(), trial.seconds.unwrap_or(near)))
    };
    let costs = grid.iter().enumerate().filter_map(|(k, trial)| Some((k, cost(trial)?)));
    costs.min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(k, _)| k)
}
