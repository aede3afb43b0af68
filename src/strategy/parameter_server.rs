//! Minibatch with messages: every worker computes the gradient of his own share of the batch and sends it, compressed or
//! whole, and one step is taken on the mean of what has arrived. This is how a synchronous step looks between machines (Li et
//! al., Scaling distributed machine learning with the parameter server, OSDI 2014).
//!
//! ```text
//! g_k = (1/B) sum_{i in share k} phi_i'(w·x_i + b) x_i            worker k
//! g   = B/(rows arrived)  sum_{k arrived} C(g_k)                  C: see crate::strategy::compression
//! w_j <- one step of the update with g_j
//! ```
//!
//! The penalty is no part of a message: which features the rows of the batch hold is known to all from the order of the
//! epoch, so whoever takes the step counts it as [`crate::strategy::Minibatch`] does, for the rows that have arrived. With
//! whole gradients and one worker the two are the same to the last bit; with more, this one adds up the sums of the shares.
//! b travels as it stands.
//!
//! **Backup workers** (Chen, Pan, Monga, Bengio and Jozefowicz, Revisiting distributed synchronous SGD, ICLR workshop 2016):
//! of a batch that is dealt to N + B workers the step takes the first N gradients and does not wait for the rest. A message
//! carries the number of its step, and one whose step is over is dropped; a worker who is still at it stops at the next row
//! and joins the step of the day. Shares go round from step to step, so that a slow worker's rows are not always the same.
//! What is dropped is no fair sample: short rows are done first. Steps are noisier, and a run may stay a little beside the
//! optimum (0.1 % of it has been seen with half of the gradients dropped).
//!
//! There is no server of its own: whoever brings the last gradient that is waited for takes the step. Gradients are added in
//! the order of the workers, so that without backup workers a run is the same every time for a given number of workers.

use std::cell::Cell as Private;

use crossbeam::utils::{Backoff, CachePadded};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::error::Result;
use crate::problem::Problem;
use crate::strategy::compression::Debt;
use crate::strategy::message::{Message, Worker, value_bits};
use crate::strategy::minibatch::batch_rows;
use crate::strategy::server::Server;
use crate::strategy::{Compression, Figures, Job, Pass};
use crate::sync::{AtomicUsize, Float, Mutex, MutexGuard, Ordering};
use crate::update::{GradientUpdate, Stochastic, Tables, Update};
use crate::weights::Shared;

/// The tables of what workers owe have this name and the worker's number.
const OWED: &str = "owed by ";

/// Synchronous steps on gradients that are sent.
pub struct ParameterServer<F: Float> {
    compression: Compression,
    /// So many of the workers' gradients a step does not wait for.
    n_backup: usize,
    batch: usize,
    n_features: usize,
    /// Each locks his own for a whole pass.
    workers: Vec<Mutex<Worker<F>>>,
    server: Mutex<Server<F>>,
}

impl<F: Float> ParameterServer<F> {
    /// Batches of `batch` rows, as for [`crate::strategy::Minibatch`]; steps do not wait for the last `n_backup` gradients,
    /// but for one at least.
    ///
    /// # Errors
    /// If `batch` is 0.
    pub fn new(problem: &Problem, batch: usize, compression: Compression, n_backup: usize) -> Result<Self> {
        let (batch, d) = (batch_rows(problem, batch)?, problem.n_features());
        Ok(Self { compression, n_backup, batch, n_features: d, workers: Vec::new(), server: Mutex::new(Server::new(d)) })
    }

    fn remembers(&self) -> bool {
        matches!(self.compression, Compression::TopK { forget: false, .. })
    }

    /// Has as many workers as the team. What those owe who are gone, the first one takes over.
    fn engage(&mut self, n_workers: usize) {
        while self.workers.len() < n_workers {
            let debt = self.remembers().then(|| Debt::new(self.n_features));
            self.workers.push(Mutex::new(Worker::new(self.n_features, debt)));
        }
        for gone in self.workers.drain(n_workers..).collect::<Vec<_>>() {
            if let (Some(first), Some(debt)) = (&mut lock(&self.workers[0]).debt, &lock(&gone).debt) {
                first.take_over(debt);
            }
        }
        lock(&self.server).begin(n_workers);
    }
}

/// A worker who panics is reported by the team, whatever a lock may say.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl<F: Float, G: GradientUpdate<F>> Pass<F, Stochastic<G>> for ParameterServer<F> {
    type Memory = Shared<F>;

    fn pass(&mut self, job: Job<'_>, update: &Stochastic<G>, shared: &mut Shared<F>, step_size: F) {
        self.engage(job.team.n_workers());
        let rows: Vec<usize> = job.order.visits(0..job.order.n_visits()).map(|visit| visit.row).collect();
        let current = CachePadded::new(AtomicUsize::new(0));
        let epoch = Epoch { job, pass: &*self, update, shared: &*shared, step_size, rows, current };
        job.team.each(|worker| epoch.work(worker));
    }

    fn figures(&self) -> Figures {
        lock(&self.server).tally.figures::<F>(self.n_features)
    }

    fn tables(&self) -> Tables<F> {
        let owed = |(k, worker): (usize, &Mutex<Worker<F>>)| {
            lock(worker).debt.as_ref().map(|debt| (format!("{OWED}{k}"), debt.owed().to_vec()))
        };
        self.workers.iter().enumerate().filter_map(owed).collect()
    }

    fn set_tables(&mut self, _update: &Stochastic<G>, tables: &Tables<F>) -> bool {
        let find = |k: usize| {
            let name = format!("{OWED}{k}");
            tables.iter().find(|table| table.0 == name && table.1.len() == self.n_features)
        };
        let Some(found) = (0..tables.len()).map(find).collect::<Option<Vec<_>>>() else { return false };
        if !found.is_empty() && !self.remembers() {
            return false;
        }
        let worker = |(_, owed): &(String, Vec<F>)| Mutex::new(Worker::new(self.n_features, Some(Debt::of(owed))));
        self.workers = found.into_iter().map(worker).collect();
        true
    }
}

/// One epoch, as all its workers see it.
struct Epoch<'a, F: Float, G> {
    job: Job<'a>,
    pass: &'a ParameterServer<F>,
    update: &'a Stochastic<G>,
    shared: &'a Shared<F>,
    step_size: F,
    rows: Vec<usize>,
    /// The step that is under way.
    current: CachePadded<AtomicUsize>,
}

impl<F: Float, G: GradientUpdate<F>> Epoch<'_, F, G> {
    /// The rows of a step; none when the epoch is over.
    fn batch(&self, step: usize) -> &[usize] {
        let start = (step * self.pass.batch).min(self.rows.len());
        &self.rows[start..(start + self.pass.batch).min(self.rows.len())]
    }

    /// How many workers have rows in a batch.
    fn n_shares(&self, batch: &[usize]) -> usize {
        self.job.team.n_workers().min(batch.len())
    }

    fn share<'b>(&self, batch: &'b [usize], step: usize, worker: usize) -> &'b [usize] {
        let (n_workers, n_shares) = (self.job.team.n_workers(), self.n_shares(batch));
        let turn = (worker + step + self.job.order.epoch() as usize) % n_workers;
        if turn < n_shares { &batch[batch.len() * turn / n_shares..batch.len() * (turn + 1) / n_shares] } else { &[] }
    }

    fn work(&self, worker: usize) {
        let mut me = lock(&self.pass.workers[worker]);
        loop {
            // Acquire: whoever reads the number of a step sees the weights that the steps before it have left.
            let step = self.current.load(Ordering::Acquire);
            let batch = self.batch(step);
            if batch.is_empty() || self.job.team.cancelled() {
                return;
            }
            let share = self.share(batch, step, worker);
            if share.is_empty() {
                self.wait(step);
                continue;
            }
            if !self.compute(&mut me, worker, step, share) {
                continue;
            }
            self.compress(&mut me, worker, step, batch.len());
            let used =
                self.deliver(&mut me.message, worker) && (self.wait(step) || !lock(&self.pass.server).withdraw(step, worker));
            if let Some(debt) = &mut me.debt {
                if used { debt.paid() } else { debt.refused() }
            }
        }
    }

    /// Waits until a step is over; false if the team is cancelled before.
    fn wait(&self, step: usize) -> bool {
        let backoff = Backoff::new();
        // Relaxed: the loop reads it again before it reads a weight.
        while self.current.load(Ordering::Relaxed) == step {
            if self.job.team.cancelled() {
                return false;
            }
            backoff.snooze();
        }
        true
    }

    /// Sums up the gradient of a share. False if the step is over, or the team cancelled, before it is whole.
    fn compute(&self, me: &mut Worker<F>, worker: usize, step: usize, share: &[usize]) -> bool {
        let Job { problem, team, watch, .. } = self.job;
        let intercept = Private::new(F::ZERO);
        let w = self.shared.view::<false>(&intercept);
        let (mut slope, mut over, mut whole) = (F::ZERO, false, true);
        self.shared.with_intercept(&intercept, || {
            for &i in share {
                let _ = watch.reads(worker); // nobody writes meanwhile: only a delay can come of it
                over = self.current.load(Ordering::Relaxed) != step; // seen late, it costs a row's work and no more
                if over || team.cancelled() {
                    whole = false;
                    return;
                }
                let derivative = self.update.decide(problem, i, w);
                slope += derivative;
                me.add(problem.rows().row(i), derivative);
            }
        });
        if over {
            lock(&self.pass.server).tally.late += 1;
        }
        me.collect(step, share.len(), slope);
        whole
    }

    /// Makes the message of the sums.
    fn compress(&self, me: &mut Worker<F>, worker: usize, step: usize, batch_rows: usize) {
        me.compress(self.pass.compression, batch_rows, || self.random(step, worker));
        if self.job.problem.has_intercept() {
            me.message.bits += value_bits::<F>();
        }
    }

    fn random(&self, step: usize, worker: usize) -> Xoshiro256PlusPlus {
        let mix = |seed: u64, n: u64| (seed.rotate_left(23) ^ n.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let order = self.job.order;
        Xoshiro256PlusPlus::seed_from_u64([order.epoch(), step as u64, worker as u64].into_iter().fold(order.seed(), mix))
    }

    /// Hands a message over, and takes the step if it was the last that was waited for. False if its step is over.
    fn deliver(&self, message: &mut Message<F>, worker: usize) -> bool {
        let mut server = lock(&self.pass.server);
        if !server.receive(message, worker) {
            return false;
        }
        let batch = self.batch(server.step);
        if server.n_arrived() == self.n_shares(batch).saturating_sub(self.pass.n_backup).max(1) {
            server.take_step(self.job.problem, self.update, self.shared, batch.len(), self.step_size);
            // Release: see the load in `work`.
            self.current.store(server.step, Ordering::Release);
        }
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data::Dataset;
    use crate::loss::Squared;
    use crate::penalty::Penalty;
    use crate::strategy::{Choice, Delay, Strategy, StrategyKind, UpdateKind, run};
    use crate::sync::Cell;
    use crate::threads::Team;

    /// Every step adds 1 to the only weight. With rows 1, targets 0 and the squared loss the gradient of any rows is that
    /// weight: the number of the step that it was computed for.
    struct Counting {
        rarities: Vec<f64>,
        /// How many steps were taken on something else.
        wrong: Vec<<f64 as Float>::Cell>,
    }

    impl GradientUpdate<f64> for Counting {
        fn change(&self, _j: usize, w_j: f64, gradient: f64, penalty_share: f64, _step_size: f64) -> f64 {
            if (gradient - w_j).abs() > 1e-9 * (1.0 + w_j) || penalty_share != 1.0 {
                self.wrong[0].set(self.wrong[0].get() + 1.0);
            }
            1.0
        }
        fn intercept_change(&self, _gradient: f64, _batch: usize, _step_size: f64) -> f64 {
            0.0
        }
        fn rarities(&self) -> &[f64] {
            &self.rarities
        }
        fn tables(&self) -> Vec<(&'static str, &[<f64 as Float>::Cell])> {
            vec![("wrong", &self.wrong)]
        }
        fn another(&self) -> Self {
            counting_update()
        }
    }

    fn counting_update() -> Counting {
        Counting { rarities: vec![1.0], wrong: vec![Cell::new(0.0)] }
    }

    fn counting(problem: &Problem, batch: usize, compression: Compression, choice: &Choice) -> Box<dyn Strategy<f64>> {
        let update = counting_update();
        let pass = ParameterServer::<f64>::new(problem, batch, compression, choice.backup).expect("a batch");
        run(problem, choice, Stochastic(update), pass)
    }

    fn with_rows_of_one<T>(n: usize, work: impl FnOnce(&Problem) -> T) -> T {
        let (offsets, indices, values) = ((0..=n as u64).collect::<Vec<_>>(), vec![0u32; n], vec![1f32; n]);
        let matrix = sprs::CsMatViewI::new((n, 1), &offsets[..], &indices[..], &values[..]);
        let targets = vec![0.0; n];
        let data = Dataset::from_csmat(matrix, &targets).expect("a matrix");
        work(&Problem::new(&data, &Squared, Penalty { l2: 0.0, l1: 0.0 }, false).expect("a problem"))
    }

    fn delays(random: &mut impl FnMut(u64) -> u64, n_workers: usize) -> Vec<Delay> {
        let pause = |random: &mut dyn FnMut(u64) -> u64| Duration::from_micros(random(160));
        (0..n_workers).map(|worker| Delay { worker: Some(worker), pause: pause(random), every: 1 + random(5) as usize }).collect()
    }

    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        move |below| rand::RngExt::random_range(&mut random, 0..below)
    }

    #[test]
    fn no_gradient_of_an_old_step_is_ever_used_however_late_workers_are() {
        with_rows_of_one(50, |problem| {
            let mut random = numbers(11);
            for round in 0..400 {
                let n_workers = 2 + round % 4;
                let team = Team::new(n_workers, false).expect("workers");
                let choice = Choice {
                    backup: 1 + random(n_workers as u64 - 1) as usize,
                    delays: delays(&mut random, n_workers),
                    ..Choice::new(StrategyKind::Minibatch, UpdateKind::Sgd)
                };
                let batch = n_workers + random(5) as usize;
                let mut strategy = counting(problem, batch, Compression::Whole, &choice);
                (0..2).for_each(|_| _ = strategy.epoch(problem, &team, 1.0));
                let state = strategy.state();
                assert_eq!(state.tables[0].1, [0.0], "round {round}: steps on old gradients");
                assert_eq!(state.weights, [2.0 * 50usize.div_ceil(batch) as f64], "round {round}: every batch is one step");
            }
        });
    }

    #[test]
    fn cancelled_teams_end_wherever_they_are_and_owe_what_they_have_not_sent() {
        with_rows_of_one(200, |problem| {
            let mut random = numbers(12);
            for round in 0..300 {
                let n_workers = 1 + round % 4;
                let team = Team::new(n_workers, false).expect("workers");
                let choice = Choice {
                    backup: round % 3,
                    delays: delays(&mut random, n_workers),
                    ..Choice::new(StrategyKind::Minibatch, UpdateKind::Sgd)
                };
                let mut strategy = counting(problem, 8, Compression::TopK { k: 1, forget: false }, &choice);
                let (flag, pause) = (team.cancel_flag(), Duration::from_micros(random(3000)));
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        std::thread::sleep(pause);
                        flag.store(true, Ordering::Relaxed);
                    });
                    strategy.epoch(problem, &team, 1.0);
                });
                let steps = strategy.state().weights[0];
                assert!(steps <= 25.0);
                flag.store(false, Ordering::Relaxed);
                strategy.epoch(problem, &team, 1.0);
                let state = strategy.state();
                assert_eq!((state.weights[0], state.tables[0].1[0]), (steps + 25.0, 0.0), "round {round}");
                assert!(state.tables[1..].iter().all(|(_, owed)| *owed == [0.0]), "round {round}: {:?}", state.tables);
            }
        });
    }

    #[test]
    fn debts_of_workers_who_have_left_are_kept() {
        with_rows_of_one(8, |problem| {
            let compression = Compression::TopK { k: 1, forget: false };
            let mut server = ParameterServer::<f64>::new(problem, 4, compression, 0).expect("a batch");
            let owed = |k: usize, owed: f64| (format!("{OWED}{k}"), vec![owed]);
            let tables = |server: &ParameterServer<f64>| Pass::<f64, Stochastic<Counting>>::tables(server);
            let set = |server: &mut ParameterServer<f64>, tables: &Tables<f64>| {
                Pass::<f64, Stochastic<Counting>>::set_tables(server, &Stochastic(counting_update()), tables)
            };
            assert!(set(&mut server, &vec![owed(0, 1.0), owed(1, 2.0), owed(2, 4.0)]));
            server.engage(2);
            assert_eq!(tables(&server), [owed(0, 5.0), owed(1, 2.0)]);
            server.engage(3);
            assert_eq!(tables(&server), [owed(0, 5.0), owed(1, 2.0), owed(2, 0.0)]);
            assert!(!set(&mut server, &vec![(format!("{OWED}0"), vec![1.0, 2.0])]), "two features are not one");
            assert!(set(&mut server, &Vec::new()) && tables(&server).is_empty());
        });
    }
}
