//! Every interleaving of two or three workers, by the model checker loom:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! ```
#![cfg(loom)]

use std::cell::Cell as Private;

use loom::sync::Arc;
use loom::thread;
use unfenced::threads::Ticket;
use unfenced::weights::{Memory, Shared, Weights};

#[test]
fn every_ticket_goes_to_exactly_one_worker() {
    loom::model(|| {
        let ticket = Arc::new(Ticket::new(2));
        let draw_all = |ticket: Arc<Ticket>| move || std::iter::from_fn(|| ticket.draw()).collect::<Vec<_>>();
        let other = thread::spawn(draw_all(ticket.clone()));
        let mut drawn = draw_all(ticket)();
        drawn.extend(other.join().expect("a worker"));
        drawn.sort_unstable();
        assert_eq!(drawn, [0, 1]);
    });
}

/// What two workers leave in one weight when each adds 1.
fn two_additions<const ATOMIC: bool>() -> f32 {
    let shared = Arc::new(Shared::<f32>::zeros(1));
    let add = |shared: Arc<Shared<f32>>| {
        move || {
            let intercept = Private::new(0.0);
            shared.view::<ATOMIC>(&intercept).add_with(0, |_| 1.0);
        }
    };
    let other = thread::spawn(add(shared.clone()));
    add(shared.clone())();
    other.join().expect("a worker");
    shared.load().0[0]
}

#[test]
fn atomic_additions_are_never_lost() {
    loom::model(|| assert_eq!(two_additions::<true>(), 2.0));
}

#[test]
fn a_wild_addition_may_be_lost_and_nothing_worse_happens() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static LOST: AtomicBool = AtomicBool::new(false);
    static KEPT: AtomicBool = AtomicBool::new(false);
    loom::model(|| match two_additions::<false>() {
        1.0 => LOST.store(true, Ordering::Relaxed),
        2.0 => KEPT.store(true, Ordering::Relaxed),
        torn => panic!("{torn}"),
    });
    assert!(LOST.load(Ordering::Relaxed) && KEPT.load(Ordering::Relaxed), "loom must have met both ends");
}

#[test]
fn no_change_of_the_intercept_is_lost() {
    loom::model(|| {
        let shared = Arc::new(Shared::<f64>::zeros(0));
        let add = |shared: Arc<Shared<f64>>, change: f64| {
            move || {
                let copy = Private::new(0.0);
                shared.with_intercept(&copy, || copy.set(copy.get() + change));
            }
        };
        let other = thread::spawn(add(shared.clone(), 1.0));
        add(shared.clone(), 2.0)();
        other.join().expect("a worker");
        assert_eq!(shared.load().1, 3.0);
    });
}
