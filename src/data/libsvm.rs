//! LIBSVM text: `label index:value index:value ...`, one example a line.
//!
//! The text is cut at line ends into blocks of a few megabytes, which are parsed in parallel while the next ones are read
//! or decoded.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use memchr::memchr;
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::data::block::Block;
use crate::data::mmap::Mapped;
use crate::data::source::{Opened, Source};
use crate::data::{FeatureNumbers, MAX_FEATURE};
use crate::error::{Error, Result};
use crate::sync::{AtomicBool, Ordering};

const BLOCK_BYTES: usize = 4 << 20;
/// A stream without line ends is no text; a mapped file has an end of its own.
const LONGEST_LINE: usize = 1 << 30;

/// What is wrong in a line of a block.
struct Fault {
    line: u64,
    what: String,
}

/// A parsed block, the number of its lines, and the first fault in it.
struct Parsed {
    block: Block,
    lines: u64,
    fault: Option<Fault>,
}

/// Reads all examples of a text, mapped or streamed.
///
/// # Errors
/// Names the first line that is not as it should be, or says that the text cannot be read or has no example.
pub fn read(path: &Path, opened: Opened, numbers: FeatureNumbers) -> Result<Vec<Block>> {
    match opened.source {
        Source::Mapped(file) => parse(path, mapped_blocks(&file), numbers),
        Source::Stream(stream) => parse(path, streamed_blocks(stream), numbers),
    }
}

fn mapped_blocks(file: &Mapped) -> impl Iterator<Item = std::io::Result<Cow<'_, [u8]>>> {
    file.advise_sequential();
    let mut rest = file.bytes();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = BLOCK_BYTES.min(rest.len());
        let end = memchr(b'\n', &rest[cut..]).map_or(rest.len(), |newline| cut + newline + 1);
        let (block, after) = rest.split_at(end);
        rest = after;
        Some(Ok(Cow::Borrowed(block)))
    })
}

fn streamed_blocks<'a>(mut stream: Box<dyn Read + Send>) -> impl Iterator<Item = std::io::Result<Cow<'a, [u8]>>> + Send {
    let mut carried = Vec::new(); // the start of a line that the last block did not end
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let mut block = std::mem::take(&mut carried);
        loop {
            let wanted = BLOCK_BYTES;
            match (&mut stream).take(wanted as u64).read_to_end(&mut block) {
                Err(error) => {
                    done = true;
                    return Some(Err(error));
                }
                Ok(got) if got < wanted => {
                    done = true;
                    return (!block.is_empty()).then_some(Ok(Cow::Owned(block)));
                }
                Ok(_) if block.len() > LONGEST_LINE => {
                    done = true;
                    return Some(Err(std::io::Error::other("a line has no end for a gigabyte; LIBSVM text is wanted")));
                }
                Ok(_) => {
                    if let Some(newline) = memchr::memrchr(b'\n', &block) {
                        carried = block.split_off(newline + 1);
                        return Some(Ok(Cow::Owned(block)));
                    }
                }
            }
        }
    })
}

fn parse<'a>(
    path: &Path,
    blocks: impl Iterator<Item = std::io::Result<Cow<'a, [u8]>>> + Send,
    numbers: FeatureNumbers,
) -> Result<Vec<Block>> {
    let failed = AtomicBool::new(false); // blocks are taken in order: those before a fault are all under way
    let mut parsed: Vec<(usize, std::io::Result<Parsed>)> = blocks
        .take_while(|_| !failed.load(Ordering::Relaxed))
        .enumerate()
        .par_bridge()
        .map(|(place, block)| {
            let parsed = block.map(|text| parse_block(&text, numbers));
            if !matches!(&parsed, Ok(Parsed { fault: None, .. })) {
                failed.store(true, Ordering::Relaxed);
            }
            (place, parsed)
        })
        .collect();
    parsed.sort_unstable_by_key(|&(place, _)| place);
    let mut lines_before = 0;
    let mut whole = Vec::with_capacity(parsed.len());
    for (_, parsed) in parsed {
        let Parsed { block, lines, fault } = parsed.map_err(Error::io(path, "read"))?;
        if let Some(Fault { line, what }) = fault {
            return Err(Error::Line { path: path.to_owned(), line: lines_before + line, what });
        }
        lines_before += lines;
        whole.push(block);
    }
    Ok(whole)
}

fn parse_block(text: &[u8], numbers: FeatureNumbers) -> Parsed {
    // About 12 bytes a non-zero is usual; the vectors grow if the text is denser.
    let (mut block, guess) = (Block::default(), text.len() / 12);
    block.numbers.reserve(guess);
    block.values.reserve(guess);
    let (mut rest, mut lines, mut fault) = (text, 0, None);
    while !rest.is_empty() && fault.is_none() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        lines += 1;
        fault = parse_line(line, numbers, &mut block).err().map(|what| Fault { line: lines, what });
    }
    Parsed { block, lines, fault }
}

/// Appends one line's example, if it has one, to the block.
fn parse_line(line: &[u8], wanted: FeatureNumbers, block: &mut Block) -> std::result::Result<(), String> {
    let mut rest = skip_blanks(line);
    if rest.is_empty() || rest[0] == b'#' {
        return Ok(());
    }
    let (label, after) = number(rest).ok_or_else(|| {
        let token = token(rest);
        if token.contains(&b':') {
            format!("no label before '{}'; a line is 'label index:value index:value ...'", shown(token))
        } else {
            format!("the label '{}' is not a number; a line is 'label index:value index:value ...'", shown(token))
        }
    })?;
    let target = finite(label)
        .ok_or_else(|| format!("the label '{}' is not finite; a finite 32-bit number is wanted", shown(token(rest))))?;
    rest = skip_blanks(after);

    let start = block.numbers.len();
    let (mut last, mut sorted) = (-1i64, true);
    while !rest.is_empty() && rest[0] != b'#' {
        let Some((index, after)) = index(rest) else {
            if rest.starts_with(b"qid:") {
                rest = skip_blanks(&rest[token(rest).len()..]);
                continue;
            }
            return Err(bad_pair(token(rest)));
        };
        if index > u64::from(MAX_FEATURE) {
            return Err(format!("feature number {index} is too large; at most {MAX_FEATURE} is wanted"));
        }
        if index == 0 && wanted == FeatureNumbers::OneBased {
            return Err("feature number 0 in one-based data; numbers from 1 are wanted, or --zero-based".into());
        }
        let (value, after) = number(after).ok_or_else(|| bad_pair(token(rest)))?;
        let value = finite(value)
            .ok_or_else(|| format!("the value in '{}' is not finite; a finite 32-bit number is wanted", shown(token(rest))))?;
        sorted &= last < index as i64;
        last = index as i64;
        block.numbers.push(index as u32);
        block.values.push(value);
        rest = skip_blanks(after);
    }
    if !sorted {
        let mut row = block.numbers[start..].to_vec();
        row.sort_unstable();
        if let Some(twice) = row.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("feature {} occurs twice; each feature once is wanted", twice[0]));
        }
    }
    block.targets.push(target);
    block.ends.push(block.numbers.len());
    Ok(())
}

fn bad_pair(token: &[u8]) -> String {
    format!("'{}' is no index:value pair; a whole number, a colon and a finite number are wanted", shown(token))
}

#[inline(always)]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

#[inline(always)]
fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[blanks..]
}

/// The text up to the next blank.
fn token(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|&byte| is_blank(byte)).unwrap_or(text.len())]
}

/// A token as a message shows it: at most 40 bytes, without control characters.
fn shown(token: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&token[..token.len().min(40)]).chars().flat_map(char::escape_debug).collect();
    if token.len() > 40 { text + "..." } else { text }
}

/// `digits:`, and what follows.
#[inline(always)]
fn index(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut place) = (0u64, 0);
    while let Some(digit) = text.get(place).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.saturating_mul(10).saturating_add(u64::from(digit));
        place += 1;
    }
    (place > 0 && text.get(place) == Some(&b':')).then(|| (value, &text[place + 1..]))
}

/// A number that ends at a blank, a comment or the end of the line, and what follows.
///
/// Digits with a point, whose digits fit in 53 bits, are exact: both they and the power of ten are f64 numbers without
/// rounding, so that their quotient is correctly rounded. Everything else goes the slow way.
#[inline(always)]
fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative || text.first() == Some(&b'+'));
    let (mut place, mut digits, mut n_digits, mut n_decimals, mut in_decimals) = (start, 0u64, 0usize, 0usize, false);
    while let Some(&byte) = text.get(place) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            n_digits += 1;
            n_decimals += usize::from(in_decimals);
        } else if byte == b'.' && !in_decimals {
            in_decimals = true;
        } else {
            break;
        }
        place += 1;
    }
    let ended = text.get(place).is_none_or(|&byte| is_blank(byte) || byte == b'#');
    if ended && (1..=15).contains(&n_digits) {
        let value = digits as f64 / POWERS[n_decimals];
        return Some((if negative { -value } else { value }, &text[place..]));
    }
    let end = text.iter().position(|&byte| is_blank(byte) || byte == b'#').unwrap_or(text.len());
    let (signed, unsigned) = (&text[..end], &text[start..end]);
    let twice_signed = start == 1 && unsigned.first().is_some_and(|byte| b"+-".contains(byte));
    let body = if negative { signed } else { unsigned }; // the slow way knows no '+'
    fast_float2::parse(body).ok().filter(|_| !twice_signed).map(|value| (value, &text[end..]))
}

/// As a 32-bit number, if it is one.
fn finite(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> std::result::Result<Block, (u64, String)> {
        let Parsed { block, fault, .. } = parse_block(text.as_bytes(), FeatureNumbers::Auto);
        fault.map_or(Ok(block), |fault| Err((fault.line, fault.what)))
    }

    #[test]
    fn a_line_with_everything_that_is_allowed_is_read() {
        let block = parsed("# head\r\n+1 qid:7 3:0.5 1:-2e-1\t2:.25 # note 9:9\r\n\n-1\n2.5 7:1").expect("good text");
        assert_eq!(block.targets, [1.0, -1.0, 2.5]);
        assert_eq!(block.ends, [3, 3, 4]);
        assert_eq!(block.numbers, [3, 1, 2, 7]);
        assert_eq!(block.values, [0.5, -0.2, 0.25, 1.0]);
    }

    #[test]
    fn a_fault_names_its_line_and_what_is_wanted() {
        for (text, line, what) in [
            ("1 1:1\n1 2:1 2:3", 2, "feature 2 occurs twice"),
            ("1 3:1 2:1 3:3", 1, "feature 3 occurs twice"),
            ("\n1:2 3:4", 2, "no label before '1:2'"),
            ("spam 1:1", 1, "the label 'spam' is not a number"),
            ("nan 1:1", 1, "the label 'nan' is not finite"),
            ("1 1:nan", 1, "the value in '1:nan' is not finite"),
            ("1 1:-inf", 1, "the value in '1:-inf' is not finite"),
            ("1 1:1e39", 1, "the value in '1:1e39' is not finite"),
            ("1 4294967295:1", 1, "feature number 4294967295 is too large"),
            ("1 99999999999999999999999:1", 1, "too large"),
            ("1 1:", 1, "'1:' is no index:value pair"),
            ("1 :1", 1, "':1' is no index:value pair"),
            ("1 1:2:3", 1, "'1:2:3' is no index:value pair"),
            ("1 -3:1", 1, "'-3:1' is no index:value pair"),
            ("1 1:1.2.3", 1, "is no index:value pair"),
            ("1 1: 2", 1, "'1:' is no index:value pair"),
            ("1,2 1:1", 1, "the label '1,2' is not a number"),
            ("\u{1}\u{2}\u{3}", 1, "the label '\\u{1}\\u{2}\\u{3}'"),
        ] {
            let (found_line, found) = parsed(text).expect_err(text);
            assert_eq!(found_line, line, "{text}");
            assert!(found.contains(what), "{text}: {found}");
        }
    }

    #[test]
    fn the_fast_path_rounds_as_the_standard_library_does() {
        for text in
            ["0", "-0", "1", "+1", "0.1", "123456.789", "-.5", "5.", "0.000123456789012", "999999999999999", "1e-3", "3.4e38"]
        {
            let (value, rest) = number(text.as_bytes()).expect(text);
            assert_eq!(value.to_bits(), text.parse::<f64>().expect(text).to_bits(), "{text}");
            assert!(rest.is_empty());
        }
        for text in ["", "-", ".", "+", "1x", "0x10", "1e", "--1", "+-1"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn streamed_blocks_carry_a_cut_line_over() {
        let line = "1 1:1 2:2\n";
        let text = line.repeat(2 * BLOCK_BYTES / line.len() + 17) + "-1 5:5";
        let stream: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(text.clone()));
        let blocks: Vec<Vec<u8>> = streamed_blocks(stream).map(|block| block.expect("read").into_owned()).collect();
        assert!(blocks.len() >= 3);
        assert!(blocks[..blocks.len() - 1].iter().all(|block| block.ends_with(b"\n")));
        assert_eq!(blocks.concat(), text.into_bytes());
    }
}
