//! SAGA (Defazio, Bach and Lacoste-Julien, NIPS 2014) with sparse corrections: every visit corrects the row's gradient by
//! what it was at the row's last visit and by the mean of those over all rows, and then remembers it.
//!
//! ```text
//! v_j = (phi_i' - s_i) x_ij + D_j avg_j        w_j <- prox(w_j - h v_j, h D_j)        see update/correction.rs
//! avg_j <- avg_j + (phi_i' - s_i) x_ij / n
//! s_i   <- phi_i'
//! ```
//!
//! Run by many workers on one vector it is ASAGA (Leblond, Pedregosa and Lacoste-Julien, AISTATS 2017). A linear model's
//! gradient is a number times x_i, so one number a row is all that is kept. A row is visited by one worker at a time: s_i is
//! never contended. The averages are, and an addition that is lost there would stay lost and pull to a wrong place for ever,
//! so they are added to by compare-and-swap whatever the memory of the weights. A weight's lost addition is mended by the
//! steps that follow, which know where to go.
//!
//! The s_i start as the derivatives at the first weights, which costs one pass. Every [`AVERAGE_EPOCHS`] epochs the averages
//! are computed anew from them, so that rounding does not add up.

use crate::problem::Problem;
use crate::sync::{Cell, Float};
use crate::threads::Team;
use crate::update::correction::Correction;
use crate::update::{Tables, Update, Visit};
use crate::weights::{Memory, Weights};

/// In so many epochs the averages are computed anew.
const AVERAGE_EPOCHS: u64 = 16;

/// Steps corrected by every row's last derivative.
pub struct Saga<F: Float> {
    correction: Correction<F>,
    /// 1/n.
    share: F,
    /// One worker is alone, and needs no compare-and-swap to lose nothing.
    alone: bool,
}

impl<F: Float> Saga<F> {
    /// For this problem.
    pub fn new(problem: &Problem) -> Self {
        Self { correction: Correction::new(problem), share: F::from_f64(1.0 / problem.n_rows() as f64), alone: false }
    }
}

impl<F: Float> Update<F> for Saga<F> {
    fn begin_epoch(&mut self, epoch: u64, problem: &Problem, team: &Team, memory: &mut dyn Memory<F>) {
        self.alone = team.n_workers() == 1;
        if epoch == 0 {
            self.correction.take(problem, team, memory);
        } else if epoch.is_multiple_of(AVERAGE_EPOCHS) {
            self.correction.average(problem, team);
        }
    }

    #[inline(always)]
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        self.correction.derivative(problem, i, w)
    }

    #[inline(always)]
    fn apply<W: Weights<F>>(&self, problem: &Problem, visit: Visit, w: W, derivative: F, step_size: F) {
        let s_i = &self.correction.derivatives[visit.row];
        let change = derivative - s_i.get();
        self.correction.step(problem, visit.row, w, change, step_size, |j, part| {
            let avg = &self.correction.averages[j];
            if self.alone {
                avg.set(avg.get() + part * self.share);
            } else {
                avg.add(part * self.share);
            }
        });
        s_i.set(derivative);
    }

    const AVERAGES_MERGES: bool = true;

    fn tables(&self) -> Tables<F> {
        self.correction.tables()
    }

    fn set_tables(&mut self, tables: &Tables<F>) -> bool {
        self.correction.set_tables(tables)
    }

    #[inline(always)]
    fn prefetch(&self, i: usize) {
        self.correction.prefetch(i);
    }
}
