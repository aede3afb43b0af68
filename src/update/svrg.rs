//! SVRG (Johnson and Zhang, NIPS 2013) with sparse corrections: now and then, while every worker is idle, a snapshot of the
//! weights is taken, with every row's derivative there and the full gradient; the steps that follow are corrected by them.
//!
//! ```text
//! w~ <- w      s_i <- phi_i'(w~·x_i + b~)      avg <- (1/n) sum_i s_i x_i
//! v_j = (phi_i' - s_i) x_ij + D_j avg_j        w_j <- prox(w_j - h v_j, h D_j)        see update/correction.rs
//! ```
//!
//! Run by many workers on one vector without a lock it is KroMagnon (Mania, Pan, Papailiopoulos, Recht, Ramchandran and
//! Jordan, SIAM J. Optimization 27, 2017). The derivatives at the snapshot are kept, one number a row: a visit needs no second
//! dot product, and w~ itself need not be kept.

use crate::problem::Problem;
use crate::sync::{Cell, Float};
use crate::threads::Team;
use crate::update::correction::Correction;
use crate::update::{Tables, Update, Visit};
use crate::weights::{Memory, Weights};

/// In so many epochs there is one snapshot. On a9a (logistic, C = 1, to a gap of 1e-8) one in each epoch takes a tenth fewer
/// epochs and a third more time.
const SNAPSHOT_EPOCHS: u64 = 2;

/// Steps corrected by a snapshot.
pub struct Svrg<F: Float>(Correction<F>);

impl<F: Float> Svrg<F> {
    /// For this problem.
    pub fn new(problem: &Problem) -> Self {
        Self(Correction::new(problem))
    }
}

impl<F: Float> Update<F> for Svrg<F> {
    fn begin_epoch(&mut self, epoch: u64, problem: &Problem, team: &Team, memory: &mut dyn Memory<F>) {
        if epoch.is_multiple_of(SNAPSHOT_EPOCHS) {
            self.0.take(problem, team, memory);
        }
    }

    #[inline(always)]
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        self.0.derivative(problem, i, w)
    }

    #[inline(always)]
    fn apply<W: Weights<F>>(&self, problem: &Problem, visit: Visit, w: W, derivative: F, step_size: F) {
        let change = derivative - self.0.derivatives[visit.row].get();
        self.0.step(problem, visit.row, w, change, step_size, |_, _| {});
    }

    const AVERAGES_MERGES: bool = true;

    fn tables(&self) -> Tables<F> {
        self.0.tables()
    }

    fn set_tables(&mut self, tables: &Tables<F>) -> bool {
        self.0.set_tables(tables)
    }

    #[inline(always)]
    fn prefetch(&self, i: usize) {
        self.0.prefetch(i);
    }
}
