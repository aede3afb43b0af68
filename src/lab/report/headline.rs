//! What stands at the head of the page: what was run, who was fastest, and on what machine.

use crate::lab::report::number::{self, counted, epsilon, figure, grouped, listed, percent, seconds, threads};
use crate::lab::report::spread::Spread;
use crate::lab::report::summary::{Cell, Summary};

/// "1.7 times as fast as plain sequential code", or that it is not faster.
pub fn compared(speed_up: &Spread, reference: &str) -> String {
    let times = figure(speed_up.middle);
    match speed_up.middle {
        middle if middle > 1.05 => format!("{times} times as fast as {reference}"),
        middle if middle < 0.95 => format!("slower than {reference} ({times} times its speed)"),
        _ => format!("about as fast as {reference} ({times} times its speed)"),
    }
}

/// "Median and quartiles" need a few seeds.
fn seeds(n: u64) -> String {
    if n == 1 { "one seed, so that nothing is known of the spread".into() } else { format!("{n} seeds each") }
}

/// The first sentences.
pub fn sentences(summary: &Summary) -> Vec<String> {
    let results = summary.results;
    let (data, problem, plan, machine) = (&results.data, &results.problem, &results.plan, &results.machine);
    let mut loss = problem.loss.clone();
    for (name, strength) in [("l2", problem.l2), ("l1", problem.l1)] {
        if strength > 0.0 {
            loss += &format!(", {name} = {}", number::scientific(strength));
        }
    }
    let first = format!(
        "{} on {} ({} rows, {} features, {} non-zeros; {loss}), at {} {}, {}, on {} with {}.",
        counted(plan.methods.len(), "method"),
        data.name,
        grouped(data.n_rows as u64),
        grouped(data.n_features as u64),
        grouped(data.n_nonzeros),
        listed(&plan.threads),
        if plan.threads == [1] { "thread" } else { "threads" },
        seeds(plan.seeds),
        machine.processor,
        counted(machine.n_cores, "core"),
    );
    let mut all = vec![first];
    if !summary.cells.is_empty() {
        all.push(fastest(summary));
    }
    all
}

fn fastest(summary: &Summary) -> String {
    let (Some(best), Some((place, wanted))) = (summary.fastest(), summary.epsilon) else {
        let epsilons: Vec<String> = summary.results.plan.epsilons.iter().copied().map(epsilon).collect();
        let wanted = if epsilons.is_empty() { "an epsilon, since none was asked for".into() } else { listed(&epsilons) };
        return format!("No method came to {wanted} in half of its runs, at any number of threads: there is no time to compare.");
    };
    let came = summary.methods.iter().filter(|method| summary.best(method).is_some_and(|cell| cell.seconds.came())).count();
    let who = match summary.methods.len() {
        n if n == came => "every method".to_owned(),
        n => format!("{came} of {}", counted(n, "method")),
    };
    let mut text = format!(
        "Fastest to within {} of the optimum, the smallest epsilon that {who} came to: {}, in {}.",
        epsilon(wanted),
        best.name(),
        best.seconds_to(place).text(seconds)
    );
    if summary.over_cores(best.threads) {
        text += &format!(" That is more threads than the machine has cores ({}).", summary.results.machine.n_cores);
    }
    if best.method.starts_with("sequential") {
        text += " No way of sharing the work beats plain sequential code here.";
        return text + &runner_up(summary, best);
    }
    let sequential = summary.sequential(best.method);
    let itself = summary.cell(best.method, 1).filter(|_| best.threads > 1);
    let mut against = Vec::new();
    if let Some(speed_up) = Summary::speed_up(sequential, best) {
        against.push(compared(&speed_up, "our own plain sequential code with the same update"));
    }
    if let Some(speed_up) = Summary::speed_up(itself, best) {
        against.push(compared(&speed_up, "one thread of itself"));
    }
    match against.is_empty() {
        true => text += " There is no sequential run of the same update that came there to compare it with.",
        false => text += &format!(" It is {}.", listed(&against)),
    }
    text + &runner_up(summary, best)
}

/// The next method, and whether the difference is one.
fn runner_up(summary: &Summary, best: &Cell) -> String {
    let ranking = summary.ranking();
    let Some(next) = ranking.get(1).filter(|cell| cell.seconds.came()) else {
        return String::new();
    };
    let tie = best.seconds.meets(&next.seconds) && summary.results.plan.seeds > 1;
    let tie = if tie { "; their quartiles meet, so the order of the two is not certain" } else { "" };
    format!(" Next comes {}, in {}{tie}.", next.name(), next.seconds.text(seconds))
}

/// What the user should know before believing; that threads outnumber cores is said even where the experiment did not.
pub fn warnings(summary: &Summary) -> Vec<String> {
    let (results, machine) = (summary.results, &summary.results.machine);
    let mut all = results.warnings.clone();
    let over: Vec<usize> = summary.threads().into_iter().filter(|&n| summary.over_cores(n)).collect();
    if !over.is_empty() && !all.iter().any(|warning| warning.contains("more threads than")) {
        all.push(format!(
            "{} threads are more threads than the {} that may be used; such points are hollow, and what they say is about taking turns.",
            listed(&over),
            counted(machine.n_cores, "core"),
        ));
    }
    if let Some(load) = machine.load.filter(|&load| load > 0.5)
        && !all.iter().any(|warning| warning.contains("busy"))
    {
        all.push(format!("the machine was busy when this began: {} programs wanted a core.", figure(load)));
    }
    let diverged = results.runs.iter().filter(|run| run.diverged).count();
    if diverged > 0 {
        let all_runs = counted(results.runs.len(), "run");
        all.push(format!(
            "{diverged} of {all_runs} diverged (exploded, or ended above P(0)); they are in the table of all runs."
        ));
    }
    all
}

/// The machine, the data and the plan.
pub fn facts(summary: &Summary) -> Vec<(&'static str, String)> {
    let results = summary.results;
    let (machine, data, problem, plan) = (&results.machine, &results.data, &results.problem, &results.plan);
    let mut all = vec![("processor", machine.processor.clone()), ("system", machine.system.clone())];
    let memory = machine.memory_gib.map_or(String::new(), |gib| format!(", {} GiB of memory", figure(gib)));
    let cpus = counted(machine.n_cpus, "hardware thread");
    all.push(("may use", format!("{}, {cpus}{memory}", counted(machine.n_cores, "physical core"))));
    if !machine.caches.is_empty() {
        all.push(("caches", machine.caches.join(", ")));
    }
    if !machine.pinning.is_empty() {
        let on = |(worker, cpu): (usize, &Option<usize>)| match cpu {
            Some(cpu) => format!("worker {worker} on processor {cpu}"),
            None => format!("worker {worker} nowhere"),
        };
        all.push(("pinned", machine.pinning.iter().enumerate().map(on).collect::<Vec<_>>().join(", ")));
    }
    if !machine.bandwidth.is_empty() {
        let at = |&(n, rate): &(usize, f64)| format!("{} GB/s by {}", figure(rate), threads(n));
        all.push(("memory read", listed(&machine.bandwidth.iter().map(at).collect::<Vec<_>>())));
    }
    let load = |load| format!("{} programs wanted a core in the minute before", figure(load));
    all.push(("load at start", machine.load.map_or("not known".into(), load)));
    all.push(("data", format!(
        "{} rows, {} features, {} non-zeros; Omega {} (the largest row), Delta {} (rows that one feature is in), rho {} at most \
         and {} usually (rows that one row meets)",
        grouped(data.n_rows as u64), grouped(data.n_features as u64), grouped(data.n_nonzeros),
        figure(data.omega), percent(data.delta), percent(data.rho), percent(data.mean_rho),
    )));
    all.push(("objective", format!(
        "{}, l2 = {}, l1 = {}; P(0) = {}; the best known P = {:.10}, and none is lower by more than a share of {} (certified)",
        problem.loss, number::scientific(problem.l2), figure(problem.l1), figure(problem.at_zero), problem.optimum,
        number::scientific(problem.optimum_gap),
    )));
    let epsilons: Vec<String> = plan.epsilons.iter().copied().map(epsilon).collect();
    all.push((
        "plan",
        format!(
            "to (P − P*)/P* of {}; a run ends after {} of training or {}; {}",
            listed(&epsilons),
            seconds(plan.seconds),
            counted(plan.epochs as usize, "epoch"),
            seeds(plan.seeds),
        ),
    ));
    all.push(("began", number::date(results.started)));
    all.push(("command", results.command.join(" ")));
    all
}
