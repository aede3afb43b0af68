//! LIBSVM text: `label index:value index:value ...`, one example a line.
//!
//! The text is cut at line ends into blocks of a few megabytes, which are parsed in parallel while the next ones are read
//! or decoded.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use memchr::memchr;
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::data::block::{Block, Pair};
use crate::data::bz2;
use crate::data::census::Census;
use crate::data::mmap::{Mapped, advise_huge_pages};
use crate::data::number::{PlainPair, finite, index, is_blank, number, plain_pair};
use crate::data::source::Source;
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

/// What is kept of a block, and its lines; or what is wrong with it.
type Kept<T> = Result<(T, u64, Option<Fault>)>;

/// The places of blocks in the text, and what is kept of them.
type Places<T> = Vec<(usize, Kept<T>)>;

/// Reads all examples of a text, mapped or streamed, and counts their features. Of each block that which `keep` returns is
/// kept, in the order of the text.
///
/// # Errors
/// Names the first line that is not as it should be, or says that the text cannot be read; and whatever `keep` returns.
pub fn read<T: Send>(
    path: &Path,
    source: Source,
    numbers: FeatureNumbers,
    keep: impl Fn(Block) -> Result<T> + Sync,
) -> Result<(Vec<T>, Census)> {
    let reader = Reader { path, numbers, keep, failed: AtomicBool::new(false) };
    let (parsed, census) = match source {
        Source::Mapped(file) => reader.parse(mapped_blocks(&file), |text| file.release(text)),
        Source::Stream(stream) => reader.parse(streamed_blocks(stream), |_| ()),
        Source::Bz2(file) => reader.parse_bz2(&file)?,
    };
    Ok((reader.in_order(parsed)?, census))
}

fn mapped_blocks(file: &Mapped) -> impl Iterator<Item = std::io::Result<Cow<'_, [u8]>>> {
    file.advise_sequential();
    blocks_of(file.bytes()).map(|block| Ok(Cow::Borrowed(block)))
}

/// A text in blocks that end with their lines.
fn blocks_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = BLOCK_BYTES.min(rest.len());
        let end = memchr(b'\n', &rest[cut..]).map_or(rest.len(), |newline| cut + newline + 1);
        let (block, after) = rest.split_at(end);
        rest = after;
        Some(block)
    })
}

fn streamed_blocks<'a>(mut stream: Box<dyn Read + Send>) -> impl Iterator<Item = std::io::Result<Cow<'a, [u8]>>> + Send {
    let mut carried = Vec::new(); // the start of a line that the last block did not end
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let mut block = Vec::with_capacity(carried.len() + BLOCK_BYTES + 64); // and room to find that the stream has ended
        block.append(&mut carried);
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
                    return Some(Err(endless_line()));
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

/// What blocks are read for.
struct Reader<'a, K> {
    path: &'a Path,
    numbers: FeatureNumbers,
    keep: K,
    /// Whether a block has a fault: those before it are all under way, and none is wanted after it.
    failed: AtomicBool,
}

impl<K> Reader<'_, K> {
    /// Parses blocks in parallel. What is kept of each comes with its place, in any order.
    fn parse<'b, T: Send>(
        &self,
        blocks: impl Iterator<Item = std::io::Result<Cow<'b, [u8]>>> + Send,
        release: impl Fn(&[u8]) + Sync,
    ) -> (Places<T>, Census)
    where
        K: Fn(Block) -> Result<T> + Sync,
    {
        let Self { path, numbers, keep, failed } = self;
        let none = || (Places::<T>::new(), Census::default());
        blocks
            .take_while(|_| !failed.load(Ordering::Relaxed))
            .enumerate()
            .par_bridge()
            .fold(none, |(mut all, mut census), (place, text)| {
                let kept = text.map_err(Error::io(path, "read")).and_then(|text| {
                    let Parsed { block, lines, fault } = parse_block(&text, *numbers);
                    release(&text);
                    census.add(&block.pairs); // while they are in the cache
                    Ok((keep(block)?, lines, fault))
                });
                if !matches!(kept, Ok((.., None))) {
                    failed.store(true, Ordering::Relaxed);
                }
                all.push((place, kept));
                (all, census)
            })
            .reduce(none, |(mut all, census), (more, other)| {
                all.extend(more);
                (all, census.merge(other))
            })
    }

    /// Decodes and parses by turns, each in parallel: decoding is nearly all of it.
    fn parse_bz2<T: Send>(&self, file: &Mapped) -> Result<(Places<T>, Census)>
    where
        K: Fn(Block) -> Result<T> + Sync,
    {
        let mut decoder = bz2::Decoder::new(file.bytes()).map_err(Error::io(self.path, "decode"))?;
        let (mut all, mut census) = (Vec::new(), Census::default());
        let mut text = Vec::new(); // begins with the start of a line that the last batch did not end
        loop {
            let batch = decoder.next_batch().map_err(Error::io(self.path, "decode"))?;
            let last = batch.is_none();
            text.extend(batch.unwrap_or_default());
            let end = if last { text.len() } else { memchr::memrchr(b'\n', &text).map_or(0, |newline| newline + 1) };
            let (parsed, counted) = self.parse(blocks_of(&text[..end]).map(|block| Ok(Cow::Borrowed(block))), |_| ());
            let before = all.len();
            all.extend(parsed.into_iter().map(|(place, kept)| (before + place, kept)));
            census = census.merge(counted);
            text.drain(..end);
            if last || self.failed.load(Ordering::Relaxed) {
                return Ok((all, census));
            }
            if text.len() > LONGEST_LINE {
                return Err(Error::io(self.path, "read")(endless_line()));
            }
        }
    }

    /// What is kept, in the order of the text, or the first that is wrong.
    fn in_order<T>(&self, mut parsed: Places<T>) -> Result<Vec<T>> {
        parsed.sort_unstable_by_key(|&(place, _)| place);
        let mut lines_before = 0;
        let mut whole = Vec::with_capacity(parsed.len());
        for (_, kept) in parsed {
            let (kept, lines, fault) = kept?;
            if let Some(Fault { line, what }) = fault {
                return Err(Error::Line { path: self.path.to_owned(), line: lines_before + line, what });
            }
            lines_before += lines;
            whole.push(kept);
        }
        Ok(whole)
    }
}

fn endless_line() -> std::io::Error {
    std::io::Error::other("a line has no end for a gigabyte; LIBSVM text is wanted")
}

fn parse_block(text: &[u8], numbers: FeatureNumbers) -> Parsed {
    let mut block = Block::default();
    block.pairs.reserve(text.len() / 4); // as many pairs as there can be: what is not written takes no memory
    advise_huge_pages(&mut block.pairs);
    let (mut rest, mut lines, mut fault) = (text, 0, None);
    while !rest.is_empty() && fault.is_none() {
        lines += 1;
        match parse_line(rest, numbers, &mut block) {
            Ok(after) => rest = after,
            Err(what) => fault = Some(Fault { line: lines, what }),
        }
    }
    block.pairs.shrink_to_fit();
    Parsed { block, lines, fault }
}

/// Appends the first line's example, if it has one, to the block; returns the lines after it.
fn parse_line<'a>(text: &'a [u8], wanted: FeatureNumbers, block: &mut Block) -> std::result::Result<&'a [u8], String> {
    let mut rest = skip_blanks(text);
    if is_over(rest) {
        return Ok(after_line(rest));
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
    rest = after.strip_prefix(b" ").unwrap_or(after);

    let start = block.pairs.len();
    let (mut next, mut sorted) = (0, true); // the lowest number that is no step back
    loop {
        if let Some(PlainPair { index, value, length, end }) = plain_pair(rest).filter(|pair| pair.index > 0) {
            sorted &= next <= index;
            next = index + 1;
            block.pairs.push(Pair::new(index, value));
            if end == b' ' {
                rest = &rest[length + 1..];
                continue;
            }
            rest = &rest[length..];
        }
        rest = skip_blanks(rest);
        if is_over(rest) {
            break;
        }
        let Some((index, after)) = index(rest) else {
            if rest.starts_with(b"qid:") {
                rest = &rest[token(rest).len()..];
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
        sorted &= next <= index as u32;
        next = index as u32 + 1;
        block.pairs.push(Pair::new(index as u32, value));
        rest = after;
    }
    if !sorted {
        let mut row = block.pairs[start..].to_vec();
        row.sort_unstable();
        if let Some(twice) = row.windows(2).find(|pair| pair[0].number() == pair[1].number()) {
            return Err(format!("feature {} occurs twice; each feature once is wanted", twice[0].number()));
        }
    }
    block.targets.push(target);
    block.ends.push(block.pairs.len());
    Ok(after_line(rest))
}

fn bad_pair(token: &[u8]) -> String {
    format!("'{}' is no index:value pair; a whole number, a colon and a finite number are wanted", shown(token))
}

/// Whether nothing of a line is left but a comment.
fn is_over(text: &[u8]) -> bool {
    matches!(text.first(), None | Some(b'\n' | b'#'))
}

/// What follows the line of which this is the end.
fn after_line(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(b'\n') => &text[1..],
        _ => memchr(b'\n', text).map_or(&[], |newline| &text[newline + 1..]),
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[blanks..]
}

/// The text up to the next blank or the end of the line.
fn token(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|&byte| is_blank(byte) || byte == b'\n').unwrap_or(text.len())]
}

/// A token as a message shows it: at most 40 bytes, without control characters.
fn shown(token: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&token[..token.len().min(40)]).chars().flat_map(char::escape_debug).collect();
    if token.len() > 40 { text + "..." } else { text }
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
        let pairs: Vec<(u32, f32)> = block.pairs.iter().map(|pair| (pair.number(), pair.value())).collect();
        assert_eq!(pairs, [(3, 0.5), (1, -0.2), (2, 0.25), (7, 1.0)]);
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
