//! A reader of bits, most significant first, for the headers of coded pictures.

pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// At most 32 bits.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.data.len() * 8)?;
        Some(())
    }

    /// An Exp-Golomb coded number: as many zeros as there are bits after the first one bit.
    pub fn golomb(&mut self) -> Option<u32> {
        let zeros = (0..32).find(|_| self.flag() != Some(false))?;
        // The one bit that ended the zeros is the first bit.
        (1_u32.checked_shl(zeros)? - 1).checked_add(self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_after_golomb() {
        // 1, 010, 011, 00100, 00111: 0, 1, 2, 3, 6.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0011, 0b1000_0000]);
        let numbers: Vec<_> = (0..5).map(|_| bits.golomb().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 6]);
        assert_eq!(Bits::new(&[0; 8]).golomb(), None);
    }
}
