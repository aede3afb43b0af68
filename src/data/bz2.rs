//! A .bz2 file decoded on all cores. Its blocks of 0.1 to 0.9 MB know nothing of each other, but nothing says where they
//! begin: each does with the 48 bits of pi, at any bit, and the last of a stream is followed by those of its square root.
//!
//! ```text
//! file   = stream ..                    stream = "BZh" level  block ..  17 72 45 38 50 90  crc of the stream  padding
//! block  = 31 41 59 26 53 59  crc  ..   crc of the stream: rotated left by 1, xor the next block's
//! ```
//!
//! A block found is decoded as a stream of its own, by the same library as any other, which checks its crc. Should those bits
//! occur by chance inside a block (once in 10^14 bits), its first part fails, and is tried again together with the next, a
//! few times: who makes a file of such blocks on purpose is refused.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Read, Result};
use std::ops::Range;

use rayon::prelude::*;

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
const MAGIC_BITS: usize = 48;
const CRC_BITS: usize = 32;
/// "BZh" and the level.
const HEAD_BITS: usize = 32;
/// Text of each thread that is decoded before anything is done with it.
const BATCH_BYTES: usize = 4 << 20;
/// So many times a block that fails is tried together with what follows.
const MOST_JOINS: usize = 4;

/// What stands between two magic numbers.
enum Piece {
    /// A block, or a part of it, in bits of the file.
    Block { level: u8, bits: Range<usize> },
    /// The end of a stream, and its crc.
    End { crc: u32 },
}

/// The decoded bytes of a file, batch by batch. Parallel on the current rayon pool.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// Whether two bytes may be the second and third of a magic number.
    may_be_magic: Vec<bool>,
    /// Where the next piece begins.
    at: usize,
    /// Of the stream that it is in: a block has so many times 100,000 bytes at most.
    level: u8,
    /// Of the blocks of a stream that have been decoded so far.
    crc: u32,
    batch_bytes: usize,
    done: bool,
}

impl<'a> Decoder<'a> {
    /// Of a whole file's bytes.
    ///
    /// # Errors
    /// If they do not begin as a .bz2 does.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut may_be_magic = vec![false; 1 << 16];
        for magic in [BLOCK, END] {
            (0..8).for_each(|shift| may_be_magic[(magic >> (24 + shift)) as usize & 0xffff] = true);
        }
        let level = level_at(bytes, 0).ok_or_else(|| damaged("no stream begins where one should"))?;
        let batch_bytes = BATCH_BYTES * rayon::current_num_threads();
        Ok(Self { bytes, may_be_magic, at: HEAD_BITS, level, crc: 0, batch_bytes, done: false })
    }

    /// The next decoded bytes; none at the end.
    ///
    /// # Errors
    /// If the file is damaged or ends too soon.
    pub fn next_batch(&mut self) -> Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let (mut pieces, mut n_bytes) = (Vec::new(), 0);
        while !self.done && n_bytes < self.batch_bytes {
            let piece = self.next_piece()?;
            n_bytes += usize::from(matches!(piece, Piece::Block { .. })) * block_bytes(self.level);
            pieces.push(piece);
        }
        let decoded: Vec<Result<Vec<u8>>> = pieces.par_iter().map(|piece| self.decoded(piece)).collect();
        self.put_together(pieces.into_iter().zip(decoded).collect()).map(Some)
    }

    /// Finds what stands next in the file.
    fn next_piece(&mut self) -> Result<Piece> {
        let start = self.at;
        if self.bits(start, MAGIC_BITS) == Some(END)
            && let Some(crc) = self.bits(start + MAGIC_BITS, CRC_BITS)
        {
            let next = (start + MAGIC_BITS + CRC_BITS).div_ceil(8);
            let level = level_at(self.bytes, next);
            self.done = next == self.bytes.len();
            if self.done || level.is_some() {
                (self.at, self.level) = (8 * next + HEAD_BITS, level.unwrap_or(self.level));
                return Ok(Piece::End { crc: crc as u32 });
            }
        }
        self.at = self.magic_after(start + MAGIC_BITS).ok_or_else(|| match self.bits(start, MAGIC_BITS) {
            Some(END) => damaged("after the end of a stream neither the file ends nor another stream begins"),
            _ => too_short(),
        })?;
        Ok(Piece::Block { level: self.level, bits: start..self.at })
    }

    /// The text of a batch's pieces. The file is read on where the last block has not come to its end.
    fn put_together(&mut self, mut pieces: VecDeque<(Piece, Result<Vec<u8>>)>) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        while let Some((mut piece, mut decoded)) = pieces.pop_front() {
            for _ in 0..MOST_JOINS {
                if decoded.is_ok() {
                    break;
                }
                if pieces.is_empty() && !self.done {
                    pieces.push_back((self.next_piece()?, Err(damaged("not decoded yet"))));
                }
                let (Piece::Block { bits, .. }, Some((Piece::Block { bits: more, .. }, _))) = (&mut piece, pieces.front()) else {
                    break;
                };
                bits.end = more.end;
                pieces.pop_front();
                decoded = self.decoded(&piece);
            }
            match piece {
                Piece::Block { ref bits, .. } => {
                    text.extend(decoded?);
                    self.crc = self.crc.rotate_left(1) ^ self.crc_of(bits)?;
                }
                Piece::End { crc } if crc == self.crc => self.crc = 0,
                Piece::End { .. } => return Err(damaged("a stream's checksum is wrong")),
            }
        }
        Ok(text)
    }

    /// A block's bytes.
    fn decoded(&self, piece: &Piece) -> Result<Vec<u8>> {
        let Piece::Block { level, bits: Range { start, end } } = *piece else { return Ok(Vec::new()) };
        if self.bits(start, MAGIC_BITS) != Some(BLOCK) {
            return Err(damaged("neither a block nor the end of a stream where one of them should be"));
        }
        let mut stream = BitWriter { bytes: vec![b'B', b'Z', b'h', level], last: 0, n_last: 0 };
        let (first, shift, n_bytes) = (start / 8, start % 8, (end - start) / 8);
        let pairs = self.bytes.get(first..=first + n_bytes).ok_or_else(too_short)?.windows(2);
        stream.bytes.extend(pairs.map(|pair| (u16::from_be_bytes([pair[0], pair[1]]) << shift >> 8) as u8));
        let n_bits = (end - start) % 8;
        stream.push(self.bits(end - n_bits, n_bits).ok_or_else(too_short)?, n_bits);
        stream.push(END, MAGIC_BITS);
        stream.push(self.crc_of(&(start..end))?.into(), CRC_BITS);
        let mut text = Vec::with_capacity(block_bytes(level));
        bzip2::read::BzDecoder::new(stream.finish().as_slice()).read_to_end(&mut text)?;
        Ok(text)
    }

    /// The crc that a block says it has.
    fn crc_of(&self, bits: &Range<usize>) -> Result<u32> {
        self.bits(bits.start + MAGIC_BITS, CRC_BITS).map(|crc| crc as u32).ok_or_else(too_short)
    }

    /// Where the next magic number begins, from this bit on.
    fn magic_after(&self, from: usize) -> Option<usize> {
        let pairs = self.bytes.windows(2).enumerate().skip(from / 8 + 1);
        let likely = pairs.filter(|(_, pair)| self.may_be_magic[usize::from(pair[0]) << 8 | usize::from(pair[1])]);
        let is_magic = |&at: &usize| at >= from && matches!(self.bits(at, MAGIC_BITS), Some(BLOCK | END));
        likely.flat_map(|(second, _)| 8 * (second - 1)..8 * second).find(is_magic)
    }

    /// Up to 56 bits from a bit on, if there are so many.
    fn bits(&self, at: usize, n: usize) -> Option<u64> {
        let mut window = [0; 8];
        let (first, end) = (at / 8, (at + n).div_ceil(8));
        window[..end.checked_sub(first)?].copy_from_slice(self.bytes.get(first..end)?);
        Some((u64::from_be_bytes(window) << (at % 8)).checked_shr(64 - n as u32).unwrap_or(0))
    }
}

/// The level of the stream that begins at this byte, if one does.
fn level_at(bytes: &[u8], first: usize) -> Option<u8> {
    match bytes.get(first..first + 4) {
        Some(&[b'B', b'Z', b'h', level @ b'1'..=b'9']) => Some(level),
        _ => None,
    }
}

/// How many bytes a block of this level has at most, before runs of one byte in it are counted.
fn block_bytes(level: u8) -> usize {
    usize::from(level - b'0') * 100_000
}

fn too_short() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the .bz2 ends in the middle of a block")
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the .bz2 is damaged: {what}"))
}

/// Bytes written bit by bit.
struct BitWriter {
    bytes: Vec<u8>,
    last: u64,
    n_last: usize,
}

impl BitWriter {
    /// Appends the lowest `n` bits, 48 at most.
    fn push(&mut self, value: u64, n: usize) {
        (self.last, self.n_last) = (self.last << n | value, self.n_last + n);
        while self.n_last >= 8 {
            self.n_last -= 8;
            self.bytes.push((self.last >> self.n_last) as u8);
        }
        self.last &= (1 << self.n_last) - 1;
    }

    fn finish(mut self) -> Vec<u8> {
        if self.n_last > 0 {
            self.push(0, 8 - self.n_last);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bzip2::Compression;
    use bzip2::write::BzEncoder;

    use super::*;

    fn packed(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
        let (mut decoder, mut text) = (Decoder::new(bytes)?, Vec::new());
        while let Some(batch) = decoder.next_batch()? {
            text.extend(batch);
        }
        Ok(text)
    }

    fn text(n: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut number = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 40
        };
        let mut text = Vec::new();
        while text.len() < n {
            text.extend(format!("{} {}:0.{} ", number() % 2, number() % 5000, number()).bytes());
        }
        text.truncate(n);
        text
    }

    #[test]
    fn what_was_packed_comes_back_however_many_blocks_and_streams_there_are() {
        for n in [0, 1, 99_000, 100_000, 1_234_567] {
            for level in [1, 9] {
                assert!(unpacked(&packed(&text(n), level)).expect("whole") == text(n), "{n} bytes at level {level}");
            }
        }
        let many: Vec<u8> = [300_000, 0, 7, 120_000].into_iter().flat_map(|n| packed(&text(n), 1)).collect();
        let whole: Vec<u8> = [300_000, 0, 7, 120_000].into_iter().flat_map(text).collect();
        assert!(unpacked(&many).expect("whole") == whole);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        let several_batches = one.install(|| unpacked(&packed(&text(9_000_000), 1)));
        assert!(several_batches.expect("whole") == text(9_000_000));
    }

    /// Five blocks, valid for every decoder, with both magic numbers among their Huffman codes.
    const BORDERS: &str = "425a6839314159265359969c48f5000000480000107fe0200022000080005ba47b9b3b296a559aa93141592653598454a823\
         c3141592653594371820a000000480000107fe0200022000080004b26269b888b94732495c3141592653596b03b497000000\
         480000107fe0200022000080006868a8b7ab8b5726b47a177245385090bb35b663c314159265359eaeefc470000004800001\
         07fe0200041000040001cc9b9c21344195d945b98a0ac9329acd35293118bb9229c28481dd12c35e18a0ac9329acc75d0082\
         000000240000083ff0100011000040003213bba444d45d1dd3428bb9229c28483435353960bb9229c28484290da6e8";

    #[test]
    fn borders_that_are_none_are_passed_over_also_at_the_end_of_a_batch() {
        let bytes: Vec<u8> =
            (0..BORDERS.len()).step_by(2).map(|k| u8::from_str_radix(&BORDERS[k..k + 2], 16).expect("hex")).collect();
        let mut expected = Vec::new();
        bzip2::read::BzDecoder::new(bytes.as_slice()).read_to_end(&mut expected).expect("valid");
        for n_streams in [1, 3] {
            for batch_bytes in [1, 900_001, 1_800_001, 2_700_001, 3_600_001, BATCH_BYTES] {
                let bytes = bytes.repeat(n_streams);
                let mut decoder = Decoder { batch_bytes, ..Decoder::new(&bytes).expect("a file") };
                let mut text = Vec::new();
                while let Some(batch) = decoder.next_batch().expect("valid") {
                    text.extend(batch);
                }
                assert!(text == expected.repeat(n_streams), "{n_streams} streams, batches of {batch_bytes}");
            }
        }
    }

    #[test]
    fn many_streams_are_decoded_in_batches_as_one_is() {
        let text = text(120_000);
        let bytes = packed(&text, 1).repeat(50);
        let mut decoder = Decoder { batch_bytes: 1_000_000, ..Decoder::new(&bytes).expect("a file") };
        let mut whole = Vec::new();
        while let Some(batch) = decoder.next_batch().expect("valid") {
            assert!(batch.len() <= 1_000_000);
            whole.extend(batch);
        }
        assert!(whole == text.repeat(50));
    }

    #[test]
    fn damage_is_an_error_and_never_other_text() {
        let (whole, bytes) = (text(220_000), packed(&text(220_000), 1));
        for cut in [0, 3, 4, 9, 100, bytes.len() / 2, bytes.len() - 5, bytes.len() - 1] {
            assert!(unpacked(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut harmless = 0; // the level may say more than is needed, and the last bits mean nothing
        for k in 0..300 {
            let mut spoilt = bytes.clone();
            spoilt[k * bytes.len() / 300] ^= 1 << (k % 8);
            if let Ok(text) = unpacked(&spoilt) {
                assert!(text == whole, "bit {k}");
                harmless += 1;
            }
        }
        assert!(harmless <= 2, "{harmless} of 300 spoilt bits were not seen");
        assert!(unpacked(&[&bytes[..], b"more"].concat()).is_err());
    }
}
