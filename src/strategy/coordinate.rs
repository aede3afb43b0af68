//! Coordinate-parallel descent: Shotgun (Bradley, Kyrola, Bickson and Guestrin, Parallel coordinate descent for l1-regularized
//! loss minimization, ICML 2011). Workers take features where other strategies take rows, and read the data by columns.
//!
//! Beside the weights the scores z_i = w·x_i are kept. A step minimises an upper bound of P along one coordinate,
//!
//! ```text
//! g_j = (1/n) sum_i phi_i'(z_i + b) x_ij                 L_j = s |x_.j|^2 / n + l2        s: the loss's smoothness
//! w_j <- soft(w_j - h (g_j + l2 w_j) / L_j,  h l1 / L_j)                                  h <= 1: the step size
//! z_i <- z_i + (change of w_j) x_ij                      for the rows i that hold feature j
//! ```
//!
//! so that one worker never lets P rise, with h = 1 and no step size to find. An epoch visits every feature once, in a new
//! random order. The intercept is in every row and would meet every step: its own, b <- b - h g_b / s, is taken before the
//! epoch's features, while nobody else steps.
//!
//! **Many workers.** A feature is one worker's at a time, so that w_j is never contended. Scores are: they are added to by
//! compare-and-swap, for an addition lost there would be lost for good; reads may see any mixture of the others' steps. In
//! every [`REFRESH_EPOCHS`]-th epoch the scores are computed anew from the weights in f64, so that rounding does not add up.
//!
//! **Too many workers.** Steps that are taken at once each count on the others to stand still. The paper's theorem: with
//! columns of unit length P workers converge as long as P < d/rho + 1, where rho is the spectral radius of X'X; on correlated
//! features that may be 1, and beyond it runs diverge or circle for ever. Nobody needs to know rho: what an epoch's steps
//! gain, M = sum_j L_j d_j^2, falls as the run converges. Where it rises above twice its lowest, or has not sunk below it for
//! [`PATIENCE`] epochs, half of the workers rest from then on; one alone always descends.
//!
//! **The gap on the way.** With a_i = -phi_i'(z_i + b), for which v = (1/n) sum_i a_i x_i is -g, the duality gap is a sum over
//! features that each visit sees without effort, stale by up to an epoch:
//!
//! ```text
//! P(w) - D(a) = sum_j [ l2/2 w_j^2 + l1 |w_j| + max(|g_j| - l1, 0)^2 / (2 l2) + w_j g_j ]
//! ```

use rayon::prelude::*;

use crate::data::Columns;
use crate::error::{Error, Result};
use crate::loss::{Huber, Logistic, Loss, Squared, SquaredHinge};
use crate::penalty::{Penalty, soft};
use crate::problem::Problem;
use crate::strategy::{Candidate, Choice, Figures, Order, State, Strategy, Watch};
use crate::sync::{Cell, Float, set_values, values, zeros};
use crate::threads::{Team, Ticket};
use crate::update::Estimate;

/// In so many epochs the scores are computed anew.
const REFRESH_EPOCHS: u64 = 16;
/// Epochs without progress, after which fewer workers are tried.
const PATIENCE: u32 = 16;
/// So many visits before its turn a column's place is asked for ...
const FAR: usize = 8;
/// ... and so many before, its rows and values.
const NEAR: usize = 3;
/// Rows in one piece of a sum over all of them.
const PIECE: usize = 2048;

/// Features side by side, on shared scores.
pub struct Coordinate<F: Float, L> {
    loss: L,
    columns: Columns,
    /// s |x_.j|^2 / n.
    curvatures: Vec<F>,
    weights: Vec<F::Cell>,
    intercept: F,
    /// z_i, without b.
    scores: Vec<F::Cell>,
    order: Order,
    watch: Watch,
    epoch: u64,
    crew: Crew,
    /// The gap that the last epoch's steps have seen, and P after it.
    seen: Option<Estimate>,
}

/// How many workers step at once, by what their steps gain.
#[derive(Debug)]
struct Crew {
    /// None before the first epoch.
    size: Option<usize>,
    lowest: f64,
    /// Epochs since M was lower than ever.
    waited: u32,
}

/// What a worker's steps have seen.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// M.
    movement: f64,
    gap: f64,
}

/// Builds it for the problem's loss.
///
/// # Errors
/// If the loss has a corner, or the data is streamed from disk.
pub fn coordinate<F: Float>(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<F>>> {
    // A derivative is taken for every non-zero: the loss must be known when this is compiled.
    let name = problem.loss().name();
    Ok(if name == Logistic.name() {
        Box::new(Coordinate::new(problem, choice, Logistic)?)
    } else if name == SquaredHinge.name() {
        Box::new(Coordinate::new(problem, choice, SquaredHinge)?)
    } else if name == Squared.name() {
        Box::new(Coordinate::new(problem, choice, Squared)?)
    } else if name == Huber.name() {
        Box::new(Coordinate::new(problem, choice, Huber)?)
    } else {
        return Err(Error::Usage(format!(
            "--strategy coordinate steps along the slopes of a smooth loss, and {name} has a corner; use --loss squared_hinge, or \
             --strategy hogwild --update sdca"
        )));
    })
}

impl<F: Float, L: Loss> Coordinate<F, L> {
    fn new(problem: &Problem, choice: &Choice, loss: L) -> Result<Self> {
        let data = problem.data();
        if data.is_streamed() {
            return Err(Error::Usage(format!(
                "--strategy coordinate reads by columns, and {} does not fit in memory; use --strategy hogwild",
                data.name()
            )));
        }
        let columns = Columns::new(data)?;
        let scale = loss.smoothness().unwrap_or(f64::INFINITY) / problem.n_rows() as f64;
        let squares = |j| columns.column(j).1.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let d = problem.n_features();
        Ok(Self {
            curvatures: (0..d).map(|j| F::from_f64(scale * squares(j))).collect(),
            loss,
            columns,
            weights: zeros::<F>(d),
            intercept: F::ZERO,
            scores: zeros::<F>(problem.n_rows()),
            order: Order::of(d, choice.seed),
            watch: Watch::new(choice.delays.clone(), choice.probes),
            epoch: 0,
            crew: Crew { size: None, lowest: f64::INFINITY, waited: 0 },
            seen: None,
        })
    }

    fn refresh(&self, problem: &Problem) {
        for (cell, score) in self.scores.iter().zip(problem.scores(&values::<F>(&self.weights), F::ZERO)) {
            cell.set(F::from_f64(score));
        }
    }

    /// The mean over the rows of something about z_i + b and y_i; the same with any number of threads.
    fn mean(&self, problem: &Problem, of: impl Fn(f64, f64) -> f64 + Sync) -> f64 {
        let (b, targets) = (self.intercept, problem.targets());
        let pieces = self.scores.par_chunks(PIECE).zip(targets.par_chunks(PIECE));
        let sums = pieces.map(|(scores, targets)| {
            let pairs = scores.iter().zip(targets);
            pairs.map(|(z, &y)| of((z.get() + b).to_f64(), f64::from(y))).sum::<f64>()
        });
        sums.collect::<Vec<f64>>().into_iter().sum::<f64>() / problem.n_rows() as f64
    }

    fn step_intercept(&mut self, problem: &Problem, step_size: F) {
        let slope = self.mean(problem, |z, y| self.loss.derivative(z, y));
        let curvature = self.loss.smoothness().unwrap_or(f64::INFINITY);
        self.intercept = F::from_f64(self.intercept.to_f64() - step_size.to_f64() * slope / curvature);
    }

    /// A worker's steps on these places of the order.
    fn work<const ATOMIC: bool>(&self, worker: usize, problem: &Problem, places: std::ops::Range<usize>, step_size: F) -> Seen {
        let (Penalty { l2, l1 }, n, targets) = (problem.penalty(), problem.n_rows() as f64, problem.targets());
        let mut seen = Seen::default();
        for place in places {
            if let Some(j) = self.order.row(place + FAR) {
                self.columns.prefetch_place(j);
            }
            if let Some(j) = self.order.row(place + NEAR) {
                self.columns.prefetch(j);
            }
            let Some(j) = self.order.row(place) else { break };
            let (rows, xs) = self.columns.column(j);
            let probe = self.watch.reads(worker);
            let mut sum = 0.0;
            for (&i, &x) in rows.iter().zip(xs) {
                let z = (self.scores[i as usize].get() + self.intercept).to_f64();
                sum += self.loss.derivative(z, f64::from(targets[i as usize])) * f64::from(x);
            }
            let (g, w, curvature) = (sum / n, self.weights[j].get(), self.curvatures[j].to_f64() + l2);
            let w_j = w.to_f64();
            if l2 > 0.0 {
                let excess = (g.abs() - l1).max(0.0);
                seen.gap += l2 / 2.0 * w_j * w_j + l1 * w_j.abs() + excess * excess / (2.0 * l2) + w_j * g;
            }
            if curvature > 0.0 {
                let length = step_size.to_f64() / curvature;
                let new = F::from_f64(soft(w_j - length * (g + l2 * w_j), length * l1));
                let change = new - w; // as the scores will see it
                if change != F::ZERO {
                    self.weights[j].set(new);
                    for (&i, &x) in rows.iter().zip(xs) {
                        let (z, by) = (&self.scores[i as usize], change * F::from_f32(x));
                        if ATOMIC {
                            z.add(by);
                        } else {
                            z.set(z.get() + by);
                        }
                    }
                    seen.movement += curvature * change.to_f64() * change.to_f64();
                }
            }
            self.watch.wrote(worker, probe);
        }
        seen
    }

    /// One epoch over the features. None if it was ended early.
    fn pass(&self, problem: &Problem, team: &Team, size: usize, step_size: F) -> Option<Seen> {
        let n_chunks = self.order.n_chunks(size);
        let ticket = Ticket::new(n_chunks);
        let (movement, gap) = (<f64 as Float>::Cell::new(0.0), <f64 as Float>::Cell::new(0.0));
        team.share(size, |worker| {
            while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
                let places = self.order.chunk(chunk, n_chunks);
                let seen = match size {
                    1 => self.work::<false>(worker, problem, places, step_size),
                    _ => self.work::<true>(worker, problem, places, step_size),
                };
                movement.add(seen.movement);
                gap.add(seen.gap);
            }
        });
        (!team.cancelled()).then(|| Seen { movement: movement.get(), gap: gap.get() })
    }
}

impl Crew {
    fn learn(&mut self, size: usize, movement: f64) {
        self.waited = if movement < self.lowest { 0 } else { self.waited + 1 };
        let rises = !movement.is_finite() || movement > 2.0 * self.lowest;
        if size > 1 && (rises || self.waited >= PATIENCE) {
            *self = Self { size: Some(size / 2), lowest: f64::INFINITY, waited: 0 };
        } else {
            self.lowest = self.lowest.min(movement);
        }
    }
}

impl<F: Float, L: Loss> Strategy<F> for Coordinate<F, L> {
    fn epoch(&mut self, problem: &Problem, team: &Team, step_size: F) -> usize {
        if self.epoch > 0 && self.epoch.is_multiple_of(REFRESH_EPOCHS) {
            team.install(|| self.refresh(problem));
        }
        if problem.has_intercept() {
            team.install(|| self.step_intercept(problem, step_size));
        }
        self.watch.begin_epoch(team);
        team.install(|| self.order.shuffle(self.epoch, &[]));
        let size = *self.crew.size.get_or_insert(team.n_workers());
        let size = size.min(team.n_workers());
        let seen = self.pass(problem, team, size, step_size);
        if let Some(Seen { movement, .. }) = seen {
            self.crew.learn(size, movement);
        }
        // Without l2 the bound is a wall, and an intercept's duals must sum to 0: neither is seen on the way.
        let tells = problem.penalty().l2 > 0.0 && !problem.has_intercept();
        self.seen = seen.filter(|_| tells).map(|seen| {
            let loss = team.install(|| self.mean(problem, |z, y| self.loss.value(z, y)));
            let penalty = problem.penalty().value(&values::<F>(&self.weights));
            Estimate { objective: loss + penalty, gap: seen.gap }
        });
        self.epoch += 1;
        self.order.n_visits()
    }

    fn weights(&self) -> (Vec<F>, F) {
        (values(&self.weights), self.intercept)
    }

    fn candidate(&self, _problem: &Problem) -> Candidate<F> {
        let (weights, intercept) = self.weights();
        Candidate { weights, intercept, duals: None }
    }

    fn estimate(&self) -> Option<Estimate> {
        self.seen
    }

    fn keeps_duals(&self) -> bool {
        false
    }

    fn n_workers(&self) -> Option<usize> {
        self.crew.size
    }

    fn figures(&self) -> Figures {
        Vec::new()
    }

    fn staleness(&self) -> Vec<u32> {
        self.watch.staleness()
    }

    fn state(&self) -> State<F> {
        let (weights, intercept) = self.weights();
        State { epoch: self.epoch, weights, intercept, tables: vec![("scores".into(), values(&self.scores))] }
    }

    fn restore(&mut self, state: &State<F>) -> Result<()> {
        let fitting = |(name, scores): &&(String, Vec<F>)| name == "scores" && scores.len() == self.scores.len();
        let scores = state.tables.iter().find(fitting).filter(|_| state.weights.len() == self.weights.len());
        let Some((_, scores)) = scores else {
            return Err(Error::Data("the saved state is that of another problem or update".into()));
        };
        set_values(&self.scores, scores);
        set_values(&self.weights, &state.weights);
        (self.intercept, self.epoch) = (state.intercept, state.epoch);
        (self.crew.lowest, self.crew.waited) = (f64::INFINITY, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crew_shrinks_where_steps_grow_or_go_nowhere_and_never_below_one() {
        let sizes = |movement: fn(u32) -> f64| {
            let mut crew = Crew { size: Some(8), lowest: f64::INFINITY, waited: 0 };
            (0..100).for_each(|epoch| crew.learn(crew.size.unwrap_or(0), movement(epoch)));
            crew.size
        };
        assert_eq!(sizes(|epoch| 0.9f64.powi(epoch as i32)), Some(8));
        assert_eq!(sizes(|epoch| 3f64.powi(epoch as i32)), Some(1));
        assert_eq!(sizes(|_| 1.0), Some(1));
        assert_eq!(sizes(|_| f64::NAN), Some(1));
        assert_eq!(sizes(|epoch| 0.9f64.powi(epoch as i32) * f64::from(1 + epoch % 2)), Some(8)); // uneven, but falling
    }
}
