//! Whatever the format, it is the same dataset: the same rows in the user's order, the same P(w), the same predictions.

mod program;

use std::path::Path;

use program::{Example, Folder, Random, compressed, examples, npy, npy_f64, npy_i32, npy_i64, npz, npz_arrays, npz_with};
use program::{same, text_of, two_classes};
use unfenced::data::{self, FeatureNumbers, verify_store, write_store};
use unfenced::loss::{Hinge, Logistic, Squared};
use unfenced::{Dataset, Penalty, Problem};

fn open(path: &Path, seed: u64) -> Dataset<'static> {
    data::open(path, FeatureNumbers::Auto, seed).unwrap_or_else(|error| panic!("{error}"))
}

/// The examples of a dataset in the user's order and numbers.
fn rows_of(data: &Dataset) -> Vec<Example> {
    let mut rows = vec![None; data.n_rows()];
    for i in 0..data.n_rows() {
        let mut pairs: Vec<(u32, f32)> = data.row(i).iter().map(|(j, x)| (data.numbering().number(j), x)).collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        let place = &mut rows[data.original_row(i)];
        assert!(place.is_none(), "row {} is there twice", data.original_row(i));
        *place = Some((data.targets()[i], pairs));
    }
    rows.into_iter().map(|row| row.expect("every row is there")).collect()
}

/// P(w) for weights that depend on the user's feature numbers alone.
fn objective(data: &Dataset) -> f64 {
    let w: Vec<f64> = (0..data.n_features()).map(|j| f64::from(data.numbering().number(j) % 7) - 2.5).collect();
    let penalty = Penalty { l2: 0.01, l1: 0.002 };
    Problem::new(data, &Logistic, penalty, false).expect("two classes").objective(&w, 0.25)
}

#[test]
fn a_store_is_the_dataset_that_it_was_made_of_whatever_the_seed() {
    let rows = examples(3, 300, 40);
    let folder = Folder::with("rows.svm", text_of(&rows));
    let text = open(&folder.path("rows.svm"), 0);
    assert_eq!(rows_of(&text), rows);
    for seed in [0, 1, 99, u64::MAX] {
        folder.done(&format!("convert rows.svm rows.unf --seed {seed}"));
        let store = open(&folder.path("rows.unf"), 5);
        assert_eq!(rows_of(&store), rows);
        assert_eq!((store.n_features(), store.n_nonzeros()), (text.n_features(), text.n_nonzeros()));
        assert_eq!(store.numbering().n_columns(), text.numbering().n_columns());
        assert_eq!(store.counts(), text.counts());
        assert!(same(objective(&store), objective(&text)));
        verify_store(&folder.path("rows.unf")).expect("a whole store");
    }
}

#[test]
fn converting_again_writes_the_same_bytes() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("convert rows.svm a.unf --seed 4");
    folder.done("convert rows.svm b.unf --seed 4");
    folder.done("convert a.unf c.unf");
    assert_eq!(folder.read("a.unf"), folder.read("b.unf"));
    assert_eq!(folder.read("a.unf"), folder.read("c.unf"));
}

#[test]
fn convert_writes_what_opening_and_writing_a_store_would() {
    let rows = examples(6, 400, 50);
    let text = text_of(&rows);
    let folder = Folder::with("rows.svm", &text);
    folder.write("rows.zst", compressed(text.as_bytes(), "zst"));
    folder.write("rows.npz", npz(&npz_arrays()));
    folder.write("empty.svm", "1\n-1\n");
    folder.write("one.svm", "1 3:2.5");
    for name in ["rows.svm", "rows.zst", "rows.npz", "empty.svm", "one.svm"] {
        for seed in [0, 5] {
            folder.done(&format!("convert {name} converted --seed {seed}"));
            write_store(&open(&folder.path(name), seed), &folder.path("opened")).expect("written");
            assert!(folder.read("converted") == folder.read("opened"), "{name}, seed {seed}");
        }
    }
}

#[test]
fn a_store_and_its_text_train_to_the_same_bits() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("convert rows.svm rows.unf --seed 7");
    let train = "--strategy sequential --seed 7 --json --gap 1e-6";
    let from_text = folder.done(&format!("train rows.svm {train} --model text.model")).json();
    let from_store = folder.done(&format!("train rows.unf {train} --model store.model")).json();
    assert_eq!(from_text["objective"], from_store["objective"]);
    assert_eq!(from_text["epochs"], from_store["epochs"]);
    assert_eq!(folder.read("text.model"), folder.read("store.model"));
}

#[test]
fn predictions_are_the_same_for_every_format_and_seed() {
    let text = two_classes();
    let folder = Folder::with("rows.svm", &text);
    folder.done("train rows.svm --loss logistic --intercept --quiet");
    let expected = folder.done("predict rows.model rows.svm --scores").out;
    assert_eq!(expected.lines().count(), 120);
    for seed in [0, 3] {
        folder.done(&format!("convert rows.svm rows.unf --seed {seed}"));
        assert_eq!(folder.done("predict rows.model rows.unf --scores").out, expected);
    }
    for ending in ["gz", "bz2", "zst", "xz"] {
        folder.write("packed", compressed(text.as_bytes(), ending));
        assert_eq!(folder.done("predict rows.model packed --scores").out, expected, "{ending}");
    }
}

#[test]
fn compressed_text_gives_the_same_rows_by_its_first_bytes_and_not_by_its_name() {
    let rows = examples(8, 500, 30);
    let text = text_of(&rows);
    for ending in ["gz", "bz2", "zst", "xz"] {
        let folder = Folder::with("any.name", compressed(text.as_bytes(), ending));
        assert_eq!(rows_of(&open(&folder.path("any.name"), 2)), rows, "{ending}");
    }
}

#[test]
fn a_bz2_of_many_streams_is_read_as_its_text() {
    let rows = examples(10, 3000, 20);
    let text = text_of(&rows);
    let pieces = |text: &str| text.as_bytes().chunks(text.len() / 600).map(|piece| compressed(piece, "bz2")).collect::<Vec<_>>();
    let folder = Folder::with("many", pieces(&text).concat());
    assert_eq!(rows_of(&open(&folder.path("many"), 3)), rows);
    folder.write("wrong", pieces(&format!("{text}1 2:x\n")).concat());
    folder.refused("inspect wrong", 1, &[&format!("wrong:{}: '2:x'", text.lines().count() + 1)]);
}

#[test]
fn files_packed_in_several_parts_are_read_to_their_end() {
    let rows = examples(9, 200, 20);
    let text = text_of(&rows);
    let (front, back) = text.as_bytes().split_at(text.len() / 3); // in the middle of a line, most likely
    for ending in ["gz", "bz2", "zst", "xz"] {
        let folder = Folder::with("two", [compressed(front, ending), compressed(back, ending)].concat());
        assert_eq!(rows_of(&open(&folder.path("two"), 0)), rows, "{ending}");
    }
    // pzstd writes a frame to be passed over before each of the others.
    let passed_over = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    let packed = [passed_over, compressed(front, "zst").as_slice(), passed_over, compressed(back, "zst").as_slice()].concat();
    let folder = Folder::with("two", packed);
    assert_eq!(rows_of(&open(&folder.path("two"), 0)), rows);
}

#[test]
fn text_beyond_one_block_keeps_its_rows_in_order() {
    // More than the 4 MB that one worker parses at a time, mapped and streamed.
    let mut text = String::new();
    for i in 0..60_000 {
        text += &format!("{} 1:{i} {}:1 {}:0.5 # a comment that makes the line longer, {i}\n", i % 2, 2 + i % 50, 60 + i % 7);
    }
    let folder = Folder::with("long.svm", &text);
    folder.write("long.gz", compressed(text.as_bytes(), "gz"));
    for name in ["long.svm", "long.gz"] {
        let data = open(&folder.path(name), 1);
        assert_eq!((data.n_rows(), data.n_nonzeros()), (60_000, 180_000));
        let numbers: Vec<f32> = (0..data.n_rows()).map(|i| data.row(i).iter().map(|(_, x)| x).fold(0.0, f32::max)).collect();
        let ordered = data.in_original_order(&numbers);
        assert!((2..60_000).all(|i| ordered[i] == i as f32), "{name}");
    }
}

#[test]
fn random_rows_survive_text_and_store_whatever_they_hold() {
    let mut random = Random::new(20);
    let folder = Folder::new();
    for round in 0..250 {
        let first = random.below(2) as u32;
        let wide = random.below(4) == 0; // numbers far apart, up to the largest
        let n_rows = 1 + random.below(12) as usize;
        let mut rows: Vec<Example> = Vec::new();
        for _ in 0..n_rows {
            let mut pairs: Vec<(u32, f32)> = Vec::new();
            for _ in 0..random.below(8) {
                let number = first + if wide { random.below(4_294_967_294) as u32 } else { random.below(12) as u32 };
                // Any finite value that Rust writes in the shortest way that reads back the same.
                let value = f32::from_bits(random.next() as u32);
                if value.is_finite() && pairs.iter().all(|pair| pair.0 != number) {
                    pairs.push((number, value));
                }
            }
            rows.push((random.thousandths(), pairs)); // features not sorted
        }
        let mut text = text_of(&rows);
        match random.below(4) {
            0 => text = text.replace('\n', "\r\n"),
            1 => text = text.replace('\n', " # 9:9 nan\n\n\t\n"),
            2 => text = text.trim_end_matches('\n').to_owned(),
            _ => text = format!("# head\n{}", text.replace(' ', " \t ").replace('\n', "  \n")),
        }
        folder.write("rows", &text);
        rows.iter_mut().for_each(|row| row.1.sort_unstable_by_key(|pair| pair.0));
        let data = open(&folder.path("rows"), round);
        assert_eq!(rows_of(&data), rows, "round {round}: {text}");
        assert!((0..data.n_rows()).all(|i| data.row(i).indices.is_sorted_by(|a, b| a < b)), "round {round}");
        write_store(&data, &folder.path("store")).expect("written");
        assert_eq!(rows_of(&open(&folder.path("store"), 0)), rows, "round {round}");
    }
}

#[test]
fn features_are_numbered_from_0_if_a_0_occurs_or_is_asked_for() {
    let folder = Folder::with("zero.svm", "1 0:1 2:1\n-1 1:1\n");
    folder.write("one.svm", "1 1:1 3:1\n-1 2:1\n");
    assert_eq!(open(&folder.path("zero.svm"), 0).numbering().first(), 0);
    assert_eq!(open(&folder.path("one.svm"), 0).numbering().first(), 1);
    folder.done("convert one.svm one.unf --zero-based");
    let shifted = open(&folder.path("one.unf"), 0);
    assert_eq!((shifted.numbering().first(), shifted.numbering().n_columns()), (0, 4));
    assert_eq!(rows_of(&shifted), [(1.0, vec![(1, 1.0), (3, 1.0)]), (-1.0, vec![(2, 1.0)])]);
}

#[test]
fn scipys_matrices_are_read_with_either_index_type() {
    let expected: Vec<Example> = vec![(1.0, vec![(0, 0.5), (2, 2.0)]), (-1.0, vec![]), (-1.0, vec![(1, -1.0)])];
    let folder = Folder::with("narrow.npz", npz(&npz_arrays()));
    let mut wide = npz_with("indices", npy_i64(&[0, 2, 1]));
    wide.iter_mut().filter(|entry| entry.0 == "indptr").for_each(|entry| entry.1 = npy_i64(&[0, 2, 2, 3]));
    folder.write("wide.npz", npz(&wide));
    folder.write("labels.npz", npz(&npz_with("y", npy_i64(&[1, -1, -1]))));
    let single: Vec<u8> = [0.5f32, 2.0, -1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    folder.write("single.npz", npz(&npz_with("data", npy("<f4", 3, &single))));
    folder.write("text.npz", npz(&npz_with("format", npy("<U3", 1, b"c\0\0\0s\0\0\0r\0\0\0"))));
    for name in ["narrow.npz", "wide.npz", "labels.npz", "single.npz"] {
        let data = open(&folder.path(name), 3);
        assert_eq!(rows_of(&data), expected, "{name}");
        assert_eq!((data.numbering().first(), data.numbering().n_columns()), (0, 3), "{name}");
    }
}

#[test]
fn column_0_of_a_matrix_becomes_feature_1_where_that_is_asked_for() {
    let folder = Folder::with("x.npz", npz(&npz_arrays()));
    folder.write("x.svm", "1 1:0.5 3:2\n-1\n-1 2:-1\n");
    folder.done("convert x.npz x.unf --one-based");
    let (store, text) = (open(&folder.path("x.unf"), 0), open(&folder.path("x.svm"), 0));
    assert_eq!(rows_of(&store), rows_of(&text));
    assert_eq!((store.numbering().first(), store.numbering().n_columns()), (1, 3));
    folder.done("train x.svm --quiet");
    assert_eq!(folder.done("predict x.model x.unf").out, folder.done("predict x.model x.svm").out);
}

#[test]
fn what_an_npz_lacks_or_has_wrong_is_named() {
    let nan = f64::NAN;
    for (arrays, words) in [
        (program::npz_without("y"), ["no targets", "savez"]),
        (program::npz_without("indptr"), ["array indptr", ""]),
        (npz_with("format", npy("|S3", 1, b"csc")), ["csc matrix", "tocsr()"]),
        (npz_with("indices", npy_i32(&[2, 2, 1])), ["row 0 holds column 2 twice", "sum_duplicates()"]),
        (npz_with("indices", npy_i32(&[0, 3, 1])), ["column 3", "3 columns"]),
        (npz_with("indices", npy_i32(&[0, -1, 1])), ["column -1", "3 columns"]),
        (npz_with("indices", npy_f64(&[0.0, nan, 1.0])), ["array indices", ""]),
        (npz_with("indices", npy_f64(&[0.0, 1.5, 1.0])), ["array indices", "1.5"]),
        (npz_with("data", npy_f64(&[0.5, nan, 1.0])), ["array data holds NaN at 1", "wanted"]),
        (npz_with("data", npy_f64(&[0.5, 1.0, 1e39])), ["array data", "finite"]),
        (npz_with("data", npy("<c8", 3, &[0; 24])), ["array data", "<c8"]),
        (npz_with("y", npy_f64(&[1.0, f64::INFINITY, 1.0])), ["array y holds inf at 1", "wanted"]),
        (npz_with("y", npy_f64(&[1.0, -1.0])), ["2 targets", "wanted"]),
        (npz_with("indptr", npy_i32(&[0, 3, 2, 3])), ["array indptr", "rise"]),
        (npz_with("indptr", npy_i32(&[0, 2, 2, 4])), ["array indptr", "rise"]),
        (npz_with("indptr", npy_f64(&[0.0, 2.0, nan, 3.0])), ["array indptr", "rise"]),
        (npz_with("indptr", npy_f64(&[0.0, 1.5, 2.0, 3.0])), ["array indptr", "rise"]),
        (npz_with("shape", npy_i64(&[3])), ["array shape has 1 entries", "wanted"]),
        (npz_with("shape", npy_i64(&[-3, 3])), ["rows", "wanted"]),
        (npz_with("shape", npy_f64(&[nan, 3.0])), ["rows", "wanted"]),
        (npz_with("shape", npy_i64(&[3, -3])), ["columns", ""]),
        (npz_with("shape", npy("<u8", 2, &[0xff; 16])), ["rows", "wanted"]),
        (npz_with("shape", npy_i64(&[3, 1 << 40])), ["columns are too many", "wanted"]),
        (npz_with("data", npy("<f8", 1 << 60, &[0; 24])), ["array data", ""]),
        (npz_with("data", npy("<f8", 1 << 40, &[0; 24])), ["array data", ""]),
        (npz_with("data", b"not an array".to_vec()), ["array data", ""]),
    ] {
        let folder = Folder::with("bad.npz", npz(&arrays));
        folder.refused("convert bad.npz out.unf", 1, &["error: bad.npz: ", words[0], words[1]]);
    }
}

#[test]
fn a_matrix_without_rows_is_no_dataset() {
    let arrays = vec![
        ("shape", npy_i64(&[0, 3])),
        ("indptr", npy_i32(&[0])),
        ("indices", npy_i32(&[])),
        ("data", npy_f64(&[])),
        ("y", npy_f64(&[])),
    ];
    let folder = Folder::with("none.npz", npz(&arrays));
    folder.refused("inspect none.npz", 1, &["no example"]);
}

#[test]
fn mapped_owned_and_borrowed_data_cost_the_same() {
    let rows = examples(5, 200, 25);
    let folder = Folder::with("rows.svm", text_of(&rows));
    let owned = open(&folder.path("rows.svm"), 0);
    write_store(&owned, &folder.path("rows.unf")).expect("written");
    let mapped = open(&folder.path("rows.unf"), 0);

    let offsets: Vec<u64> = std::iter::once(0)
        .chain(rows.iter().scan(0, |end, row| {
            *end += row.1.len() as u64;
            Some(*end)
        }))
        .collect();
    let indices: Vec<u32> = rows.iter().flat_map(|row| row.1.iter().map(|pair| pair.0)).collect(); // column = number
    let values: Vec<f32> = rows.iter().flat_map(|row| row.1.iter().map(|pair| pair.1)).collect();
    let targets: Vec<f32> = rows.iter().map(|row| row.0).collect();
    let matrix = sprs::CsMatI::<f32, u32, u64>::new((rows.len(), 26), offsets, indices, values);
    let borrowed = Dataset::from_csmat(matrix.view(), &targets).expect("a matrix");

    assert_eq!(rows_of(&borrowed), rows);
    assert_eq!(objective(&mapped).to_bits(), objective(&owned).to_bits()); // the same rows in the same order
    // The borrowed matrix has a column 0 that never occurs: its weight costs nothing but its penalty.
    let unused = 0.01 / 2.0 * 2.5 * 2.5 + 0.002 * 2.5;
    assert!(same(objective(&borrowed) - unused, objective(&owned)));
    for (data, w) in [(&owned, owned.n_features()), (&mapped, mapped.n_features()), (&borrowed, 26)] {
        let problem = Problem::new(data, &Hinge, Penalty { l2: 1.0, l1: 0.0 }, false).expect("two classes");
        assert_eq!(problem.objective(&vec![0f32; w], 0.0), 1.0);
    }
}

#[test]
fn a_sprs_matrix_is_borrowed_and_lent_without_a_copy() {
    let targets = [1.0, -1.0, 2.0];
    let matrix = sprs::CsMatI::<f32, u32, u64>::new((3, 4), vec![0, 2, 2, 4], vec![0, 3, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let data = Dataset::from_csmat(matrix.view(), &targets).expect("a matrix");
    assert_eq!(data.rows().values().as_ptr(), matrix.data().as_ptr());
    assert_eq!(data.rows().indices().as_ptr(), matrix.indices().as_ptr());
    assert_eq!(data.rows().starts().as_ptr(), matrix.indptr().raw_storage().as_ptr());
    assert_eq!(data.targets().as_ptr(), targets.as_ptr());

    let lent = data.as_csmat().expect("the matrix");
    assert_eq!(lent.data().as_ptr(), matrix.data().as_ptr());
    assert_eq!(lent.indices().as_ptr(), matrix.indices().as_ptr());
    assert_eq!(lent.to_dense(), matrix.to_dense());

    // A part of a matrix, whose offsets do not start at 0.
    let part = Dataset::from_csmat(matrix.slice_outer(1..3), &targets[1..]).expect("a part");
    assert_eq!(rows_of(&part), [(-1.0, vec![]), (2.0, vec![(1, 3.0), (2, 4.0)])]);
    assert_eq!(part.rows().values().as_ptr(), matrix.data()[2..].as_ptr());

    // A mapped store is lent as well.
    let folder = Folder::new();
    write_store(&data, &folder.path("store")).expect("written");
    let mapped = open(&folder.path("store"), 0);
    let lent = mapped.as_csmat().expect("a matrix");
    assert_eq!(lent.data().as_ptr(), mapped.rows().values().as_ptr());
    assert_eq!(lent.to_dense(), matrix.to_dense());
}

#[test]
fn a_matrix_that_cannot_be_a_dataset_is_refused() {
    let column_wise = sprs::CsMatI::<f32, u32, u64>::new_csc((2, 1), vec![0, 2], vec![0, 1], vec![1.0, 2.0]);
    let wrong = |matrix: &sprs::CsMatI<f32, u32, u64>, targets: &[f32]| {
        Dataset::from_csmat(matrix.view(), targets).expect_err("refused").to_string()
    };
    assert!(wrong(&column_wise, &[1.0, 2.0]).contains("to_csr()"));
    let rows = column_wise.to_csr();
    assert!(wrong(&rows, &[1.0]).contains("one target a row"));
    assert!(wrong(&rows, &[1.0, f32::NAN]).contains("finite"));
    assert!(wrong(&sprs::CsMatI::zero((0, 3)), &[]).contains("at least one example"));
    let infinite = sprs::CsMatI::<f32, u32, u64>::new((1, 1), vec![0, 1], vec![0], vec![f32::INFINITY]);
    let data = Dataset::from_csmat(infinite.view(), &[1.0]);
    let refused = match &data {
        Ok(data) => Problem::new(data, &Squared, Penalty { l2: 1.0, l1: 0.0 }, false).is_err(),
        Err(_) => true,
    };
    assert!(refused);
}
