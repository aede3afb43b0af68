//! A .bz2 file decoded on all cores. Its blocks of 0.1 to 0.9 MB know nothing of each other, but nothing says where they
//! begin: each does with the 48 bits of pi, at any bit, and the last of a stream is followed by those of its square root.
//!
//! ```text
//! file   = stream ..                    stream = "BZh" level  block ..  17 72 45 38 50 90  crc of the stream  padding
//! block  = 31 41 59 26 53 59  crc  ..   crc of the stream: rotated left by 1, xor the next block's
//! ```
//!
//! A block found is decoded as a stream of its own, by the same library as any other, which checks its crc. Should the bits
//! of pi occur by chance inside a block (once in 10^14 bits), that block fails, and is tried again together with the next.

use std::io::{Error, ErrorKind, Read, Result};
use std::ops::Range;

use rayon::prelude::*;

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
const MAGIC_BITS: usize = 48;
const CRC_BITS: usize = 32;
/// Blocks of each thread that are decoded before anything is done with them.
const BATCH: usize = 16;

/// A block, in bits of the file.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    level: u8,
    bits: Range<usize>,
}

/// The decoded bytes of a file, batch by batch. Parallel on the current rayon pool.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// Whether two bytes may be the second and third of a magic number.
    may_be_magic: Vec<bool>,
    /// Where the next block or the end of the stream begins.
    at: usize,
    level: u8,
    /// Of the blocks of this stream so far.
    crc: u32,
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
        let mut decoder = Self { bytes, may_be_magic, at: 0, level: 0, crc: 0, done: false };
        decoder.begin_stream(0)?;
        Ok(decoder)
    }

    /// The next decoded bytes; none at the end.
    ///
    /// # Errors
    /// If the file is damaged or ends too soon.
    pub fn next_batch(&mut self) -> Result<Option<Vec<u8>>> {
        let wanted = BATCH * rayon::current_num_threads();
        let (mut blocks, mut text) = (Vec::new(), Vec::new());
        while !self.done && blocks.len() < wanted {
            let end = self.magic_after(self.at + MAGIC_BITS);
            if self.bits(self.at, MAGIC_BITS) == Some(BLOCK) {
                let end = end.ok_or_else(too_short)?;
                blocks.push(Block { level: self.level, bits: self.at..end });
                self.at = end;
            } else {
                self.decode(std::mem::take(&mut blocks), &mut text)?;
                self.end_stream()?;
            }
        }
        self.decode(blocks, &mut text)?;
        Ok((!self.done || !text.is_empty()).then_some(text))
    }

    /// Decodes blocks of one stream and appends them.
    fn decode(&mut self, blocks: Vec<Block>, text: &mut Vec<u8>) -> Result<()> {
        let decoded: Vec<Result<Vec<u8>>> = blocks.par_iter().map(|block| self.decoded(block)).collect();
        let mut pairs = blocks.into_iter().zip(decoded).peekable();
        while let Some((mut block, mut decoded)) = pairs.next() {
            while decoded.is_err()
                && let Some((next, _)) = pairs.next()
            {
                block.bits.end = next.bits.end;
                decoded = self.decoded(&block);
            }
            text.extend(decoded?);
            self.crc = self.crc.rotate_left(1) ^ self.crc_of(&block)?;
        }
        Ok(())
    }

    /// A block's bytes.
    fn decoded(&self, block: &Block) -> Result<Vec<u8>> {
        let Range { start, end } = block.bits;
        let mut stream = BitWriter { bytes: vec![b'B', b'Z', b'h', block.level], last: 0, n_last: 0 };
        let (first, shift, n_bytes) = (start / 8, start % 8, (end - start) / 8);
        let pairs = self.bytes.get(first..=first + n_bytes).ok_or_else(too_short)?.windows(2);
        stream.bytes.extend(pairs.map(|pair| (u16::from_be_bytes([pair[0], pair[1]]) << shift >> 8) as u8));
        let n_bits = (end - start) % 8;
        stream.push(self.bits(end - n_bits, n_bits).ok_or_else(too_short)?, n_bits);
        stream.push(END, MAGIC_BITS);
        stream.push(self.crc_of(block)?.into(), CRC_BITS);
        let mut text = Vec::with_capacity(usize::from(block.level - b'0') * 100_000);
        bzip2::read::BzDecoder::new(stream.finish().as_slice()).read_to_end(&mut text)?;
        Ok(text)
    }

    fn crc_of(&self, block: &Block) -> Result<u32> {
        self.bits(block.bits.start + MAGIC_BITS, CRC_BITS).map(|crc| crc as u32).ok_or_else(too_short)
    }

    fn end_stream(&mut self) -> Result<()> {
        if self.bits(self.at, MAGIC_BITS) != Some(END) {
            return Err(damaged("neither a block nor the end of a stream"));
        }
        let crc = self.bits(self.at + MAGIC_BITS, CRC_BITS).ok_or_else(too_short)?;
        if crc != u64::from(self.crc) {
            return Err(damaged("a stream's checksum is wrong"));
        }
        let next = (self.at + MAGIC_BITS + CRC_BITS).div_ceil(8);
        if next == self.bytes.len() {
            self.done = true;
            return Ok(());
        }
        self.begin_stream(next)
    }

    /// Reads a stream's head at this byte.
    fn begin_stream(&mut self, byte: usize) -> Result<()> {
        let Some(&[b'B', b'Z', b'h', level @ b'1'..=b'9']) = self.bytes.get(byte..byte + 4) else {
            return Err(damaged("no stream begins where one should"));
        };
        (self.at, self.level, self.crc) = (8 * (byte + 4), level, 0);
        Ok(())
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
        assert!(unpacked(&packed(&text(5_000_000), 1)).expect("more than a batch") == text(5_000_000));
    }

    #[test]
    fn a_border_that_is_none_is_passed_over() {
        let bytes = packed(&text(250_000), 1);
        let mut decoder = Decoder::new(&bytes).expect("a file");
        let level = decoder.level;
        let (first, second) = (decoder.at, decoder.magic_after(decoder.at + 48).expect("a second block"));
        let third = decoder.magic_after(second + 48).expect("a third");
        let cut = first + 100_003;
        let mut decoded = Vec::new();
        let blocks = [first..cut, cut..second, second..third].map(|bits| Block { level, bits });
        decoder.decode(blocks.into(), &mut decoded).expect("blocks");
        let mut plain = Vec::new();
        let whole = [first..second, second..third].map(|bits| Block { level, bits });
        Decoder::new(&bytes).expect("a file").decode(whole.into(), &mut plain).expect("blocks");
        assert!(decoded == plain && text(250_000).starts_with(&plain) && plain.len() > 150_000);
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
