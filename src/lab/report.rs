//! stand-in until the report is merged
use crate::lab::Results;
pub fn html(_r: &Results) -> String {
    String::new()
}
pub fn plots(_r: &Results) -> Vec<(String, String)> {
    Vec::new()
}
pub fn text(r: &Results) -> String {
    let mut t = String::new();
    for run in &r.runs {
        t += &format!(
            "{} {} seed {} workers {} step {:.2e} div {} epochs {} train {:.3} eval {:.3} sub {:?} reached {:?} stale {:?} {:?}\n",
            run.method,
            run.threads,
            run.seed,
            run.workers,
            run.step_size,
            run.diverged,
            run.epochs,
            run.train_seconds,
            run.eval_seconds,
            run.points.last().map(|p| p.suboptimality),
            run.reached.iter().map(|r| r.map(|r| r.seconds)).collect::<Vec<_>>(),
            run.staleness.map(|s| (s.mean, s.max)),
            run.figures
        );
    }
    t += &format!("{:?} {:?}\n", r.contention, r.probe_cost);
    if let Some(s) = &r.study {
        for c in &s.curves {
            t += &format!("{} {:?}\n", c.name, c.points);
        }
    }
    t
}
