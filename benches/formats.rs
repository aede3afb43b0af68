//! How fast does data come in and go out? MB/s of opening LIBSVM text, mapped or compressed, of converting it, and of writing
//! a store; the time of opening a store.
//!
//! `text` and `zst` open the same 2 million non-zeros, on one thread and on all cores. Opening is all that lies between a
//! file and a dataset: parsing, numbering the features, shuffling the rows. Criterion's throughput counts the bytes of the
//! text, for `.zst` too, so the two compare; a `.zst` is decoded by one thread while others parse. `convert` counts the bytes
//! of the text as well, on all cores: 2 million non-zeros, which are arranged in memory, and 10 million, which go through
//! files without a name. It and `store/write`, which counts the bytes of the store, wait until the store is on the disk.
//! `store/open` has no throughput because it reads no non-zero: both stores have as many rows and (almost) as many features,
//! one has four times the non-zeros, and the times are alike.
//! Files are in the system's cache: disks are not measured, except by `convert` and `store/write`.
//!
//! ```text
//! cargo bench --bench formats                      all of it, under 1 minute
//! cargo bench --bench formats -- text              opening text, by threads
//! cargo bench --bench formats -- convert           text to a store
//! cargo bench --bench formats -- store --quick     stores, roughly
//! ```

mod data;

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use unfenced::Team;
use unfenced::data::{FeatureNumbers, Generator, convert, write_store};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let folder = tempfile::tempdir().expect("a folder");
    texts(&mut criterion, folder.path());
    conversions(&mut criterion, folder.path());
    stores(&mut criterion, folder.path());
    criterion.final_summary();
}

fn texts(criterion: &mut Criterion, folder: &Path) {
    let (text, zst) = (folder.join("rows.svm"), folder.join("rows.svm.zst"));
    data::write(&data::TEXT_LIKE, &text);
    let bytes = std::fs::read(&text).expect("the text just written");
    std::fs::write(&zst, zstd::encode_all(bytes.as_slice(), 3).expect("compressed")).expect("room for the .zst");

    let mut counts = data::thread_counts();
    counts.drain(1..counts.len() - 1); // one thread, and all cores
    for (name, path) in [("text", &text), ("zst", &zst)] {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        for &n in &counts {
            let team = Team::new(n, true).expect("threads");
            group.bench_function(n.to_string(), |bencher| bencher.iter(|| team.install(|| data::open(path))));
        }
        group.finish();
    }
}

fn conversions(criterion: &mut Criterion, folder: &Path) {
    let (text, store) = (folder.join("rows.svm"), folder.join("rows.unf"));
    let team = Team::new(*data::thread_counts().last().expect("a count"), true).expect("threads");
    let cancelled = team.cancel_flag();
    let mut group = criterion.benchmark_group("convert");
    group.sampling_mode(SamplingMode::Flat);
    for (name, n_rows) in [("in memory", 20_000), ("spooled", 100_000)] {
        data::write(&Generator { n_rows, ..data::TEXT_LIKE }, &text);
        group.throughput(Throughput::Bytes(text.metadata().expect("the text just written").len()));
        let convert = || convert(&text, &store, FeatureNumbers::Auto, 0, &cancelled).expect("a store");
        group.bench_function(name, |bencher| bencher.iter(|| team.install(convert)));
    }
    group.finish();
}

fn stores(criterion: &mut Criterion, folder: &Path) {
    let store = folder.join("rows.unf");
    let mut group = criterion.benchmark_group("store");
    for n_nonzeros in [25, 100] {
        // Features are drawn evenly, so that nearly all of them occur in both.
        let text = folder.join("even.svm");
        data::write(&Generator { n_nonzeros, zipf: 0.0, ..data::TEXT_LIKE }, &text);
        write_store(&data::open(&text), &store).expect("room for the store");
        group.bench_function(format!("open/{n_nonzeros} a row"), |bencher| bencher.iter(|| data::open(&store)));
    }
    let dataset = data::text_like();
    let write = || write_store(&dataset, &store).expect("room for the store");
    write();
    group.throughput(Throughput::Bytes(store.metadata().expect("the store just written").len()));
    group.bench_function("write", |bencher| bencher.iter(write));
    group.finish();
}
