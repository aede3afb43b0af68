//! The command line keeps its contract: names, keys, exit codes, orders, defaults.

mod program;

use program::{Folder, examples, same, text_of, two_classes};
use serde_json::Value;

const REPORT: [&str; 20] = [
    "task",
    "n",
    "d",
    "nnz",
    "strategy",
    "update",
    "memory",
    "threads",
    "epochs",
    "updates",
    "load_seconds",
    "train_seconds",
    "eval_seconds",
    "objective",
    "dual",
    "gap",
    "train_accuracy",
    "test_accuracy",
    "stop",
    "model",
];
const LINE: [&str; 7] = ["epoch", "updates", "seconds", "objective", "dual", "gap", "test_accuracy"];

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn the_report_of_a_run_has_every_key_of_the_contract() {
    let folder = Folder::with("rows.svm", two_classes());
    for line in ["", "--strategy minibatch", "--loss squared", "--strategy sequential --test rows.svm"] {
        let run = folder.done(&format!("train rows.svm --json --epochs 3 {line}"));
        assert_eq!(run.out.lines().count(), 1);
        let report = run.json();
        for key in REPORT {
            assert!(keys(&report).contains(&key), "{line}: no {key} in {report}");
        }
    }
}

#[test]
fn the_report_says_what_was_run_and_found() {
    let rows = examples(1, 120, 12);
    let folder = Folder::with("rows.svm", text_of(&rows));
    let report = folder.done("train rows.svm --test rows.svm --json --threads 1").json();
    assert_eq!(report["task"], "classification");
    assert_eq!((&report["n"], &report["d"]), (&120.into(), &12.into()));
    assert_eq!(report["nnz"], rows.iter().map(|row| row.1.len()).sum::<usize>());
    assert_eq!((&report["strategy"], &report["update"]), (&"hogwild".into(), &"sdca".into()));
    assert!(report["memory"].is_string());
    assert_eq!((&report["threads"], &report["stop"], &report["model"]), (&1.into(), &"gap".into(), &"rows.model".into()));
    let number = |key: &str| report[key].as_f64().expect(key);
    // Rows that rest are not visited.
    assert!(number("updates") >= 120.0 && number("updates") <= 120.0 * number("epochs"));
    assert!(number("gap") <= 1e-3 && number("gap") >= 0.0);
    assert!(same(number("gap"), (number("objective") - number("dual")) / number("objective")));
    assert_eq!(report["train_accuracy"], report["test_accuracy"]); // the same rows
    assert!(number("train_accuracy") > 0.8);
    let regression = folder.done("train rows.svm --loss squared --json --strategy sequential").json();
    assert_eq!(regression["task"], "regression");
    for key in ["train_accuracy", "test_accuracy", "memory"] {
        assert!(regression[key].is_null(), "{key} does not apply: {regression}");
    }
}

#[test]
fn the_reported_objective_is_that_of_the_saved_model() {
    let rows = examples(6, 150, 10);
    let folder = Folder::with("rows.svm", text_of(&rows));
    let report = folder.done("train rows.svm --json --c 2 --intercept --precision f64 --gap 1e-6").json();
    let scores = folder.done("predict rows.model rows.svm --scores").numbers();
    let losses: f64 = scores.iter().zip(&rows).map(|(score, row)| (1.0 - score * f64::from(row.0)).max(0.0)).sum();
    // The weights are the scores of unit rows, less the intercept, the score of an empty one.
    let mut units = "1\n".to_owned();
    (1..=10).for_each(|feature| units += &format!("1 {feature}:1\n"));
    folder.write("units.svm", units);
    let units = folder.done("predict rows.model units.svm --scores").numbers();
    let norm: f64 = units[1..].iter().map(|unit| (unit - units[0]).powi(2)).sum();
    let expected = losses / 150.0 + 1.0 / (2.0 * 150.0) * norm / 2.0;
    assert!(same(report["objective"].as_f64().expect("a number"), expected), "{report} {expected}");
}

#[test]
fn a_history_has_a_line_an_evaluation_with_every_key() {
    let folder = Folder::with("rows.svm", two_classes());
    let report = folder.done("train rows.svm --test rows.svm --gap 1e-5 --history h.jsonl --json").json();
    let lines: Vec<Value> =
        folder.text("h.jsonl").lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    for (k, line) in (1..).zip(&lines) {
        for key in LINE {
            assert!(keys(line).contains(&key), "no {key} in {line}");
        }
        assert_eq!(line["epoch"], k);
        assert!(line["updates"].as_u64().is_some_and(|updates| (120..=120 * k).contains(&updates)));
    }
    let last = lines.last().expect("a line");
    for key in ["objective", "dual", "gap", "test_accuracy"] {
        assert_eq!(last[key], report[key], "{key}");
    }
    assert_eq!(lines.len(), report["epochs"]);
}

#[test]
fn a_model_takes_its_default_name_from_the_data_up_to_the_first_dot() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).expect("a folder");
    for (data, model) in [
        ("plain", "plain.model"),
        ("news.train.svm", "news.model"),
        ("data/deep.libsvm.txt", "deep.model"),
        ("./data/../data/deep.libsvm.txt", "deep.model"),
    ] {
        folder.write(data, two_classes());
        let report = folder.done(&format!("train {data} --json")).json();
        assert_eq!(report["model"], model);
        std::fs::remove_file(folder.path(model)).expect("in the current folder");
    }
}

#[test]
fn predictions_stand_in_the_files_order() {
    // Row i's score rises with i: feature 1 has the weight that regression finds.
    let text: String = (0..200).map(|i| format!("{} 1:{}\n", i % 7, i as f32 / 100.0)).collect();
    let folder = Folder::with("rows.svm", text);
    folder.done("train rows.svm --loss squared --quiet");
    for seed in [0, 5] {
        folder.done(&format!("convert rows.svm rows.unf --seed {seed}"));
        for data in ["rows.svm", "rows.unf"] {
            let predicted = folder.done(&format!("predict rows.model {data}")).numbers();
            assert_eq!(predicted.len(), 200);
            assert!(predicted.is_sorted_by(|a, b| a < b), "{data}");
        }
    }
}

#[test]
fn a_score_above_0_predicts_the_larger_label_as_the_file_writes_it() {
    for (low, high) in [("-1", "1"), ("0", "1"), ("1", "2"), ("-3", "-2"), ("0.1", "0.25"), ("3", "70000")] {
        let original = two_classes();
        let text = original.lines().map(|line| {
            let (label, rest) = line.split_once(' ').unwrap_or((line, ""));
            format!("{} {rest}\n", if label == "1" { high } else { low })
        });
        let folder = Folder::with("rows.svm", text.collect::<String>());
        folder.done("train rows.svm --loss hinge --quiet");
        let scores = folder.done("predict rows.model rows.svm --scores").numbers();
        let labels = folder.done("predict rows.model rows.svm").out;
        assert!(scores.iter().any(|&score| score > 0.0) && scores.iter().any(|&score| score < 0.0));
        for (score, label) in scores.iter().zip(labels.lines()) {
            assert_eq!(label, if *score > 0.0 { high } else { low });
        }
    }
}

#[test]
fn probabilities_are_those_of_the_scores() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("train rows.svm --loss logistic --quiet");
    let scores = folder.done("predict rows.model rows.svm --scores").numbers();
    let probabilities = folder.done("predict rows.model rows.svm --probabilities").numbers();
    assert_eq!(scores.len(), 120);
    assert!(scores.iter().zip(&probabilities).all(|(score, p)| same(*p, 1.0 / (1.0 + (-score).exp()))));
}

#[test]
fn an_output_file_holds_what_stdout_would() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("train rows.svm --quiet");
    let printed = folder.done("predict rows.model rows.svm").out;
    folder.write("out", "old");
    assert!(folder.done("predict rows.model rows.svm --output out").out.is_empty());
    assert_eq!(folder.text("out"), printed);
}

#[test]
fn evaluate_agrees_with_a_count_by_hand() {
    let (rows, unseen) = (examples(1, 120, 12), examples(2, 80, 12));
    let folder = Folder::with("rows.svm", text_of(&rows));
    folder.write("test.svm", text_of(&unseen));
    let report = folder.done("train rows.svm --test test.svm --loss logistic --json").json();
    let judged = folder.done("evaluate rows.model test.svm --json").json();
    let scores = folder.done("predict rows.model test.svm --scores").numbers();
    let pairs: Vec<(f64, f64)> = scores.iter().zip(&unseen).map(|(&score, row)| (score, f64::from(row.0))).collect();

    let right = pairs.iter().filter(|(score, label)| (*score > 0.0) == (*label > 0.0)).count() as f64 / 80.0;
    let log_loss = pairs.iter().map(|(score, label)| (1.0 + (-score * label).exp()).ln()).sum::<f64>() / 80.0;
    let (mut won, mut all) = (0.0, 0.0);
    for positive in pairs.iter().filter(|pair| pair.1 > 0.0) {
        for negative in pairs.iter().filter(|pair| pair.1 < 0.0) {
            all += 1.0;
            won += if positive.0 > negative.0 {
                1.0
            } else if positive.0 == negative.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    let number = |key: &str| judged[key].as_f64().expect(key);
    assert!(same(number("accuracy"), right));
    assert!(same(number("log_loss"), log_loss));
    assert!(same(number("auc"), won / all));
    assert!(judged["rmse"].is_null());
    assert_eq!(judged["n"], 80);
    assert!((report["test_accuracy"].as_f64().expect("a number") - right).abs() < 1e-12);
}

#[test]
fn evaluate_judges_regression_by_its_squared_error() {
    let text: String = (0..50).map(|i| format!("{}.5 1:{i} {}:1\n", 3 * i + i % 4, 2 + i % 3)).collect();
    let folder = Folder::with("rows.svm", &text);
    folder.done("train rows.svm --loss squared --quiet --c 100 --epochs 50 --gap 0");
    let judged = folder.done("evaluate rows.model rows.svm --json").json();
    let predicted = folder.done("predict rows.model rows.svm").numbers();
    let target = |i: i32| f64::from(3 * i + i % 4) + 0.5;
    let squares: f64 = (0..50).zip(&predicted).map(|(i, score)| (score - target(i)).powi(2)).sum();
    assert!(same(judged["rmse"].as_f64().expect("a number"), (squares / 50.0).sqrt()));
    assert!(judged["accuracy"].is_null());
}

#[test]
fn a_test_set_of_one_class_is_judged() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.write("test.svm", "-1 1:1\n-1 2:1\n-1\n");
    folder.done("train rows.svm --test test.svm --quiet");
    let judged = folder.done("evaluate rows.model test.svm --json").json();
    assert!(judged["accuracy"].is_number() && judged["auc"].is_null(), "{judged}");
}

#[test]
fn inspect_counts_a_hypergraph_made_by_hand() {
    // Rows {1,2,3}, {3}, {4}, {}: the first two share feature 3.
    let folder = Folder::with("rows.svm", "1 1:1 2:1 3:1\n-1 3:1\n1 4:1\n-1\n");
    for data in ["rows.svm", "rows.unf"] {
        let seen = folder.run("convert rows.svm rows.unf");
        assert_eq!(seen.out, "rows.unf: 4 rows, 4 features, 5 non-zeros\n");
        let found = folder.done(&format!("inspect {data} --json")).json();
        for (key, value) in [("n", 4), ("d", 4), ("nnz", 5), ("features", 4), ("empty_rows", 1), ("first_feature", 1)] {
            assert_eq!(found[key], value, "{key}: {found}");
        }
        assert_eq!(found["labels"], serde_json::json!([[-1.0, 2], [1.0, 2]]));
        assert_eq!((&found["omega"]["max"], &found["omega"]["mean"]), (&3.0.into(), &1.25.into()));
        assert_eq!(found["delta"]["max"], 0.5); // feature 3 is in 2 of 4 rows
        // Two of four rows meet one of the three others.
        assert!(same(found["rho"]["max"].as_f64().expect("a number"), 1.0 / 3.0), "{found}");
        assert!(same(found["rho"]["mean"].as_f64().expect("a number"), 1.0 / 6.0), "{found}");
        assert!(same(found["collision_rate"].as_f64().expect("a number"), 1.0 / 6.0), "{found}");
    }
    assert_eq!(folder.done("inspect rows.unf --verify --json").json()["verified"], true);
    assert!(folder.done("inspect rows.unf --verify").out.contains("every checksum matches"));
}

#[test]
fn generate_makes_the_same_rows_for_the_same_seed() {
    let folder = Folder::new();
    let generate = |out: &str, more: &str| {
        folder.done(&format!("generate {out} --rows 3000 --features 500 --nonzeros 9 {more}"));
        folder.text(out)
    };
    let rows = generate("a", "--seed 4");
    assert_eq!(rows, generate("b", "--seed 4"));
    assert_ne!(rows, generate("c", "--seed 5"));
    let mut ones = 0;
    for line in rows.lines() {
        let (label, pairs) = line.split_once(' ').expect("a label and pairs");
        assert!(label == "1" || label == "-1");
        ones += usize::from(label == "1");
        let pairs: Vec<(u32, f64)> = pairs
            .split(' ')
            .map(|pair| pair.split_once(':').expect("a pair"))
            .map(|(number, value)| (number.parse().expect("a number"), value.parse().expect("a value")))
            .collect();
        assert_eq!(pairs.len(), 9);
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs[0].0 >= 1 && pairs[8].0 <= 500, "{line}");
        let length: f64 = pairs.iter().map(|pair| pair.1 * pair.1).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-4, "{line}");
    }
    assert_eq!(rows.lines().count(), 3000);
    assert!((600..2400).contains(&ones), "{ones} of 3000 rows are positive");
    let classes = generate("d", "--classes 5");
    let mut labels: Vec<&str> = classes.lines().filter_map(|line| line.split(' ').next()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels, ["1", "2", "3", "4", "5"]);
}

#[test]
fn generate_makes_the_same_rows_with_any_number_of_threads() {
    let generator = unfenced::data::Generator {
        n_rows: 20_000,
        n_features: 300,
        n_nonzeros: 5,
        zipf: 1.0,
        noise: 0.1,
        n_classes: 2,
        seed: 9,
    };
    let text = |n_threads: usize| {
        let mut out = Vec::new();
        let team = unfenced::Team::new(n_threads, false).expect("threads");
        team.install(|| generator.write(&mut out)).expect("written");
        out
    };
    let alone = text(1);
    assert!(alone == text(2) && alone == text(5));
    let folder = Folder::new();
    folder.done("generate rows --rows 20000 --features 300 --nonzeros 5 --zipf 1 --noise 0.1 --seed 9");
    assert!(folder.read("rows") == alone);
}

#[test]
fn generated_data_trains_to_its_noise() {
    let folder = Folder::new();
    folder.done("generate train.svm --rows 4000 --features 100 --nonzeros 20 --noise 0 --seed 1");
    let report = folder.done("train train.svm --json --c 10").json();
    assert!(report["train_accuracy"].as_f64().expect("a number") > 0.97, "{report}");
}

#[test]
fn the_same_seed_and_one_worker_make_the_same_model_file() {
    let folder = Folder::with("rows.svm", two_classes());
    for method in [
        "--strategy sequential",
        "--threads 1",
        "--strategy minibatch --threads 2 --epochs 5",
        "--strategy sequential --update sgd --epochs 5",
    ] {
        folder.done(&format!("train rows.svm {method} --seed 3 --quiet --model a"));
        folder.done(&format!("train rows.svm {method} --seed 3 --quiet --model b"));
        assert!(folder.read("a") == folder.read("b"), "{method}");
    }
}

#[test]
fn deterministic_runs_make_the_same_model_file_with_many_threads() {
    let folder = Folder::with("rows.svm", text_of(&examples(3, 900, 40)));
    let model = |line: &str| {
        folder.done(&format!("train rows.svm --deterministic --quiet --seed 3 --model m {line}"));
        folder.read("m")
    };
    for (method, round) in [
        ("--threads 4", 6),
        ("--threads 4 --intercept --loss logistic --precision f64 --gap 1e-4", 2),
        ("--threads 4 --update sgd --epochs 9", 3),
        ("--threads 3 --strategy minibatch --epochs 9", 2),
        ("--threads 4 --checkpoint c", 2),
        ("--threads 1 --memory wild", 2),
    ] {
        let reference = model(method);
        for k in 0..round {
            let delay = if k % 2 == 0 { format!("--delay {}:0.02:9", k % 3) } else { String::new() };
            assert!(model(&format!("{method} {delay}")) == reference, "{method} {delay}");
        }
    }
    // Free of conflict, the number of threads makes no difference either.
    for more in ["--gap 1e-5", "--update adagrad --epochs 7", "--intercept --epochs 7"] {
        let reference = model(&format!("--strategy sequential {more}"));
        for n in [1, 2, 4, 7] {
            assert!(model(&format!("--strategy conflict_free --threads {n} {more}")) == reference, "{n} threads, {more}");
        }
    }
}

#[test]
fn what_the_clock_or_chance_decides_is_refused_with_deterministic() {
    let folder = Folder::with("rows.svm", two_classes());
    for (line, word) in [
        ("--memory wild", "--memory wild lets chance decide"),
        ("--memory atomic", "use --strategy conflict_free, --memory replicated or --threads 1"),
        ("--strategy global_lock", "--strategy global_lock lets chance decide"),
        ("--strategy striped_lock --update sgd", "use --strategy conflict_free"),
        ("--strategy round_robin", "use --strategy conflict_free"),
        ("--update adagrad", "the sums of adagrad"),
        ("--time 3", "use --epochs or --gap"),
    ] {
        folder.refused(&format!("train rows.svm --deterministic --threads 2 {line}"), 2, &["--deterministic", word]);
    }
}

#[test]
fn more_threads_than_cores_are_warned_of_and_work() {
    let folder = Folder::with("rows.svm", two_classes());
    let many = 4 * std::thread::available_parallelism().map_or(1, usize::from);
    let run = folder.done(&format!("train rows.svm --threads {many} --json"));
    assert!(run.err.starts_with(&format!("warning: {many} threads on ")), "{}", run.err);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    assert_eq!(run.json()["threads"], many);
    assert!(folder.done("train rows.svm --threads 1 --json").err.is_empty());
}

#[test]
fn quiet_prints_nothing() {
    let folder = Folder::with("rows.svm", two_classes());
    let run = folder.done("train rows.svm --quiet");
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
    assert!(folder.has("rows.model"));
}

#[test]
fn a_summary_names_what_people_ask_first() {
    let folder = Folder::with("rows.svm", two_classes());
    let run = folder.done("train rows.svm --test rows.svm");
    for word in ["120 rows", "12 features", "hogwild x sdca", "objective", "gap", "test", "rows.model"] {
        assert!(run.out.contains(word), "no {word} in {}", run.out);
    }
    assert!(run.err.is_empty(), "no progress bar where there is no terminal: {}", run.err);
}

#[test]
fn help_and_version_are_results() {
    let folder = Folder::new();
    for line in [
        "--help",
        "--version",
        "train --help",
        "search --help",
        "predict --help",
        "evaluate --help",
        "convert --help",
        "inspect --help",
        "generate --help",
    ] {
        let run = folder.done(line);
        assert!(!run.out.is_empty() && run.err.is_empty(), "{line}");
    }
}

#[test]
fn every_strategy_and_memory_finds_the_same_optimum() {
    let folder = Folder::with("rows.svm", two_classes());
    let mut objectives = Vec::new();
    for method in [
        "--strategy sequential",
        "--strategy hogwild --memory wild --threads 2",
        "--strategy hogwild --memory atomic --threads 8",
        "--strategy global_lock --threads 2",
        "--strategy striped_lock --threads 2",
        "--strategy round_robin --threads 2",
        "--strategy conflict_free --threads 2",
        "--deterministic --threads 3",
    ] {
        let report = folder.done(&format!("train rows.svm --intercept --gap 1e-4 --json {method}")).json();
        objectives.push(report["objective"].as_f64().expect("a number"));
    }
    let best = objectives.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(objectives.iter().all(|objective| *objective <= best * (1.0 + 1e-4)), "{objectives:?}");
}

#[test]
fn coordinate_has_a_step_of_its_own_and_certifies() {
    let folder = Folder::with("rows.svm", two_classes());
    for more in ["", "--threads 4 --step-size 0.5", "--l1 0.01", "--intercept --gap 1e-5 --precision f64"] {
        let line = format!("train rows.svm --strategy coordinate --loss logistic --json {more}");
        let report = folder.done(&line).json();
        assert_eq!(
            (&report["strategy"], &report["update"], &report["memory"]),
            (&"coordinate".into(), &Value::Null, &Value::Null)
        );
        assert!(report["gap"].as_f64().is_some_and(|gap| gap <= 1e-3) && report["stop"] == "gap", "{report}");
        // Every feature once an epoch.
        assert_eq!(report["updates"].as_u64(), report["epochs"].as_u64().map(|epochs| 12 * epochs));
    }
    assert!(folder.done("train rows.svm --strategy coordinate --loss squared_hinge").out.contains("method      coordinate, "));
}

#[test]
fn a_search_prints_a_table_and_saves_the_best_trained_on_all_rows() {
    let folder = Folder::with("rows.svm", two_classes());
    let line = "search rows.svm --loss logistic --c 0.0000001,1,10 --folds 3 --test rows.svm";
    let table = folder.done(&format!("{line} --out all.json"));
    assert!(table.err.is_empty(), "{}", table.err);
    for word in ["C", "accuracy %", "log loss", "hogwild x sdca", " +- ", "3 configurations on 3 folds", "saved as rows.model"] {
        assert!(table.out.contains(word), "no {word} in {}", table.out);
    }
    assert_eq!(table.out.lines().filter(|line| line.starts_with('*')).count(), 2); // the best, and what became of it
    let report: Value = serde_json::from_str(&folder.text("all.json")).expect("JSON");
    let lines = report["configurations"].as_array().expect("configurations");
    let accuracy = |line: &Value| line["accuracy"]["mean"].as_f64().expect("a mean");
    let best = report["best"].as_u64().expect("a best") as usize;
    assert!(lines.len() == 3 && lines.iter().all(|line| accuracy(line) <= accuracy(&lines[best])) && best > 0, "{report}");
    assert!(lines.iter().all(|line| line["held_out"].as_array().is_some_and(|folds| folds.len() == 3)));
    // The model is that of train with the best strength.
    let saved = folder.read("rows.model");
    let c = lines[best]["c"].as_f64().expect("C");
    let trained =
        folder.done(&format!("train rows.svm --loss logistic --c {c} --test rows.svm --threads 1 --json --model again")).json();
    folder.done(&format!("{line} --threads 1 --quiet --out one.json"));
    assert!(folder.read("rows.model") == folder.read("again"));
    // Of one thread both: what two threads come to within the gap may have another row right.
    let one: Value = serde_json::from_str(&folder.text("one.json")).expect("JSON");
    assert_eq!(one["refit"]["test_accuracy"], trained["test_accuracy"]);
    assert!(report["refit"]["gap"].as_f64().is_some_and(|gap| gap <= 1e-3), "{report}");
    assert!(saved.len() == folder.read("again").len());
    // The same means, whoever does the work; one object on stdout.
    let json = folder.done(&format!("{line} --threads 3 --json")).json();
    for (k, line) in lines.iter().enumerate() {
        assert_eq!(json["configurations"][k]["held_out"], line["held_out"]);
    }
}

#[test]
fn a_search_goes_over_every_combination_of_values() {
    let folder = Folder::with("rows.svm", two_classes());
    for (line, n) in [
        ("--l2 0.1,0.01 --l1 0,0.01,0.1", 6),
        ("--update sgd,adagrad --step-size 0.1,0.5 --c 1,2 --epochs 5", 8),
        ("--strategy hogwild,minibatch --update sgd --epochs 5", 2),
        ("--strategy coordinate --loss logistic --l2 0.1,0.01", 2),
        ("--loss squared --c 1,2", 2),
        ("", 1),
    ] {
        let run = folder.run(&format!("search rows.svm --folds 2 --json {line}"));
        assert!(matches!(run.code, Some(0 | 3)), "{line}: {}", run.err); // few epochs are too few
        let report = run.json();
        assert_eq!((&report["n_configurations"], report["configurations"].as_array().map(Vec::len)), (&n.into(), Some(n)));
        assert!(report["best"].is_u64() && report["refit"]["model"] == "rows.model", "{line}: {report}");
    }
}

#[test]
fn the_smallest_datasets_train_with_every_strategy() {
    for text in
        ["1 1:1\n-1\n", "1\n-1\n", "1 4294967:1\n-1 1:1\n", "0 0:1\n1 1:-1\n", "1 1:1e18\n-1 1:1e-30\n", "-1 1:0\n1 1:0\n"]
    {
        let folder = Folder::with("rows.svm", text);
        for method in ["sequential", "hogwild", "global_lock", "striped_lock", "round_robin", "conflict_free", "minibatch"] {
            for more in ["", "--intercept --threads 3", "--loss squared"] {
                if method == "sequential" && more.contains("--threads") {
                    continue;
                }
                let run = folder.run(&format!("train rows.svm --strategy {method} --epochs 20 --json {more}"));
                // 1e18 explodes gradient steps; that is said.
                let said = run.code == Some(1) && run.err.contains("exploded") && text.contains("1e18");
                assert!(run.code == Some(0) || said, "{text} {method} {more}: {}", run.err);
                if run.code == Some(0) {
                    assert!(run.json()["objective"].as_f64().is_some_and(f64::is_finite), "{}", run.out);
                    let scores = folder.done("predict rows.model rows.svm --scores").numbers();
                    assert!(scores.len() == 2 && scores.iter().all(|score| score.is_finite()));
                }
            }
        }
        folder.done("inspect rows.svm --json");
    }
}

#[test]
fn one_row_is_enough_for_regression() {
    let folder = Folder::with("rows.svm", "2.5 1:2");
    let report = folder.done("train rows.svm --json --gap 1e-6").json();
    // min (2w - 2.5)^2 / 2 + w^2 / 2: w = 1.
    let predicted = folder.done("predict rows.model rows.svm").numbers();
    assert!((predicted[0] - 2.0).abs() < 1e-3, "{predicted:?} {report}");
    folder.done("inspect rows.svm");
}

#[test]
fn extreme_strengths_end_finite_or_say_why_not() {
    let folder = Folder::with("rows.svm", two_classes());
    for precision in ["f32", "f64"] {
        for strength in [
            "--c 1e-30",
            "--c 1e30",
            "--c 1e300",
            "--l2 1e-300",
            "--l2 1e300",
            "--l2 0",
            "--l1 1e30",
            "--l1 1e-30",
            "--l2 1e-6 --l1 1e6",
        ] {
            let run = folder.run(&format!("train rows.svm {strength} --precision {precision} --epochs 30 --json"));
            if run.code == Some(0) {
                assert!(run.json()["objective"].as_f64().is_some_and(f64::is_finite), "{strength}: {}", run.out);
                let scores = folder.done("predict rows.model rows.svm --scores").numbers();
                assert!(scores.iter().all(|score| score.is_finite()), "{strength}");
            } else {
                assert!(matches!(run.code, Some(1 | 2)) && run.err.contains("error: "), "{strength}: {:?} {}", run.code, run.err);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn text_from_a_pipe_is_text() {
    use std::io::Write;
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("train rows.svm --quiet");
    let expected = folder.done("predict rows.model rows.svm").out;
    for bytes in [two_classes().into_bytes(), program::compressed(two_classes().as_bytes(), "zst")] {
        for line in ["predict rows.model /dev/stdin", "inspect /dev/stdin"] {
            let mut command = folder.command(line);
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let mut child = command.spawn().expect("started");
            child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
            let run = program::Ended::of(line, child.wait_with_output().expect("ended"));
            run.ends_with_code(0);
            assert!(line.starts_with("inspect") && run.out.contains("120") || run.out == expected, "{}", run.out);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_points_to_is_replaced() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.write("real", "old");
    std::os::unix::fs::symlink("real", folder.path("link")).expect("a link");
    std::os::unix::fs::symlink("rows.svm", folder.path("data")).expect("a link");
    folder.done("train data --quiet --model link");
    assert!(std::fs::symlink_metadata(folder.path("link")).expect("there").is_symlink());
    assert_ne!(folder.read("real"), b"old");
    folder.done("predict real data");
    std::os::unix::fs::symlink("not yet", folder.path("ahead")).expect("a link to nothing");
    folder.done("train data --quiet --model ahead");
    assert!(std::fs::symlink_metadata(folder.path("ahead")).expect("there").is_symlink());
    assert_eq!(folder.names(), ["ahead", "data", "link", "not yet", "real", "rows.svm"]);
}

#[test]
fn resuming_a_finished_run_trains_no_more_and_repeats_no_line_of_its_history() {
    let folder = Folder::with("rows.svm", two_classes());
    let train = "train rows.svm --gap 0 --checkpoint c --history h.jsonl --strategy sequential --quiet";
    folder.done(&format!("{train} --epochs 3 --model first"));
    let history = folder.read("h.jsonl");
    folder.done(&format!("{train} --epochs 3 --model again --resume"));
    assert!(folder.read("first") == folder.read("again"));
    let epochs = |text: Vec<u8>| {
        let text = String::from_utf8(text).expect("text");
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["epoch"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(epochs(folder.read("h.jsonl")), epochs(history));
    folder.done(&format!("{train} --epochs 5 --model more --resume"));
    assert_eq!(epochs(folder.read("h.jsonl")), [1, 2, 3, 4, 5]);
}

#[test]
fn a_new_run_in_an_old_checkpoint_folder_never_goes_back_to_the_old_one() {
    let folder = Folder::with("rows.svm", two_classes());
    let train = "train rows.svm --gap 0 --checkpoint c --strategy sequential --quiet";
    folder.done(&format!("{train} --epochs 9 --model old"));
    folder.done(&format!("{train} --epochs 2 --model new"));
    folder.done(&format!("{train} --epochs 2 --model again --resume"));
    assert!(folder.read("new") == folder.read("again"));
}
