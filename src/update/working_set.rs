//! The working set: copies of the rows that are likely to move, with an update of their own.
//!
//! From some epoch on few rows move, a fifth perhaps, and lie scattered among the others: of every line of memory that a
//! visit fetches half is not its own, and what it knows of its row lies apart from what the next visit knows of its. They are
//! copied together, with their dual variables. Measured, a late epoch with over without: debian-libraries 0.18 over 0.36 ms,
//! rcv1 0.24 over 0.33; a round as much again. Time to a gap of 1e-4: 0.88 and 0.95; kdd99, to 1e-3, 0.7.
//!
//! Members are the rows that moved at their last visit, and those with so little slack that they are not left alone for
//! [`LONG_REST`] epochs. The others are looked at in rounds, every [`ROUND_EPOCHS`] epochs, each by its rest, and join when they
//! come near. Members that rest long leave when there are too many of them. This is the working set of SVM solvers (Joachims,
//! Making large-scale SVM learning practical, 1999), here for the memory's sake: rows are visited about as often as without,
//! though a rest may last longer by up to its length when a row changes sides.
//!
//! That near rows are members matters, for they must be visited in between the others: where rows that stay are visited first
//! and those that move after them, text-like data take twice the epochs.

use std::collections::HashSet;

use crate::data::{Gathered, MEMORY_BYTES, with_room};
use crate::problem::Problem;
use crate::sync::{Cell, Float};
use crate::update::Tables;
use crate::update::leap::Mark;
use crate::update::rest::{Rests, Share, sums};
use crate::update::sdca::{Example, Sdca};

/// In every so-manyth epoch a pass over the other rows is made.
const ROUND_EPOCHS: u8 = 8;
/// Who rests so many epochs is no member.
const LONG_REST: u8 = 2 * ROUND_EPOCHS;
/// Rows are copied when at most one of so many is a member, ...
const ROWS_A_MEMBER: usize = 5;
/// ... the data have so many non-zeros that it is worth the while, and the copies come from a cache.
const FEWEST_NONZEROS: usize = 1 << 16;

/// A rest in rounds instead of epochs.
pub(super) fn rounds(epochs: u8) -> u8 {
    (epochs / ROUND_EPOCHS).max(1)
}

/// Copies of some rows, and what is known of them meanwhile.
pub(super) struct WorkingSet<F: Float> {
    /// Which rows: member k is row `members[k]`.
    pub members: Vec<u32>,
    /// Their non-zeros.
    pub copies: Gathered,
    /// Their dual variables, shares and rests.
    pub update: Sdca<F>,
    /// What the other rows' shares sum up to.
    pub others: [f64; 2],
}

impl<F: Float> Sdca<F> {
    /// Something about every row: `of` is told which update keeps it now, and as which row.
    pub(super) fn column<T>(&self, of: impl Fn(&Self, usize) -> T) -> Vec<T> {
        let mut column: Vec<T> = (0..self.examples.len()).map(|i| of(self, i)).collect();
        if let Some(set) = &self.working {
            set.members.iter().enumerate().for_each(|(k, &i)| column[i as usize] = of(&set.update, k));
        }
        column
    }

    /// Who is a member, for a state: a number of 32 bits is two that any float can hold.
    pub(super) fn member_table(&self) -> Vec<F> {
        let members = self.working.as_ref().map_or(&self.recalled, |set| &set.members);
        members.iter().flat_map(|&i| [i >> 16, i & 0xffff]).map(|half| F::from_f64(half.into())).collect()
    }

    /// The members in a state, if they are rows of this problem, each once.
    pub(super) fn members_in(&self, tables: &Tables<F>) -> Option<Vec<u32>> {
        let (_, halves) = tables.iter().find(|table| table.0 == "members")?;
        let (pairs, odd) = halves.as_chunks::<2>();
        let members = pairs.iter().map(|half| half[0].to_f64() * 65536.0 + half[1].to_f64());
        let known = |member: &f64| (0.0..self.examples.len() as f64).contains(member);
        let members: Vec<u32> = members.filter(known).map(|member| member as u32).collect();
        let different: HashSet<u32> = members.iter().copied().collect();
        (odd.is_empty() && different.len() == pairs.len()).then_some(members)
    }

    /// Sets up the working set of a state.
    pub(super) fn recall(&mut self, problem: &Problem) {
        if !self.recalled.is_empty() && !problem.data().is_streamed() {
            let members = std::mem::take(&mut self.recalled);
            self.found(problem, members);
        }
    }

    /// Which pass over all rows an epoch begins with.
    pub(super) fn round_of(&self, epoch: u64) -> Option<u64> {
        match &self.working {
            None => Some(epoch),
            Some(_) => epoch.is_multiple_of(ROUND_EPOCHS.into()).then_some(epoch / u64::from(ROUND_EPOCHS)),
        }
    }

    /// Sets one up, if it pays.
    pub(super) fn gather(&mut self, epoch: u64, problem: &Problem) {
        let data = problem.data();
        if self.working.is_some() || epoch == 0 || data.is_streamed() || data.n_nonzeros() < FEWEST_NONZEROS {
            return;
        }
        let n_near = self.rests.count(|rest| rest < LONG_REST);
        let bytes = data.n_nonzeros() * problem.rows().bytes_a_nonzero() / self.rests.len() * n_near;
        if n_near == 0 || ROWS_A_MEMBER * n_near > self.rests.len() || bytes > MEMORY_BYTES {
            return;
        }
        let members = self.rests.rows_where(|rest| rest < LONG_REST);
        self.rests.change(|epochs| if epochs >= LONG_REST { rounds(epochs) } else { epochs });
        self.mark.note_all(self.examples.iter().map(|example| example.dual.get()));
        self.mark.forget(); // some who have moved since then are no members
        self.found(problem, members);
    }

    /// A working set of these members.
    fn found(&mut self, problem: &Problem, members: Vec<u32>) {
        let mut update = Self {
            loss: self.loss,
            smoothness: self.smoothness,
            examples: Vec::with_capacity(with_room(members.len())),
            shares: Vec::with_capacity(with_room(members.len())),
            rests: Rests::default(),
            scale: self.scale,
            strength: self.strength,
            threshold: self.threshold,
            centre: Vec::new(),
            intercept_scale: self.intercept_scale,
            drift: self.drift,
            seen: None,
            working: None,
            recalled: Vec::new(),
            mark: Mark::none(),
        };
        self.lend(&mut update, &members);
        let copies = Gathered::new(problem.rows(), &members);
        let others = sums(&mut self.shares);
        self.working = Some(Box::new(WorkingSet { members, copies, update, others }));
    }

    /// Copies what is known of rows into a working set's update; their shares and rests are there from now on.
    fn lend(&self, update: &mut Self, rows: &[u32]) {
        let copy = |cell: &F::Cell| F::Cell::new(cell.get());
        for i in rows.iter().map(|&i| i as usize) {
            let (Example { target, squared_norm, dual, lag }, Share { objective, gap }) = (&self.examples[i], &self.shares[i]);
            let (dual, lag) = (copy(dual), copy(lag));
            update.examples.push(Example { target: *target, squared_norm: *squared_norm, dual, lag });
            update.shares.push(Share { objective: copy(objective), gap: copy(gap) });
            update.rests.push(self.rests.get(i));
            objective.set(F::ZERO);
            gap.set(F::ZERO);
            self.rests.set(i, 0);
        }
    }

    /// Takes back what was lent.
    fn take_back_all(&mut self, set: &WorkingSet<F>) {
        for (k, i) in set.members.iter().map(|&i| i as usize).enumerate() {
            let (Example { dual, lag, .. }, Share { objective, gap }) = (&set.update.examples[k], &set.update.shares[k]);
            self.examples[i].dual.set(dual.get());
            self.examples[i].lag.set(lag.get());
            self.shares[i].objective.set(objective.get());
            self.shares[i].gap.set(gap.get());
            self.rests.set(i, set.update.rests.get(k));
            self.mark.note(i, dual.get());
        }
        self.mark.forget();
    }

    /// After a round: those who have come near join. If too many members rest long, they leave; if there are far more members
    /// than pay, there is no working set any more.
    pub(super) fn admit_awake(&mut self, problem: &Problem) {
        let Some(mut set) = self.working.take() else { return };
        let n = self.rests.len();
        let mut awake = self.rests.rows_where(|rest| rest == 1);
        let n_members = set.members.len() + awake.len();
        let n_idle = set.update.rests.count(|rest| rest >= LONG_REST);
        if ROWS_A_MEMBER * n_members > 2 * n {
            for i in (0..n).filter(|&i| self.rests.get(i) > 1) {
                self.rests.set(i, self.rests.get(i) * ROUND_EPOCHS);
            }
            self.take_back_all(&set);
        } else if 3 * n_idle > 2 * set.members.len() && n_idle < n_members {
            self.take_back_all(&set);
            for i in set.members {
                let rest = self.rests.get(i as usize);
                if rest < LONG_REST {
                    awake.push(i);
                } else {
                    self.rests.set(i as usize, rounds(rest));
                }
            }
            awake.sort_unstable(); // neighbours are about as long
            self.found(problem, awake);
        } else {
            self.lend(&mut set.update, &awake);
            set.copies.append(problem.rows(), &awake);
            set.members.extend(awake);
            set.others = sums(&mut self.shares);
            self.working = Some(set);
        }
    }
}
