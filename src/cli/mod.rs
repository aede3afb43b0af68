//! The command line, one file a command. Only here is anything printed, and only here does the process exit.
//!
//! Results go to stdout, progress and warnings to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stopped before the
//! asked tolerance, 130 interrupted.

mod convert;
mod evaluate;
mod generate;
mod inspect;
mod lab;
mod objective;
mod predict;
mod progress;
mod report;
mod search;
mod train;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::data::keep_freed_memory;
use crate::error::{Error, Result};

const DONE: u8 = 0;
const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
const STOPPED_EARLY: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Trains sparse linear models on every core of one machine, without locks.
#[derive(Parser)]
#[command(name = "unfenced", version, about, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Train>),
    Search(Box<search::Search>),
    Predict(predict::Predict),
    Evaluate(evaluate::Evaluate),
    Convert(convert::Convert),
    Inspect(inspect::Inspect),
    Generate(generate::Generate),
    Lab(Box<lab::Lab>),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    keep_freed_memory();
    let done = match Arguments::parse().command {
        Command::Train(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Predict(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Convert(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Generate(command) => command.run(),
        Command::Lab(command) => command.run(),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { WRONG_USAGE } else { FAILED })
        }
    }
}

/// Prints to stdout; a reader that has gone away (`| head`) is no error, a full disk is.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output".as_ref(), "write")(error))
        }
        _ => Ok(()),
    }
}

/// Refuses an output that is one of the inputs: what the user gave to be read must still be there afterwards.
fn refuse_overwriting(output: &Path, inputs: &[Option<&Path>]) -> Result<()> {
    let file = |path: &Path| std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    let Some(written) = file(output) else { return Ok(()) };
    if inputs.iter().flatten().any(|input| file(input).is_some_and(|read| read == written)) {
        let what = format!("{} is to be read, and would be written over; give the output another name", output.display());
        return Err(Error::Usage(what));
    }
    Ok(())
}

fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// A pool for parsing and evaluation, as large as the machine.
fn team() -> Result<crate::threads::Team> {
    crate::threads::Team::new(crate::threads::Topology::of_this_machine().n_cores(), false)
}
