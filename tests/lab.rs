//! The lab, through the program: what it keeps, what it goes on with, what it refuses.

mod program;

use program::{Folder, two_classes};
use unfenced::lab::{Method, Results};

fn results(folder: &Folder, out: &str) -> Results {
    serde_json::from_slice(&folder.read(&format!("{out}/results.json"))).expect("results")
}

const SMALL: &str = "--threads 1,2 --methods hogwild+sdca,hogwild:wild+sgd,minibatch:8+sgd --seeds 2 --seconds 0.05 --epochs 20";

#[test]
fn every_method_runs_at_every_number_of_threads_beside_its_sequential_twin() {
    let folder = Folder::with("rows.svm", two_classes());
    let ended = folder.done(&format!("lab rows.svm --out found {SMALL}"));
    assert!(ended.out.contains("report.html"));
    let results = results(&folder, "found");
    // Three methods at two numbers of threads, two sequential twins at one, two seeds.
    assert_eq!(results.runs.len(), (3 * 2 + 2) * 2);
    for run in &results.runs {
        assert!(run.epochs > 0 && run.train_seconds > 0.0 && !run.points.is_empty(), "{run:?}");
        assert!(run.updates <= 120 * run.epochs && run.updates > 100 * run.epochs, "{run:?}"); // an empty row may rest
        let near = run.points.last().expect("points").suboptimality;
        assert!(near > -1e-6 && (run.reached[1].is_some() == (near <= 1e-3)), "{run:?}");
        let method: Method = run.method.parse().expect("a method");
        assert_eq!(method.to_string(), run.method);
        let tuned = results.tunings.iter().find(|tuning| tuning.method == run.method && tuning.threads == run.threads);
        assert_eq!(tuned.map(|tuning| tuning.chosen), method.has_step_size().then_some(run.step_size));
    }
    assert!(results.problem.optimum_gap <= 1e-7 && results.problem.loss == "logistic");
    assert_eq!(results.contention.iter().map(|met| met.threads).collect::<Vec<_>>(), [1, 2]);
    let page = folder.text("found/report.html");
    assert!(["hogwild+sdca", "hogwild:wild+sgd", "minibatch:8+sgd", "sequential+sgd"].iter().all(|name| page.contains(name)));
}

#[test]
fn an_interrupted_experiment_goes_on_with_what_is_missing() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done(&format!("lab rows.svm --out found {SMALL}"));
    let whole = results(&folder, "found");
    let mut part = whole.clone();
    let missing = part.runs.split_off(5);
    folder.write("found/results.json", serde_json::to_string(&part).expect("text"));
    folder.done(&format!("lab rows.svm --out found --resume {SMALL}"));
    let again = results(&folder, "found");
    assert_eq!(again.runs[..5], whole.runs[..5]); // the very runs, not new ones
    assert_eq!(again.runs.len(), 5 + missing.len());
    for run in &missing {
        let found =
            again.runs.iter().find(|other| (&other.method, other.threads, other.seed) == (&run.method, run.threads, run.seed));
        assert!(found.is_some_and(|found| found != run), "{} was not run again", run.method);
    }
}

#[test]
fn a_study_compares_with_sequential_code_under_the_same_delay() {
    let folder = Folder::with("rows.svm", two_classes());
    let methods = "--methods hogwild:wild+sgd,global_lock+sgd";
    folder.done(&format!("lab rows.svm --study gradient-cost --out found --threads 2 --seeds 1 --seconds 0.01 {methods}"));
    let study = results(&folder, "found").study.expect("a study");
    assert_eq!(study.curves.iter().map(|curve| curve.name.as_str()).collect::<Vec<_>>(), ["hogwild:wild+sgd", "global_lock+sgd"]);
    for curve in &study.curves {
        let costs: Vec<f64> = curve.points.iter().map(|point| point.0).collect();
        assert_eq!(costs, [0.0, 0.001, 0.01, 0.1, 1.0, 10.0]);
        assert!(curve.points.iter().all(|&(_, low, median, high)| 0.0 < low && low <= median && median <= high));
    }
}

#[test]
fn what_makes_no_experiment_is_refused() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.refused("lab rows.svm", 2, &["--out"]);
    folder.refused("lab --out found", 2, &["DATA"]);
    folder.refused("lab rows.svm --out found --methods sgd", 2, &["STRATEGY+UPDATE"]);
    folder.refused("lab rows.svm --out found --threads 0", 2, &["--threads"]);
    folder.refused("lab rows.svm --out found --epsilon 2", 2, &["--epsilon", "between 0 and 1"]);
    folder.refused("lab rows.svm --out found --seconds -1", 2, &["--seconds"]);
    folder.refused("lab rows.svm --out found --study skew", 2, &["makes its own data"]);
    folder.refused("lab rows.svm --out found --study gradient-cost --threads 1", 2, &["--threads 1,N"]);
    folder.refused("train rows.svm --threads 2 --delay 2:1", 2, &["--delay 2", "0 to 1"]);
    folder.refused("lab rows.svm --out rows.svm", 1, &["rows.svm", "is no folder"]);
    folder.refused("lab rows.svm --out found --resume", 1, &["results.json", "cannot read"]);
    std::fs::create_dir(folder.path("found")).expect("a folder");
    folder.write("found/results.json", "{}");
    folder.refused("lab rows.svm --out found", 2, &["is there already", "--resume"]);
    folder.refused("lab rows.svm --out found --resume", 1, &["is no experiment's results"]);
}

#[test]
fn another_experiment_is_not_gone_on_with() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("lab rows.svm --out found --threads 1 --methods sequential+sdca --seeds 1 --seconds 0.05 --epochs 20");
    let same = "--threads 1 --methods sequential+sdca --seeds 1 --seconds 0.05 --epochs 20";
    folder.done(&format!("lab rows.svm --out found --resume {same}"));
    for (word, with) in [("--seeds 1", "--seeds 2"), ("--threads 1", "--threads 2"), ("--epochs 20", "--epochs 21")] {
        let option = word.split(' ').next().unwrap_or_default();
        folder.refused(&format!("lab rows.svm --out found --resume {}", same.replace(word, with)), 2, &[option, "another"]);
    }
    folder.refused(&format!("lab rows.svm --out found --resume {same} --c 2"), 2, &["problem"]);
}
