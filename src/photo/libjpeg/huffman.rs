//! Huffman codes and the bits they are read from.

/// Codes up to this length are decoded by one table lookup, together with the number after them if it fits.
const LOOKUP_BITS: u32 = 10;

#[derive(Debug)]
pub struct Table {
    lookup: Box<[LookupEntry; 1 << LOOKUP_BITS]>,
    /// For each length, the first number after its codes, aligned to 16 bits.
    ends: [u32; 17],
    /// For each length, the difference between a code and its index in `symbols`.
    offsets: [i32; 17],
    symbols: [u8; 256],
}

/// A lookup entry, packed into 32 bits so that the tables of a picture fit in the L1 cache: from the top the number,
/// the symbol, the length of code and number together (0 if the number must be read separately), and the length of the
/// code (0 if it is longer than a lookup).
#[derive(Clone, Copy, Debug, Default)]
struct LookupEntry(u32);

impl LookupEntry {
    fn new(length: u32, symbol: u8) -> Self {
        Self(u32::from(symbol) << 8 | length)
    }

    fn with_number(self, size: u32, number: i32) -> Self {
        Self(self.0 | (self.length() + size) << 4 | (number as u32) << 16)
    }

    #[inline(always)]
    fn length(self) -> u32 {
        self.0 & 15
    }

    #[inline(always)]
    fn total_length(self) -> u32 {
        self.0 >> 4 & 15
    }

    #[inline(always)]
    fn symbol(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline(always)]
    fn number(self) -> i32 {
        self.0 as i32 >> 16
    }
}

impl Table {
    /// Builds the table; `None` if the counts are no Huffman code.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: Box::new([LookupEntry::default(); 1 << LOOKUP_BITS]),
            ends: [0; 17],
            offsets: [0; 17],
            symbols: [0; 256],
        };
        table.symbols.get_mut(..symbols.len())?.copy_from_slice(symbols);
        let (mut code, mut at) = (0_u32, 0_usize);
        for (length, &count) in (1..).zip(counts) {
            table.offsets[length] = at as i32 - code as i32;
            for _ in 0..count {
                if code >= (1 << length) || at >= symbols.len() {
                    return None;
                }
                table.put(code, length as u32, symbols[at]);
                code += 1;
                at += 1;
            }
            table.ends[length] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// Decodes a code that is longer than a lookup: its length and its symbol.
    #[cold]
    fn long(&self, bits: u64) -> Option<(u32, u8)> {
        let sixteen = (bits >> 48) as u32;
        let length = (LOOKUP_BITS as usize + 1..17).find(|length| sixteen < self.ends[*length])?;
        let place = (sixteen >> (16 - length)) as i32 + self.offsets[length];
        Some((length as u32, *self.symbols.get(usize::try_from(place).ok()?)?))
    }

    fn put(&mut self, code: u32, length: u32, symbol: u8) {
        if length > LOOKUP_BITS {
            return;
        }
        let free = LOOKUP_BITS - length;
        let size = u32::from(symbol & 15);
        for rest in 0..1_u32 << free {
            let mut entry = LookupEntry::new(length, symbol);
            if size <= free {
                entry = entry.with_number(size, extend(rest >> (free - size), size));
            }
            self.lookup[((code << free) | rest) as usize] = entry;
        }
    }
}

/// Converts `size` bits to a number; a leading 0 means negative.
#[inline(always)]
fn extend(bits: u32, size: u32) -> i32 {
    if size == 0 || bits >> (size - 1) != 0 { bits as i32 } else { bits as i32 - ((1 << size) - 1) }
}

/// A reader of entropy-coded bits up to the next marker; after that it returns zeros and counts them.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    count: u32,
    padding_bits: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0, padding_bits: 0 }
    }

    /// Fills the buffer to at least 56 bits.
    #[inline(always)]
    fn refill(&mut self) {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*next);
            let marks = (!word).wrapping_sub(LOW) & word & HIGH;
            if marks == 0 {
                // The bits beyond `count` are written again, with the same values, at the next refill.
                self.buffer |= word >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
                self.count |= 0x38;
                return;
            }
        }
        *self = self.refilled_bytewise();
    }

    /// By value, so that the reader can stay in registers.
    #[cold]
    fn refilled_bytewise(mut self) -> Self {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at) {
                Some(0xff) if self.bytes.get(self.at + 1) == Some(&0) => {
                    self.at += 2;
                    0xff
                }
                None | Some(0xff) => {
                    self.padding_bits += 8;
                    0
                }
                Some(byte) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    #[inline(always)]
    fn drop(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// Ensures that the buffer holds a code and the number after it.
    #[inline(always)]
    fn ready(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    /// Whether more bits were read than there are.
    pub fn overrun(&self) -> bool {
        self.padding_bits > self.count
    }

    /// Reads a symbol; `None` if the bits are no code.
    #[inline(always)]
    pub fn symbol(&mut self, table: &Table) -> Option<u8> {
        self.ready();
        let entry = table.lookup[(self.buffer >> (64 - LOOKUP_BITS)) as usize];
        if entry.length() == 0 {
            let (length, symbol) = table.long(self.buffer)?;
            self.drop(length);
            return Some(symbol);
        }
        self.drop(entry.length());
        Some(entry.symbol())
    }

    /// Reads a symbol, and the number whose size is in its lower half.
    #[inline(always)]
    pub fn symbol_and_number(&mut self, table: &Table) -> Option<(u8, i32)> {
        self.ready();
        let entry = table.lookup[(self.buffer >> (64 - LOOKUP_BITS)) as usize];
        if entry.total_length() != 0 {
            self.drop(entry.total_length());
            return Some((entry.symbol(), entry.number()));
        }
        let symbol = self.symbol(table)?;
        let size = u32::from(symbol & 15);
        Some((symbol, extend(self.raw(size), size)))
    }

    /// Reads `size` bits, at most 16.
    #[inline(always)]
    pub fn raw(&mut self, size: u32) -> u32 {
        if size == 0 {
            return 0;
        }
        if self.count < 16 {
            self.refill();
        }
        let bits = (self.buffer >> (64 - size)) as u32;
        self.drop(size);
        bits
    }

    /// The position of the next marker; `None` unless all data before it were read.
    pub fn marker(&mut self) -> Option<usize> {
        *self = self.refilled_bytewise();
        let used_up = self.padding_bits > 0 && !self.overrun() && self.count - self.padding_bits < 8;
        used_up.then_some(self.at)
    }

    /// Reads the restart marker that must follow.
    pub fn restart(&mut self, number: u8) -> Option<()> {
        let rest = self.bytes.get(self.marker()?..)?;
        let filler = rest.iter().take_while(|byte| **byte == 0xff).count();
        *self = Self::new(self.bytes, self.at + filler + 1);
        (filler > 0 && rest.get(filler) == Some(&(0xd0 + number % 8))).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 … and one of 16 bits, for symbols of growing size.
    fn table() -> Table {
        let mut counts = [0; 16];
        counts[..4].copy_from_slice(&[1, 1, 1, 1]);
        counts[15] = 1;
        Table::new(&counts, &[0, 1, 0x22, 0x0f, 0x13]).expect("a code")
    }

    #[test]
    fn short_and_long_codes_and_their_numbers() {
        // 0 | 10 1 | 110 01 | 1110 011111111111111 | 1111000000000000 101
        let text = ["0", "101", "11001", "1110011111111111111", "1111000000000000101"].concat();
        let mut bytes: Vec<u8> = Vec::new();
        for bits in text.as_bytes().chunks(8) {
            let byte = bits.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0')) << (8 - bits.len());
            bytes.push(byte);
            bytes.extend((byte == 0xff).then_some(0));
        }
        let padding = text.len().div_ceil(8) * 8 - text.len();
        *bytes.last_mut().unwrap() |= (1 << padding) - 1;
        bytes.extend([0xff, 0xff, 0xd9]);
        let mut bits = Bits::new(&bytes, 0);
        let table = table();
        let read: Vec<_> = (0..5).map(|_| bits.symbol_and_number(&table)).collect();
        let wanted = [(0, 0), (1, 1), (0x22, -2), (0x0f, -16384), (0x13, 5)];
        assert_eq!(read, wanted.map(Some));
        assert_eq!(bits.marker(), Some(bytes.len() - 3));
        bits.raw(16);
        assert!(bits.overrun());
    }

    #[test]
    fn counts_that_are_no_code_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_none());
        counts[0] = 1;
        assert!(Table::new(&counts, &[]).is_none());
    }

    #[test]
    fn data_left_before_a_marker_are_noticed() {
        assert!(Bits::new(&[1, 2, 3, 0xff, 0xd9], 0).marker().is_none());
        assert!(Bits::new(&[0x7f; 64], 0).marker().is_none());
    }
}
