//! The report says what the figures say, and is a page that stands by itself.

mod made;

use made::{Made, experiment};
use unfenced::lab::{Components, Contention, Curve, Results, Study, report};

/// Names of HTML's elements that have no end of their own; the page ends them as XML does.
const VOID: [&str; 1] = ["meta"];

/// Fails unless every tag that is opened is closed in its turn, every attribute has quotes and every text is escaped.
fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap_or(page);
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        for after in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|name| after.starts_with(name));
            assert!(known, "an & that is not escaped: &{after}");
        }
        let end = tag.find('>').expect("a tag that ends");
        let inside = &tag[1..end];
        assert!(!inside.contains('<'), "a tag in a tag: {inside}");
        assert_eq!(inside.matches('"').count() % 2, 0, "quotes that do not end: {inside}");
        let name = inside.split([' ', '/']).find(|word| !word.is_empty()).expect("a name");
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in the wrong order");
        } else if inside.ends_with('/') {
            assert!(VOID.contains(&name) || open.contains(&"svg"), "{name} needs an end of its own");
        } else {
            open.push(name);
        }
        rest = &tag[end + 1..];
    }
    assert_eq!(open, Vec::<&str>::new(), "tags that are never closed");
}

/// The page and its plots, after what must be true of any.
fn checked(results: &Results) -> (String, Vec<(String, String)>) {
    let (page, plots) = (report::html(results), report::plots(results));
    assert_well_formed(&page);
    for word in ["http", "src=", "url(", "@import", "<script", "<link", "href"] {
        assert!(!page.contains(word), "the page loads something: {word}");
    }
    for (name, svg) in &plots {
        assert_well_formed(svg);
        assert!(svg.starts_with("<svg ") && svg.contains("xmlns=\"http://www.w3.org/2000/svg\""), "{name}");
        assert!(!svg.contains("var("), "{name} stands alone and has no page to ask for colours");
    }
    for text in plots.iter().map(|plot| &plot.1).chain([&page]) {
        for drawn in text.split("<svg").skip(1).map(|rest| rest.split("</svg>").next().unwrap_or(rest)) {
            for tag in drawn.split('<').map(|rest| rest.split('>').next().unwrap_or(rest)) {
                assert!(!tag.contains("NaN") && !tag.contains("inf"), "a coordinate that is no number: {tag}");
            }
        }
    }
    (page, plots)
}

fn names(plots: &[(String, String)]) -> Vec<&str> {
    plots.iter().map(|plot| plot.0.as_str()).collect()
}

#[test]
fn the_page_of_a_large_experiment_is_whole_and_lies_in_target_tmp_to_be_looked_at() {
    let results = experiment();
    let (page, plots) = checked(&results);
    for method in &results.plan.methods {
        assert!(page.contains(method.as_str()), "{method} is missing");
    }
    let expected = [
        "study.svg",
        "speedup-sequential.svg",
        "speedup-itself.svg",
        "time-to-epsilon.svg",
        "epochs-to-epsilon.svg",
        "seconds-an-epoch.svg",
        "suboptimality-seconds.svg",
        "suboptimality-epochs.svg",
        "throughput.svg",
        "staleness.svg",
        "contention.svg",
        "tuning.svg",
    ];
    assert_eq!(names(&plots), expected);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("report.html"), page).expect("written");
    for (name, svg) in plots {
        std::fs::write(folder.join(name), svg).expect("written");
    }
}

#[test]
fn the_sentences_say_who_wins_and_who_loses() {
    let gains = Made::new(&["sequential+sgd", "hogwild:wild+sgd"])
        .cell("sequential+sgd", 1, &[1.0, 1.0, 1.0])
        .cell("hogwild:wild+sgd", 1, &[1.2, 1.2, 1.2])
        .cell("hogwild:wild+sgd", 2, &[0.5, 0.4, 0.6]);
    let (page, _) = checked(&gains.results);
    assert!(page.contains("Fastest to within 1e-3 of the optimum, the smallest epsilon that every method came to"));
    assert!(page.contains("hogwild:wild+sgd at 2 threads, in 500\u{a0}ms (450 to 550\u{a0}ms)"), "{page}");
    assert!(page.contains("It is 2 times as fast as our own plain sequential code with the same update and 2.4 times as fast as one thread of itself."));
    assert!(
        page.contains(
            "hogwild:wild+sgd gains most: 2 times the speed of plain sequential code with the same update, at 2 threads."
        )
    );
    assert!(page.contains("One method beats it at some number of threads: hogwild:wild+sgd from 2 threads."));

    let loses = Made::new(&["sequential+sgd", "hogwild:wild+sgd"])
        .cell("sequential+sgd", 1, &[1.0, 1.0, 1.0])
        .cell("hogwild:wild+sgd", 1, &[1.2, 1.2, 1.2])
        .cell("hogwild:wild+sgd", 2, &[2.0, 2.5, 3.0]);
    let (page, _) = checked(&loses.results);
    assert!(
        page.contains("sequential+sgd at one thread, in 1\u{a0}s. No way of sharing the work beats plain sequential code here.")
    );
    assert!(page.contains("No method gains anything by more threads: hogwild:wild+sgd comes nearest, with 0.4 times the speed"));
    assert!(page.contains("No method beats it at any number of threads."));
    assert!(!page.contains("gains most") && !page.contains("beats it at some"));
}

#[test]
fn a_method_that_comes_there_with_a_minority_of_its_seeds_has_not_come_there() {
    let never = f64::INFINITY;
    let made = Made::new(&["sequential+sgd", "hogwild:wild+sgd"]).cell("sequential+sgd", 1, &[1.0, 1.0, 1.0]).cell(
        "hogwild:wild+sgd",
        2,
        &[0.1, never, never],
    );
    let (page, _) = checked(&made.results);
    assert!(page.contains("in 1\u{a0}s. No way of sharing the work beats plain sequential code here."), "{page}");
    assert!(page.contains("Never in half of the runs: hogwild:wild+sgd."));
    assert!(page.contains("<td>not reached</td>") && page.contains("<td>1 of 3</td>"));
}

#[test]
fn the_headline_takes_the_smallest_epsilon_that_most_methods_came_to() {
    let mut made =
        Made::new(&["a+sgd", "b+sgd", "c+sgd"]).cell("a+sgd", 1, &[1.0]).cell("b+sgd", 1, &[2.0]).cell("c+sgd", 1, &[3.0]);
    made.results.plan.epsilons = vec![1e-2, 1e-3, 1e-4];
    for (n, run) in made.results.runs.iter_mut().enumerate() {
        let at = run.reached[0];
        run.reached = vec![at, at.filter(|_| n < 2), at.filter(|_| n < 1)];
    }
    let (page, _) = checked(&made.results);
    assert!(page.contains("Fastest to within 1e-3 of the optimum, the smallest epsilon that 2 of 3 methods came to: a+sgd"));
}

#[test]
fn the_theorem_is_reckoned_from_the_data_and_compared_with_what_was_measured() {
    let mut made = Made::new(&["hogwild:wild+sgd"]).cell("hogwild:wild+sgd", 1, &[1.0]).cell("hogwild:wild+sgd", 2, &[0.8]);
    made.stale(2, 3.0, 10);
    // 1 + 6 tau rho + 6 tau^2 Omega sqrt(Delta), with tau 3 and 10, rho 0.5, Omega 4, Delta 0.25.
    let data = &mut made.results.data;
    (data.omega, data.delta, data.rho) = (4.0, 0.25, 0.5);
    for run in &mut made.results.runs {
        run.reached[0].as_mut().expect("come there").epochs = if run.threads == 1 { 4.0 } else { 6.0 };
    }
    let (page, _) = checked(&made.results);
    assert!(page.contains("measured is 1.5 times, by hogwild:wild+sgd at 2 threads; the theorem allows 118 times for its mean staleness (3) and 1,230 times"), "{page}");
    assert!(page.contains("the bound holds, even with the mean staleness for tau"));
    for run in &mut made.results.runs {
        run.reached[0].as_mut().expect("come there").epochs = if run.threads == 1 { 4.0 } else { 8000.0 };
    }
    let (page, _) = checked(&made.results);
    assert!(page.contains("more than it allows") && !page.contains("the bound holds"));
}

#[test]
fn what_the_probe_costs_is_said_and_blamed_if_it_is_much() {
    let mut results = experiment();
    for (cost, words) in [
        (Some(0.004), "Sampling slows an epoch by 0.4\u{a0}%."),
        (Some(0.05), "Sampling slows an epoch by 5\u{a0}%, more than the 2\u{a0}%"),
        (Some(-0.001), "by nothing that can be told (−0.1\u{a0}%)"),
    ] {
        results.probe_cost = cost;
        assert!(checked(&results).0.contains(words), "{words}");
    }
}

#[test]
fn contention_and_components_are_said_as_they_are() {
    let mut results = experiment();
    results.contention =
        vec![Contention { threads: 1, lost: 0.0, retries: 0.0 }, Contention { threads: 2, lost: 0.031, retries: 0.2 }];
    results.components = Some(Components { batch: 100, mean_count: 10.0, mean_rows: 10.0, largest_share: 0.9 });
    let (page, _) = checked(&results);
    assert!(page.contains("At 2 threads 3.1\u{a0}% of wild additions are lost, and an atomic addition meets 0.2 failed"));
    assert!(page.contains("most of a batch hangs together"));
    results.contention.truncate(1);
    results.components = Some(Components { batch: 100, mean_count: 50.0, mean_rows: 2.0, largest_share: 0.1 });
    let (page, _) = checked(&results);
    assert!(page.contains("At one thread no wild addition was lost, and no compare-and-swap failed."));
    assert!(page.contains("batches fall apart"));
}

#[test]
fn a_study_comes_first_and_tells_where_its_curves_cross() {
    let curve = |name: &str, values: [f64; 3]| Curve {
        name: name.into(),
        points: values.iter().zip([0.0, 1.0, 10.0]).map(|(&y, x)| (x, 0.9 * y, y, 1.1 * y)).collect(),
    };
    let study = |second: [f64; 3]| Study {
        name: "gradient-cost".into(),
        varied: "ms a gradient".into(),
        measured: "speed-up".into(),
        curves: vec![curve("hogwild:wild+sgd", [2.0, 2.0, 2.0]), curve("global_lock+sgd", second)],
    };
    let mut results = experiment();
    results.study = Some(study([0.5, 1.5, 2.1]));
    let (page, plots) = checked(&results);
    assert_eq!(plots[0].0, "study.svg");
    assert!(page.find("<h2>Study") < page.find("<h2>Speed-up"));
    assert!(page.contains("Curves cross: global_lock+sgd rises above hogwild:wild+sgd between 1 and 10."));
    assert!(page.contains("at 10 global_lock+sgd and hogwild:wild+sgd are level at 2.1"));
    results.study = Some(study([0.5, 1.0, 1.1]));
    let (page, _) = checked(&results);
    assert!(page.contains("No two curves cross.") && !page.contains("Curves cross"));
    assert!(page.contains("at 10 the highest is hogwild:wild+sgd (2) and the lowest global_lock+sgd (1.1)"));
    // A study's runs have no speed-up in common.
    results.runs.iter_mut().for_each(|run| run.varied = Some(1.0));
    let (page, plots) = checked(&results);
    assert!(names(&plots).contains(&"study.svg") && !names(&plots).contains(&"speedup-sequential.svg"));
    assert!(!page.contains("Speed-up against threads</h2>"));
}

#[test]
fn more_threads_than_cores_are_hollow_and_warned_of() {
    let made = Made::new(&["hogwild:wild+sgd"]).cell("hogwild:wild+sgd", 1, &[1.0]).cell("hogwild:wild+sgd", 4, &[0.5]);
    let (page, plots) = checked(&made.results);
    let hollow = |plots: &[(String, String)]| plots.iter().filter(|plot| plot.1.contains("fill:#fff")).count();
    assert!(page.contains("4 threads are more threads than the 2 cores that may be used") && page.contains("4 (&gt; cores)"));
    assert!(hollow(&plots) >= 4);
    let made = Made::new(&["hogwild:wild+sgd"]).cell("hogwild:wild+sgd", 1, &[1.0]).cell("hogwild:wild+sgd", 2, &[0.5]);
    let (page, plots) = checked(&made.results);
    assert!(!page.contains("(&gt; cores)") && !page.contains("more threads than"));
    assert_eq!(hollow(&plots), 0);
}

#[test]
fn at_most_eight_lines_are_drawn_and_those_left_out_are_counted() {
    let (page, plots) = checked(&experiment());
    let svg = &plots.iter().find(|plot| plot.0 == "suboptimality-seconds.svg").expect("drawn").1;
    let keys = svg.matches("<polyline").count();
    assert!(keys <= 2 * 9 + 8, "{keys} stretches of lines");
    assert!(page.contains("methods are left out of this plot"));
    for always in ["hogwild+sdca", "hogwild:wild+sgd"] {
        assert!(svg.contains(always), "{always} is never left out");
    }
}

#[test]
fn a_name_that_looks_like_a_tag_is_shown_as_it_is() {
    let bad = "<script src=\"x\">&'";
    let mut made = Made::new(&[bad]).cell(bad, 1, &[1.0]).cell(bad, 2, &[0.5]);
    made.stale(2, 1.0, 2);
    let results = &mut made.results;
    results.data.name = bad.into();
    results.problem.loss = bad.into();
    results.machine.processor = bad.into();
    results.machine.caches = vec![bad.into()];
    results.command = vec![bad.into()];
    results.warnings = vec![bad.into()];
    results.runs[0].figures.insert(bad.into(), 1.0);
    let page = report::html(results);
    assert_well_formed(&page);
    assert!(!page.contains("<script") && page.contains("&lt;script src=&quot;x&quot;&gt;&amp;&#39;"));
    report::plots(results).iter().for_each(|plot| assert_well_formed(&plot.1));
}

#[test]
fn an_experiment_of_one_run_is_reported() {
    let made = Made::new(&["hogwild:wild+sgd"]).cell("hogwild:wild+sgd", 1, &[1.0]);
    let (page, plots) = checked(&made.results);
    assert!(page.contains("one seed, so that nothing is known of the spread"));
    assert!(names(&plots).contains(&"time-to-epsilon.svg"));
}

#[test]
fn an_experiment_in_which_nothing_was_come_to_is_reported() {
    let never = f64::INFINITY;
    let mut made = Made::new(&["hogwild:wild+sgd", "sequential+sgd"]).cell("hogwild:wild+sgd", 2, &[never, never]).cell(
        "sequential+sgd",
        1,
        &[never],
    );
    made.results.runs[0].diverged = true;
    let (page, plots) = checked(&made.results);
    assert!(page.contains("No method came to 1e-3 in half of its runs, at any number of threads"));
    assert!(page.contains("1 diverged: hogwild:wild+sgd at 2 (1)."));
    let svg = &plots.iter().find(|plot| plot.0 == "time-to-epsilon.svg").expect("a file all the same").1;
    assert!(svg.contains("Nothing to draw"));
}

#[test]
fn an_experiment_without_runs_or_figures_is_reported() {
    let mut results = Made::new(&[]).results;
    let (page, plots) = checked(&results);
    assert!(page.contains("There is no run.") && !plots.is_empty());
    results.plan.epsilons.clear();
    results.machine.bandwidth.clear();
    results.machine.n_cores = 0;
    results.study = Some(Study { name: String::new(), varied: String::new(), measured: String::new(), curves: Vec::new() });
    assert!(checked(&results).0.contains("No curve has a point"));
}

#[test]
fn values_that_are_no_numbers_break_nothing() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e308, 1e-308] {
        let mut results = experiment();
        for run in &mut results.runs {
            run.points.iter_mut().step_by(2).for_each(|point| (point.suboptimality, point.seconds) = (bad, bad));
            run.reached.iter_mut().flatten().take(1).for_each(|at| (at.seconds, at.epochs) = (bad, bad));
            (run.train_seconds, run.bytes, run.nonzeros, run.step_size, run.epochs) = (bad, bad, bad, bad, 0);
            run.staleness.iter_mut().for_each(|seen| seen.mean = bad);
        }
        results.machine.bandwidth.iter_mut().for_each(|at| at.1 = bad);
        results.machine.load = Some(bad);
        results
            .tunings
            .iter_mut()
            .flat_map(|tuning| &mut tuning.grid)
            .for_each(|trial| (trial.step_size, trial.suboptimality) = (bad, Some(bad)));
        results.contention.iter_mut().for_each(|seen| (seen.lost, seen.retries) = (bad, bad));
        (results.data.delta, results.data.rho, results.probe_cost) = (bad, bad, Some(bad));
        results.plan.epsilons.iter_mut().for_each(|wanted| *wanted = bad);
        for curve in results.study.iter_mut().flat_map(|study| &mut study.curves) {
            curve.points.iter_mut().step_by(2).for_each(|point| *point = (bad, bad, bad, bad));
        }
        checked(&results);
        results.runs.iter_mut().for_each(|run| (run.threads, run.reached, run.points) = (0, Vec::new(), Vec::new()));
        checked(&results);
    }
}
