//! Who does the work? A [`Team`] of pinned workers, and what they need to share it out without waiting: a [`Ticket`] for
//! the next piece of work, a [`Barrier`] where a strategy must wait, [`Stripes`] of locks for the baselines that lock.

mod barrier;
mod stripes;
mod team;
mod ticket;
mod topology;

pub use barrier::Barrier;
pub use stripes::Stripes;
pub use team::Team;
pub use ticket::Ticket;
pub use topology::Topology;
