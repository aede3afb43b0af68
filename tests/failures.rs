//! Every way to fail ends with the right exit code, a message that says where, what and what is wanted, no panic, and no
//! file half written.

mod program;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use program::{Ended, Folder, Random, compressed, examples, npz, npz_arrays, text_of, two_classes};
use unfenced::data::{self, FeatureNumbers, verify_store};

/// A folder with `rows.svm` and the model of it.
fn trained() -> Folder {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done("train rows.svm --quiet --model m");
    folder
}

/// All commands that read data refuse it with this code and these words.
fn no_command_takes(folder: &Folder, name: &str, words: &[&str]) {
    for line in [format!("train {name} --model out --quiet"), format!("inspect {name}"), format!("convert {name} out")] {
        folder.refused(&line, 1, words);
    }
}

/// A line of text that stands third in a file is refused with these words.
fn third_line_is_refused(line: &str, words: &[&str]) {
    let folder = Folder::with("rows.svm", format!("1 1:1 2:1\n# note\n{line}\n-1 2:1\n"));
    let words: Vec<&str> = ["error: rows.svm:3: ", "; "].iter().chain(words).copied().collect();
    no_command_takes(&folder, "rows.svm", &words);
}

// Text

#[test]
fn an_empty_file_has_no_example() {
    no_command_takes(&Folder::with("rows.svm", ""), "rows.svm", &["rows.svm: no example", "wanted"]);
}

#[test]
fn a_file_of_comments_has_no_example() {
    no_command_takes(&Folder::with("rows.svm", "# nothing\n\n  # at all"), "rows.svm", &["rows.svm: no example", "wanted"]);
}

#[test]
fn text_without_labels_is_refused() {
    no_command_takes(&Folder::with("rows.svm", "1:0.5 2:1\n"), "rows.svm", &["rows.svm:1: no label before '1:0.5'; a line is"]);
}

#[test]
fn a_duplicate_feature_is_refused() {
    third_line_is_refused("1 2:1 7:1 2:3", &["feature 2 occurs twice"]);
}

#[test]
fn a_feature_0_in_one_based_data_is_refused() {
    let folder = Folder::with("rows.svm", "1 1:1\n-1 0:1 2:1\n");
    folder.refused("convert rows.svm out --one-based", 1, &["error: rows.svm:2: feature number 0", "; ", "wanted"]);
}

#[test]
fn a_value_that_is_not_finite_is_refused() {
    for value in ["nan", "NaN", "inf", "-inf", "infinity", "1e39", "-1e39", "1e999"] {
        third_line_is_refused(&format!("1 1:{value}"), &[&format!("the value in '1:{value}' is not finite")]);
    }
}

#[test]
fn a_label_that_is_not_finite_is_refused() {
    for label in ["nan", "-inf", "1e39"] {
        third_line_is_refused(&format!("{label} 1:1"), &[&format!("the label '{label}' is not finite")]);
    }
}

#[test]
fn a_feature_number_beyond_the_largest_is_refused() {
    for number in ["4294967295", "4294967296", "18446744073709551616", "99999999999999999999999999"] {
        third_line_is_refused(&format!("1 {number}:1"), &["is too large; at most 4294967294"]);
    }
}

#[test]
fn a_pair_that_is_none_is_refused() {
    for pair in ["1:", ":1", "1", "1:2:3", "-1:2", "1.5:2", "1:two", "1:0x10", "1:1,2", "+1:1", "1:--1"] {
        third_line_is_refused(&format!("1 {pair}"), &[&format!("'{pair}'"), "pair"]);
    }
}

#[test]
fn labels_in_lists_and_words_are_refused() {
    for label in ["1,2", "spam", "+-1", "0x1", "--1"] {
        third_line_is_refused(&format!("{label} 1:1"), &[&format!("the label '{label}' is not a number")]);
    }
}

#[test]
fn a_fault_beyond_the_first_block_has_the_right_line() {
    let mut text = "1 1:0.25 2:0.5 # a line\n".repeat(400_000); // 9.6 MB
    text += "-1 3:oops\n";
    text += &"1 9:\n".repeat(1000);
    let folder = Folder::with("rows.svm", &text);
    folder.refused("convert rows.svm out", 1, &["error: rows.svm:400001: '3:oops'"]);
    folder.write("rows.zst", compressed(text.as_bytes(), "zst"));
    folder.refused("convert rows.zst out", 1, &["error: rows.zst:400001: '3:oops'"]);
}

#[test]
fn random_bytes_are_no_data() {
    for seed in 0..20 {
        let mut bytes = Random::new(seed).bytes(2000);
        bytes[0] |= 0x80; // no digit, no blank, no '#': they may be text
        let folder = Folder::with("junk", bytes);
        no_command_takes(&folder, "junk", &["error: junk"]);
    }
}

#[test]
fn other_programs_files_are_no_data() {
    for head in
        ["%PDF-1.7\n", "\x7fELF\x02\x01\x01\0\0\0", "PK\x05\x06\0\0\0\0", "PK\x03\x04junk", "<html>", "{\"a\": 1}", "a,b\n1,2\n"]
    {
        no_command_takes(&Folder::with("other", head), "other", &["error: other"]);
    }
}

// Packed files

#[test]
fn a_truncated_packed_file_is_an_error_at_any_length() {
    let text = text_of(&examples(4, 400, 30));
    for ending in ["gz", "bz2", "zst", "xz"] {
        let whole = compressed(text.as_bytes(), ending);
        let folder = Folder::new();
        for k in 0..24 {
            let length = whole.len() * k / 24;
            folder.write("cut", &whole[..length]);
            let opened = data::open(&folder.path("cut"), FeatureNumbers::Auto, 0);
            assert!(
                opened.is_err(),
                "{length} of {} bytes of {ending} are taken for {} rows",
                whole.len(),
                opened.expect("").n_rows()
            );
        }
        for length in [whole.len() / 2, whole.len() - 1] {
            folder.write("cut", &whole[..length]);
            no_command_takes(&folder, "cut", &["error: cut"]);
        }
    }
}

#[test]
fn a_damaged_packed_file_is_an_error() {
    let text = text_of(&examples(4, 400, 30));
    for ending in ["gz", "bz2", "xz"] {
        // .zst files carry a checksum only if their writer asked for one
        let mut bytes = compressed(text.as_bytes(), ending);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        no_command_takes(&Folder::with("bad", bytes), "bad", &["error: bad"]);
    }
}

#[test]
fn a_truncated_npz_is_an_error_at_any_length() {
    let whole = npz(&npz_arrays());
    let folder = Folder::new();
    for length in (0..whole.len()).step_by(7) {
        folder.write("cut", &whole[..length]);
        assert!(data::open(&folder.path("cut"), FeatureNumbers::Auto, 0).is_err(), "{length}");
    }
    folder.write("cut", &whole[..whole.len() / 2]);
    no_command_takes(&folder, "cut", &["error: cut: is no whole .npz", "wanted"]);
}

// Stores

fn store(folder: &Folder) -> Vec<u8> {
    folder.write("rows.svm", two_classes());
    folder.done("convert rows.svm rows.unf");
    folder.read("rows.unf")
}

fn open_error(folder: &Folder, bytes: &[u8]) -> Option<String> {
    folder.write("bad.unf", bytes);
    data::open(&folder.path("bad.unf"), FeatureNumbers::Auto, 0).err().map(|error| error.to_string())
}

#[test]
fn a_truncated_store_names_the_section_that_is_cut() {
    let folder = Folder::new();
    let whole = store(&folder);
    for length in (0..whole.len()).step_by(13) {
        let error = open_error(&folder, &whole[..length]).unwrap_or_else(|| panic!("{length} bytes are taken for a store"));
        assert!(length < 8 || error.contains("header: ") || error.contains("section "), "{error}");
    }
    for (length, word) in [(100, "header: "), (600, "section targets"), (whole.len() - 1, "section values")] {
        folder.write("bad.unf", &whole[..length]);
        no_command_takes(&folder, "bad.unf", &["error: bad.unf: ", word, "truncated"]);
    }
    let error = open_error(&folder, &[&whole[..], b"more"].concat()).expect("has grown");
    assert!(error.contains("has grown"), "{error}");
}

#[test]
fn any_flipped_bit_of_a_stores_header_is_an_error() {
    let folder = Folder::new();
    let whole = store(&folder);
    for byte in 0..512 {
        let mut bad = whole.clone();
        bad[byte] ^= 1 << (byte * 5 % 8);
        let error = open_error(&folder, &bad).unwrap_or_else(|| panic!("byte {byte} is not missed"));
        assert!(byte < 8 || error.contains("header: "), "{error}");
    }
    for byte in [0, 8, 12, 20, 64, 500, 511] {
        let mut bad = whole.clone();
        bad[byte] ^= 4;
        folder.write("bad.unf", &bad);
        no_command_takes(&folder, "bad.unf", &["error: bad.unf"]);
    }
}

#[test]
fn any_flipped_byte_of_a_store_is_found_by_verify_and_crashes_nothing() {
    let folder = trained();
    let whole = store(&folder);
    let mut random = Random::new(6);
    for place in (512..whole.len()).step_by(3) {
        let mut bad = whole.clone();
        bad[place] ^= 1 << random.below(8);
        folder.write("bad.unf", &bad);
        let found = verify_store(&folder.path("bad.unf")).expect_err("found").to_string();
        assert!(found.contains("section "), "{found}");
    }
    for place in (512..whole.len()).step_by(whole.len() / 40) {
        let mut bad = whole.clone();
        bad[place] ^= 0x80;
        bad[place / 4 * 4 + 3] ^= 0x7f; // the high byte: indices far away, values that are not finite
        folder.write("bad.unf", &bad);
        folder.refused("inspect bad.unf --verify", 1, &["error: bad.unf: section "]);
        for line in [
            "train bad.unf --model out --epochs 3 --quiet",
            "train rows.svm --test bad.unf --model out --epochs 3 --quiet",
            "predict m bad.unf",
            "evaluate m bad.unf",
            "inspect bad.unf",
            "convert bad.unf again.unf",
        ] {
            let ended = folder.run(line);
            assert!(matches!(ended.code, Some(0 | 1)), "{line} {:?} {}", ended.code, ended.err);
            assert!(ended.code == Some(0) || ended.err.contains("section "), "{line}: {}", ended.err);
        }
    }
}

#[test]
fn a_damaged_index_is_an_error_wherever_rows_are_read() {
    let folder = trained();
    let mut bytes = store(&folder);
    let entry = 64 + 6 * 40 + 16; // where the section table says that `indices` begins
    let start = u64::from_le_bytes(bytes[entry..entry + 8].try_into().expect("8 bytes")) as usize;
    bytes[start + 3] = 0x7f;
    folder.write("bad.unf", bytes);
    for line in [
        "train bad.unf --model out",
        "train rows.svm --test bad.unf --model out",
        "predict m bad.unf",
        "evaluate m bad.unf",
        "inspect bad.unf",
    ] {
        folder.refused(line, 1, &["bad.unf: section indices: row "]);
    }
}

#[test]
fn a_foreign_file_with_the_stores_magic_is_an_error() {
    let mut random = Random::new(2);
    for length in [0, 1, 100, 503, 504, 505, 5000] {
        let folder = Folder::with("foreign", [b"UNFENCED".to_vec(), random.bytes(length)].concat());
        no_command_takes(&folder, "foreign", &["error: foreign: header: "]);
        folder.refused("inspect foreign --verify", 1, &["error: foreign: header: "]);
    }
}

#[test]
fn a_store_that_lies_with_the_right_checksum_is_an_error() {
    let folder = Folder::new();
    let whole = store(&folder);
    for (at, name) in [(16, "rows"), (24, "features"), (32, "nonzeros"), (40, "columns"), (48, "first"), (56, "sections")] {
        for number in [0, u64::MAX, u64::MAX / 2, u64::MAX / 4, u64::MAX / 8, 1 << 62, 1 << 32] {
            let mut bad = whole.clone();
            bad[at..at + 8].copy_from_slice(&number.to_ne_bytes());
            let checksum = xxhash_rust::xxh3::xxh3_64(&bad[..504]);
            bad[504..512].copy_from_slice(&checksum.to_ne_bytes());
            if let Some(error) = open_error(&folder, &bad) {
                assert!(error.contains("header: ") || error.contains("section "), "{name} {number}: {error}");
            } else {
                assert!(name == "sections" || (name, number) == ("first", 0), "{name} = {number} is taken");
            }
        }
    }
}

#[test]
fn a_store_whose_sections_lie_with_the_right_checksums_crashes_nothing() {
    let folder = trained();
    let whole = store(&folder);
    let number = |at: usize| u64::from_ne_bytes(whole[at..at + 8].try_into().expect("8 bytes")) as usize;
    let mut random = Random::new(12);
    for section in 0..8 {
        let entry = 64 + section * 40;
        let place = number(entry + 16)..number(entry + 16) + number(entry + 24);
        for change in 0..6 {
            let mut bad = whole.clone();
            let at = place.start + random.below(place.len() as u64 / 4) as usize * 4;
            let lie = [0, 1, 7, u32::MAX, f32::NAN.to_bits(), f32::INFINITY.to_bits()][change];
            bad[at..at + 4].copy_from_slice(&lie.to_ne_bytes());
            let checksum = xxhash_rust::xxh3::xxh3_64(&bad[place.clone()]);
            bad[entry + 32..entry + 40].copy_from_slice(&checksum.to_ne_bytes());
            let checksum = xxhash_rust::xxh3::xxh3_64(&bad[..504]);
            bad[504..512].copy_from_slice(&checksum.to_ne_bytes());
            folder.write("lie.unf", &bad);
            for line in [
                "train lie.unf --model out --epochs 3 --quiet",
                "train lie.unf --model out --epochs 3 --quiet --loss squared --update sgd --strategy striped_lock",
                "train rows.svm --test lie.unf --model out --epochs 3 --quiet",
                "predict m lie.unf --scores",
                "inspect lie.unf --verify",
                "convert lie.unf again.unf",
            ] {
                let ended = folder.run(line);
                assert!(matches!(ended.code, Some(0..=3)), "{line} {:?} {}", ended.code, ended.err);
                assert!(!ended.out.contains("NaN"), "{line}: {}", ended.out);
            }
        }
    }
}

#[test]
fn files_with_bytes_changed_at_random_are_read_right_or_refused() {
    let text = text_of(&examples(11, 30, 9)).replace("\n1 ", "\r\n1 qid:3 ").replace(":0.1", ":1e-1");
    let mut random = Random::new(30);
    let folder = Folder::new();
    let alphabet = b"0123456789:.+-eE \t\r\n#naif\0\xff";
    for (name, whole) in [
        ("text", text.clone().into_bytes()),
        ("npz", npz(&npz_arrays())),
        ("gz", compressed(text.as_bytes(), "gz")),
        ("bz2", compressed(text.as_bytes(), "bz2")),
        ("zst", compressed(text.as_bytes(), "zst")),
        ("xz", compressed(text.as_bytes(), "xz")),
    ] {
        let mut taken = 0;
        for round in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..1 + round % 4 {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] = match name {
                    "text" => alphabet[random.below(alphabet.len() as u64) as usize],
                    _ => bytes[place] ^ 1 << random.below(8),
                };
            }
            folder.write(name, &bytes);
            match data::open(&folder.path(name), FeatureNumbers::Auto, round) {
                Ok(data) => {
                    taken += 1;
                    data.check_rows().expect("good rows");
                    assert!(data.targets().iter().all(|target| target.is_finite()));
                }
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        }
        assert!(taken < 400, "no damage to {name} is ever found");
    }
}

// Files that cannot be read or written

#[test]
fn a_folder_is_no_file() {
    let folder = trained();
    std::fs::create_dir(folder.path("inner")).expect("a folder");
    no_command_takes(&folder, "inner", &["error: inner: is a folder", "wanted"]);
    folder.refused("predict inner rows.svm", 1, &["error: inner: is a folder", "wanted"]);
    folder.refused("train rows.svm --model inner", 1, &["error: inner: is a folder", "wanted"]);
    folder.refused("predict m rows.svm --output inner", 1, &["error: inner: is a folder", "wanted"]);
    folder.refused("convert rows.svm inner", 1, &["error: inner: is a folder", "wanted"]);
    folder.refused("train rows.svm --model out --history inner", 1, &["error: inner: cannot write"]);
}

#[test]
fn a_missing_file_is_named() {
    let folder = trained();
    no_command_takes(&folder, "nowhere", &["error: nowhere: cannot open: "]);
    folder.refused("predict nowhere rows.svm", 1, &["error: nowhere: cannot open: "]);
    folder.refused("predict m nowhere", 1, &["error: nowhere: cannot open: "]);
    folder.refused("evaluate m nowhere", 1, &["error: nowhere: cannot open: "]);
    folder.refused("train rows.svm --test nowhere --model out", 1, &["error: nowhere: cannot open: "]);
}

#[test]
fn a_folder_that_is_not_there_is_named_before_training() {
    let folder = trained();
    folder.refused("train rows.svm --model no/such/out --epochs 1000000 --gap 0", 1, &["error: no/such: "]);
    folder.refused("train rows.svm --model out --history no/such/h", 1, &["error: no/such/h: cannot write"]);
    folder.refused("predict m rows.svm --output no/such/out", 1, &["error: no/such/out: cannot create"]);
    folder.refused("convert rows.svm no/such/out", 1, &["error: no/such/out: cannot create"]);
    folder.refused("train rows.svm --model out --checkpoint rows.svm/c", 1, &["error: rows.svm/c: cannot create"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_file_is_found_before_training() {
    // No one may make files in /proc, root included.
    trained().refused("train rows.svm --model /proc/out --epochs 1000000 --gap 0", 1, &["error: /proc/out: cannot create"]);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = trained();
    folder.write("secret", two_classes());
    std::fs::set_permissions(folder.path("secret"), PermissionsExt::from_mode(0o000)).expect("set");
    if std::fs::File::open(folder.path("secret")).is_ok() {
        eprintln!("skipped: this user (root?) may read every file");
        return;
    }
    no_command_takes(&folder, "secret", &["error: secret: cannot open: "]);
    folder.refused("predict secret rows.svm", 1, &["error: secret: cannot open: "]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_wherever_something_is_written() {
    let folder = trained();
    for line in [
        "train rows.svm --quiet --model /dev/full",
        "train rows.svm --quiet --model out --history /dev/full",
        "predict m rows.svm --output /dev/full",
        "convert rows.svm /dev/full",
        "generate /dev/full --rows 9 --features 9 --nonzeros 2",
    ] {
        folder.refused(line, 1, &["error: /dev/full: cannot write: "]);
    }
    for line in [
        "train rows.svm --json --model full",
        "train rows.svm --model full",
        "predict m rows.svm",
        "evaluate m rows.svm",
        "inspect rows.svm",
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let ended = Ended::of(line, folder.command(line).stdout(Stdio::from(full)).output().expect("the program starts"));
        ended.ends_with_code(1);
        assert!(ended.err.contains("error: standard output: cannot write: "), "{line}: {}", ended.err);
    }
    assert!(Path::new("/dev/full").exists());
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let folder = trained();
    let mut child = folder.command("predict m rows.svm").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    Ended::of("predict", child.wait_with_output().expect("ended")).ends_with_code(0);
}

#[test]
fn what_is_read_is_never_written_over() {
    let folder = Folder::with("rows.model", two_classes()); // its default model has its own name
    folder.write("test.svm", two_classes());
    let before = folder.read("rows.model");
    for line in [
        "train rows.model",
        "train ./rows.model --model rows.model",
        "train rows.model --model out --history rows.model",
        "train rows.model --model test.svm --test test.svm",
        "convert test.svm ./test.svm",
        "search test.svm --model ./test.svm",
        "search test.svm --model out --out test.svm",
        "search rows.model",
        "predict rows.model test.svm --output test.svm",
        "predict rows.model test.svm --output rows.model",
    ] {
        folder.refused(line, 2, &["is to be read, and would be written over"]);
    }
    folder.refused("train test.svm --model out --history out", 2, &["--history and the model have the same name"]);
    assert_eq!(folder.read("rows.model"), before);
    assert_eq!(folder.names(), ["rows.model", "test.svm"]);
}

// Labels

#[test]
fn labels_of_one_class_only_cannot_be_separated() {
    let folder = Folder::with("rows.svm", "1 1:1\n1 2:1\n");
    folder.refused("train rows.svm", 1, &["rows.svm: the labels found are 1", "both classes are wanted"]);
    folder.write("zero.svm", "0 1:1\n-0 2:1\n");
    folder.refused("train zero.svm --loss hinge", 1, &["zero.svm: the labels found are 0,", "both classes are wanted"]);
}

#[test]
fn more_than_two_labels_are_named() {
    let folder = Folder::with("rows.svm", "3 1:1\n1 2:1\n2 1:1\n-7 1:2\n");
    for line in ["train rows.svm", "train rows.svm --loss hinge", "train rows.svm --loss logistic"] {
        folder.refused(line, 1, &["rows.svm: the labels found are -7, 1, 2, 3", "two labels are wanted"]);
    }
    folder.write("many.svm", (0..50).map(|label| format!("{label}.5 1:1\n")).collect::<String>());
    folder.refused("train many.svm --loss hinge", 1, &["more than 12 different ones"]);
}

#[test]
fn a_label_that_the_model_does_not_know_is_named() {
    let folder = trained();
    folder.write("new.svm", "1 1:1\n5 2:1\n");
    folder.refused("evaluate m new.svm", 1, &["new.svm: label 5 is none of the classes -1 and 1"]);
    folder.refused("train rows.svm --test new.svm --model out", 1, &["new.svm: label 5 is none of the classes -1 and 1"]);
    folder.done("predict m new.svm"); // labels are not looked at
}

// Usage

#[test]
fn wrong_usage_ends_with_code_2_before_anything_is_done() {
    let folder = trained();
    for (line, word) in [
        ("train rows.svm --fast", "--fast"),
        ("train", "DATA"),
        ("train rows.svm more.svm", "more.svm"),
        ("fly rows.svm", "fly"),
        ("train rows.svm --strategy telepathy", "telepathy"),
        ("train rows.svm --loss cosine", "cosine"),
        ("train rows.svm --strategy minibatch --update sdca", "minibatch"),
        ("train rows.svm --update sdca --step-size 0.1", "--step-size"),
        ("train rows.svm --step-size 0.1", "--step-size"),
        ("train rows.svm --schedule decay", "--schedule"),
        ("train rows.svm --strategy global_lock --memory atomic", "--memory"),
        ("train rows.svm --strategy sequential --threads 2", "sequential"),
        ("train rows.svm --batch 8", "--batch"),
        ("train rows.svm --average-every 2", "--average-every"),
        ("train rows.svm --strategy averaging --average-every 0", "--average-every"),
        ("train rows.svm --strategy averaging --update saga", "averaging"),
        ("train rows.svm --strategy minibatch --batch 0", "batch"),
        ("train rows.svm --strategy minibatch --batch some", "or all"),
        ("train rows.svm --compress qsgd:4", "--compress is for --strategy minibatch"),
        ("train rows.svm --strategy minibatch --compress qsgd:0", "topk:K"),
        ("train rows.svm --strategy minibatch --compress zip", "topk:K"),
        ("train rows.svm --backup 1", "--backup is for --strategy minibatch"),
        ("train rows.svm --strategy minibatch --threads 2 --backup 2", "fewer than --threads"),
        ("train rows.svm --strategy minibatch --threads 3 --batch 2 --backup 1", "raise --batch"),
        ("train rows.svm --l2 0.1 --c 1", "--l2"),
        ("train rows.svm --l2 0 --update sdca", "a penalty"),
        ("train rows.svm --strategy coordinate", "--loss squared_hinge"),
        ("train rows.svm --strategy coordinate --loss logistic --update sgd", "a step of its own"),
        ("train rows.svm --strategy coordinate --loss logistic --schedule decay", "a step of its own"),
        ("train rows.svm --strategy coordinate --loss logistic --step-size 2", "at most 1"),
        ("train rows.svm --strategy coordinate --loss logistic --batch 2", "--batch"),
        ("train rows.svm --strategy coordinate --loss logistic --memory wild", "--memory"),
        ("search rows.svm --c", "--c"),
        ("search rows.svm --c=", "--c"),
        ("search rows.svm --c 1,,2", "--c"),
        ("search rows.svm --c 1,-2", "--c"),
        ("search rows.svm --c 1,nan", "--c"),
        ("search rows.svm --c 1 --l2 1", "--l2"),
        ("search rows.svm --l2 1,-1", "--l2"),
        ("search rows.svm --l1 inf", "--l1"),
        ("search rows.svm --l2 0", "a penalty"),
        ("search rows.svm --step-size 0.1", "--step-size"),
        ("search rows.svm --update sgd --step-size 0.1,0", "--step-size"),
        ("search rows.svm --update sgd,telepathy", "telepathy"),
        ("search rows.svm --strategy minibatch --update sdca", "minibatch"),
        ("search rows.svm --strategy coordinate,hogwild", "alone"),
        ("search rows.svm --strategy coordinate --loss logistic --step-size 2", "at most 1"),
        ("search rows.svm --strategy coordinate", "--loss squared_hinge"),
        ("search rows.svm --folds 0", "--folds"),
        ("search rows.svm --folds 1", "--folds"),
        ("search rows.svm --folds 1000000", "--folds"),
        ("search rows.svm --gap 0", "--gap"),
        ("search rows.svm --json --out m2 --model m2", "same name"),
        ("inspect rows.svm --verify", "is none"),
        ("train rows.svm --l2 0 --update sdca", "l2"),
        ("train rows.svm --l2 nan", "l2"),
        ("train rows.svm --l2=-1", "l2"),
        ("train rows.svm --l1 inf", "l1"),
        ("train rows.svm --c 0", "--c"),
        ("train rows.svm --c=-1", "--c"),
        ("train rows.svm --c 1e-320", "l2"),
        ("train rows.svm --gap 2", "--gap"),
        ("train rows.svm --gap=-0.1", "--gap"),
        ("train rows.svm --gap nan", "--gap"),
        ("train rows.svm --target-objective nan", "--target-objective"),
        ("train rows.svm --update sgd --step-size 0", "--step-size"),
        ("train rows.svm --time 0", "--time"),
        ("train rows.svm --threads 0", "--threads"),
        ("train rows.svm --threads 99999999", "--threads"),
        ("train rows.svm --threads two", "two"),
        ("train rows.svm --epochs 0", "--epochs"),
        ("train rows.svm --epochs=-1", "--epochs"),
        ("train rows.svm --seed 18446744073709551616", "--seed"),
        ("train rows.svm --patience 3", "--test"),
        ("train rows.svm --test rows.svm --patience 0", "--patience"),
        ("train rows.svm --resume", "--checkpoint"),
        ("train rows.svm --precision f16", "f16"),
        ("predict m rows.svm --probabilities", "--probabilities"),
        ("predict m rows.svm --probabilities --scores", "--scores"),
        ("convert rows.svm out --one-based --zero-based", "--zero-based"),
        ("generate out --rows 0 --features 5 --nonzeros 2", "--rows"),
        ("generate out --rows 5 --features 5 --nonzeros 6", "--nonzeros"),
        ("generate out --rows 5 --features 5 --nonzeros 2 --noise 2", "--noise"),
        ("generate out --rows 5 --features 5 --nonzeros 2 --zipf nan", "--zipf"),
        ("generate out --rows 5 --features 5 --nonzeros 2 --classes 1", "--classes"),
        ("generate out --rows 5 --features 5 --nonzeros 2 --classes 18446744073709551615", "--classes"),
        ("generate out --rows 5 --features 4294967295 --nonzeros 2", "--features"),
    ] {
        folder.refused(line, 2, &[word]);
    }
}

// Models

#[test]
fn a_truncated_or_damaged_model_is_an_error() {
    let folder = trained();
    let whole = folder.read("m");
    for length in (0..whole.len()).step_by(11) {
        folder.write("bad", &whole[..length]);
        assert!(unfenced::Model::load(&folder.path("bad")).is_err(), "{length}");
    }
    folder.write("bad", &whole[..whole.len() - 1]);
    folder.refused("predict bad rows.svm", 1, &["error: bad: is no whole safetensors file", "wanted"]);
    folder.refused("evaluate bad rows.svm", 1, &["error: bad: is no whole safetensors file", "wanted"]);
    let mut random = Random::new(3);
    for place in 0..whole.len() {
        let mut bad = whole.clone();
        bad[place] ^= 1 << random.below(8);
        folder.write("bad", &bad);
        // A weight may have changed unseen (models carry no checksum); nothing may crash.
        if let Ok(model) = unfenced::Model::load(&folder.path("bad")) {
            let data = data::open(&folder.path("rows.svm"), FeatureNumbers::Auto, 0).expect("rows");
            drop(model.scores(&data));
        }
    }
}

#[test]
fn a_foreign_file_is_no_model() {
    let folder = trained();
    let header = br#"{"weights":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#;
    folder.write("other", [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat());
    folder.write("junk", Random::new(5).bytes(500));
    folder.write("empty", "");
    folder.refused("predict other rows.svm", 1, &["error: other: is a safetensors file of another program", "wanted"]);
    for name in ["junk", "empty", "rows.svm"] {
        folder.refused(&format!("predict {name} m"), 1, &[&format!("error: {name}: is no whole safetensors file"), "wanted"]);
    }
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = trained();
    let mut bytes = folder.read("m");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("bad", bytes);
    folder.refused("predict bad rows.svm", 1, &["error: bad: has a tensor weights with numbers that are not finite"]);
}

#[test]
fn features_numbered_from_0_do_not_fit_a_model_numbered_from_1() {
    let folder = trained();
    folder.write("zero.svm", "1 0:1 2:1\n-1 1:1\n");
    for line in ["predict m zero.svm", "evaluate m zero.svm", "train rows.svm --test zero.svm --model out"] {
        folder.refused(line, 1, &["zero.svm: its features are numbered from 0", "from 1"]);
    }
}

#[test]
fn features_that_the_model_does_not_know_count_as_0_with_one_warning() {
    let folder = trained();
    folder.write("known.svm", "1 1:0.5 2:1\n-1 3:1\n");
    folder.write("wide.svm", "1 1:0.5 2:1 13:7 4294967294:1e9\n-1 3:1 500:1\n");
    let (known, wide) = (folder.done("predict m known.svm --scores"), folder.done("predict m wide.svm --scores"));
    assert_eq!(known.out, wide.out);
    assert!(known.err.is_empty(), "{}", known.err);
    assert_eq!(wide.err.lines().count(), 1, "{}", wide.err);
    assert!(wide.err.starts_with("warning: wide.svm: 3 of its 6 features"), "{}", wide.err);
}

// Runs that stop, and go on

const SLOW: &str = "--strategy sequential --gap 0 --quiet";

#[test]
fn a_run_in_two_parts_ends_where_a_run_in_one_does() {
    for more in [
        "",
        "--intercept --loss logistic",
        "--update sgd",
        "--update adagrad --precision f64",
        "--strategy minibatch --update sgd",
        "--strategy minibatch --compress topk:2",
        "--strategy minibatch --compress qsgd:2 --update adagrad",
    ] {
        let folder = Folder::with("rows.svm", two_classes());
        let train = format!("train rows.svm --gap 0 --quiet --threads 1 --strategy sequential {more}");
        let train = if more.contains("minibatch") { train.replace("--strategy sequential ", "") } else { train };
        folder.done(&format!("{train} --epochs 9 --model whole"));
        folder.done(&format!("{train} --epochs 4 --model half --checkpoint c"));
        folder.done(&format!("{train} --epochs 9 --model resumed --checkpoint c --resume"));
        assert!(folder.read("whole") != folder.read("half"), "{more}");
        assert!(folder.read("whole") == folder.read("resumed"), "{more}");
    }
}

/// Starts a run without end and waits until its history has some lines.
#[cfg(unix)]
fn endless(folder: &Folder, line: &str) -> std::process::Child {
    let line = format!("train rows.svm {SLOW} --epochs 100000000 --model killed --history h {line}");
    let mut child = folder.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    while !folder.has("h") || folder.text("h").lines().count() < 3 {
        assert!(child.try_wait().expect("a state").is_none(), "the run has ended");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_where_it_stood() {
    let folder = Folder::with("rows.svm", text_of(&examples(2, 3000, 60)));
    let mut child = endless(&folder, "--checkpoint c");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!folder.has("killed"));
    let epochs = folder.text("h").lines().count() + 5;
    folder.done(&format!("train rows.svm {SLOW} --epochs {epochs} --model resumed --checkpoint c --resume"));
    folder.done(&format!("train rows.svm {SLOW} --epochs {epochs} --model whole"));
    assert!(folder.read("whole") == folder.read("resumed"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_with_130_and_leaves_its_model() {
    let folder = Folder::with("rows.svm", text_of(&examples(2, 3000, 60)));
    let child = endless(&folder, "--checkpoint c");
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    let ended = Ended::of("train", child.wait_with_output().expect("ended"));
    ended.ends_with_code(130);
    assert!(ended.err.contains("warning: interrupted"), "{}", ended.err);
    assert_eq!(folder.done("predict killed rows.svm").numbers().len(), 3000);
    let epochs = folder.text("h").lines().count() + 1;
    folder.done(&format!("train rows.svm {SLOW} --epochs {epochs} --model out --checkpoint c --resume"));
    assert_eq!(folder.names(), ["c", "h", "killed", "out", "rows.svm"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_conversion_ends_with_130_and_leaves_nothing() {
    let folder = Folder::new();
    let mut child = folder
        .command("convert /dev/stdin rows.unf")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all("1 1:0.5 7:2\n".repeat(500_000).as_bytes()).expect("taken"); // more than one block: it is at work
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(input);
    let ended = Ended::of("convert", child.wait_with_output().expect("ended"));
    ended.ends_with_code(130);
    assert!(ended.err.contains("warning: interrupted"), "{}", ended.err);
    assert!(folder.names().is_empty());
}

#[test]
fn other_settings_or_data_are_refused_when_resuming() {
    let folder = Folder::with("rows.svm", two_classes());
    let more = examples(7, 120, 12);
    folder.write("other.svm", text_of(&more));
    // The same labels, counts and lengths of rows: only a sign, the place of a value, or all numbers differ.
    let rows = two_classes();
    let changed = |changed: &dyn Fn(&mut program::Example)| {
        let mut rows = examples(1, 120, 12);
        rows.iter_mut().for_each(changed);
        text_of(&rows)
    };
    folder.write("negated.svm", changed(&|row| row.1.iter_mut().for_each(|pair| pair.1 = -pair.1)));
    folder.write("moved.svm", changed(&|row| row.1.iter_mut().for_each(|pair| pair.0 += 5)));
    assert_ne!(folder.text("negated.svm"), rows);
    let train = "--strategy sequential --update sgd --loss logistic --gap 0 --epochs 3 --quiet --model out --checkpoint c";
    folder.done(&format!("train rows.svm {train}"));
    let inside = || (folder.read("c/slot-0.checkpoint"), folder.read("c/slot-1.checkpoint"));
    let before = inside();
    for (line, name) in [
        ("--strategy hogwild", "strategy"),
        ("--update adagrad", "update"),
        ("--loss squared_hinge", "loss"),
        ("--c 2", "l2"),
        ("--l1 0.1", "l2"),
        ("--l2 0.008333333333333333 --l1 0.1", "l1"),
        ("--intercept", "intercept"),
        ("--precision f64", "precision"),
        ("--schedule constant", "schedule"),
        ("--step-size 0.125", "step-size"),
    ] {
        // An option that is given twice is refused by the parser, so the first one goes.
        let option = line.split(' ').next().expect("an option");
        let mut words: Vec<&str> = train.split(' ').collect();
        if let Some(place) = words.iter().position(|word| *word == option) {
            words.drain(place..place + 2);
        }
        let line = format!("train rows.svm {} {line} --resume", words.join(" "));
        folder.refused(&line, 1, &["error: c/slot-", &format!("was written with {name} "), "same settings"]);
    }
    for name in ["other.svm", "negated.svm", "moved.svm", "rows.svm --seed 1"] {
        folder.refused(&format!("train {name} {train} --resume"), 1, &["error: c/slot-", "of other data"]);
    }
    assert!(inside() == before, "a refused run touches no checkpoint");
    folder.done(&format!("train rows.svm {} --resume", train.replace("--epochs 3", "--epochs 5")));
}

#[test]
fn one_damaged_slot_leaves_the_other_and_two_are_an_error() {
    let folder = Folder::with("rows.svm", two_classes());
    folder.done(&format!("train rows.svm {SLOW} --epochs 6 --model whole"));
    for (slot, length) in [("c/slot-0.checkpoint", 20), ("c/slot-1.checkpoint", 200), ("c/slot-0.checkpoint", 0)] {
        let _ = std::fs::remove_dir_all(folder.path("c"));
        folder.done(&format!("train rows.svm {SLOW} --epochs 4 --model half --checkpoint c"));
        let mut bytes = folder.read(slot);
        if length == 0 {
            bytes[300] ^= 1;
        } else {
            bytes.truncate(length);
        }
        folder.write(slot, bytes);
        folder.done(&format!("train rows.svm {SLOW} --epochs 6 --model resumed --checkpoint c --resume"));
        assert!(folder.read("whole") == folder.read("resumed"), "{slot}");
    }
    for slot in ["c/slot-0.checkpoint", "c/slot-1.checkpoint"] {
        folder.write(slot, "UNFCKPT3 and nothing of use");
    }
    let line = format!("train rows.svm {SLOW} --epochs 9 --model out --checkpoint c --resume");
    folder.refused(&line, 1, &["error: c: holds no whole checkpoint", "wanted"]);
    std::fs::remove_dir_all(folder.path("c")).expect("removed");
    folder.refused(&line, 1, &["error: c: holds no whole checkpoint", "wanted"]);
}

#[test]
fn stopping_before_the_asked_gap_ends_with_3_and_says_what_to_try() {
    let folder = Folder::with("rows.svm", two_classes());
    let ended = folder.run("train rows.svm --epochs 1 --gap 1e-9 --json");
    ended.ends_with_code(3);
    assert!(
        ended.err.contains("warning: ") && ended.err.contains("1.0e-9 was asked") && ended.err.contains("--epochs"),
        "{}",
        ended.err
    );
    assert_eq!(ended.json()["stop"], "epochs");
    assert!(folder.has("rows.model"));
    folder.run("train rows.svm --update sgd --epochs 1 --gap 1e-9 --quiet").ends_with_code(3);
    let ended = folder.run("train rows.svm --update sgd --loss hinge --epochs 2 --target-objective 0.34 --quiet");
    ended.ends_with_code(3);
    assert!(ended.err.contains("where 0.34 was asked"), "{}", ended.err);
    // Without an asked tolerance the epochs are all that was wanted.
    folder.done("train rows.svm --epochs 1 --quiet");
}

#[test]
fn a_target_below_the_certified_bound_is_given_up_with_the_bound() {
    let folder = Folder::with("rows.svm", two_classes());
    let ended = folder.run("train rows.svm --target-objective 0.001 --json");
    ended.ends_with_code(3);
    assert!(
        ended.err.contains("no weights have an objective below 0.") && ended.err.contains("0.001 was asked"),
        "{}",
        ended.err
    );
    assert_eq!(ended.json()["stop"], "unreachable");
}

#[test]
fn several_whole_numbers_are_not_guessed_to_be_classes_or_targets() {
    let folder = Folder::with("rows.svm", "1 1:1\n2 2:1\n3 1:1\n4 2:2\n5 1:2\n");
    folder.refused("train rows.svm", 1, &["the labels found are 1, 2, 3, 4, 5: several classes, or numbers?", "--loss squared"]);
    folder.done("train rows.svm --loss squared --quiet");
}

#[test]
fn a_step_size_that_explodes_ends_finite_or_with_an_error() {
    let mut rows = examples(1, 200, 12);
    for (_, pairs) in &mut rows {
        pairs.iter_mut().for_each(|(feature, value)| *value *= 10f32.powi(*feature as i32 - 4));
    }
    let folder = Folder::with("rows.svm", text_of(&rows));
    for line in [
        "",
        "--loss squared",
        "--loss squared_hinge",
        "--loss huber",
        "--loss logistic --intercept",
        "--threads 4 --loss squared",
        "--precision f64 --loss squared",
    ] {
        for method in ["--update sgd", "--update adagrad", "--strategy minibatch --update sgd"] {
            let ended = folder.run(&format!("train rows.svm {method} --step-size 1e6 --epochs 5 --json --model out {line}"));
            match ended.code {
                Some(0) => {
                    assert!(ended.json()["objective"].as_f64().is_some_and(f64::is_finite), "{}", ended.out);
                    let scores = folder.done("predict out rows.svm --scores").numbers();
                    assert!(scores.iter().all(|score| score.is_finite()));
                    std::fs::remove_file(folder.path("out")).expect("removed");
                }
                _ => {
                    ended.ends_with_code(1);
                    assert!(ended.err.contains("exploded") && ended.err.contains("scale the features"), "{}", ended.err);
                    assert!(!folder.has("out"));
                }
            }
        }
    }
}
