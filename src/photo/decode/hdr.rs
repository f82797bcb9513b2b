//! Tone mapping of HDR pictures (PQ and HLG, ITU-R BT.2100) to sRGB.
//!
//! Reference white stays near the top, darker levels are unchanged, and highlights above the knee are compressed.
//! Pictures with a gain map do not need this, because their SDR base picture is decoded.

const PQ: u16 = 16;
const HLG: u16 = 18;
/// Luminance of reference white in cd/m² (BT.2408).
const WHITE: f64 = 203.0;
/// The share of white above which light is compressed.
const KNEE: f64 = 0.6;
const STEPS: usize = 1023;

/// A lookup table from coded levels in 0–1 to sRGB levels.
pub struct HdrCurve(Vec<f32>);

impl HdrCurve {
    /// `None` for the transfer characteristics (ISO/IEC 23091-2) of SDR pictures.
    pub fn of(transfer: u16) -> Option<Self> {
        let light = match transfer {
            PQ => pq,
            HLG => hlg,
            _ => return None,
        };
        let level_at = |step: usize| as_srgb(compressed(light(step as f64 / STEPS as f64) / WHITE)) as f32;
        Some(Self((0..=STEPS).map(level_at).collect()))
    }

    pub fn map(&self, coded: [f32; 3]) -> [f32; 3] {
        coded.map(|level| self.0[(level.clamp(0.0, 1.0) * STEPS as f32 + 0.5) as usize])
    }
}

fn pq(level: f64) -> f64 {
    const M: [f64; 2] = [2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0];
    const C: [f64; 3] = [3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0];
    let root = level.powf(1.0 / M[1]);
    10_000.0 * ((root - C[0]).max(0.0) / (C[1] - C[2] * root)).powf(1.0 / M[0])
}

/// Display light on a screen of 1000 cd/m², channel by channel.
fn hlg(level: f64) -> f64 {
    const A: f64 = 0.178_832_77;
    const B: f64 = 0.284_668_92;
    const C: f64 = 0.559_910_73;
    let scene = if level <= 0.5 { level * level / 3.0 } else { (((level - C) / A).exp() + B) / 12.0 };
    1000.0 * scene.powf(1.2)
}

fn compressed(light: f64) -> f64 {
    if light <= KNEE { light } else { KNEE + (1.0 - KNEE) * (1.0 - (-(light - KNEE) / (1.0 - KNEE)).exp()) }
}

fn as_srgb(light: f64) -> f64 {
    if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_is_nearly_white_and_lights_are_brighter_still() {
        // White paper is coded as 0.58 in PQ and 0.75 in HLG; a tenth of its light is sRGB's 0.35.
        for (transfer, paper, tenth) in [(PQ, 0.581, 0.358), (HLG, 0.75, 0.341)] {
            let curve = HdrCurve::of(transfer).unwrap();
            let [black, paper, light] = curve.map([0.0, paper, 1.0]);
            assert!(black < 0.01 && (0.91..0.95).contains(&paper) && light > 0.99, "{black} {paper} {light}");
            let [dark, _, _] = curve.map([tenth; 3]);
            assert!((dark - 0.349).abs() < 0.02, "{transfer}: {dark}");
            assert!(curve.0.windows(2).all(|pair| pair[0] <= pair[1]));
        }
        assert!(HdrCurve::of(13).is_none());
    }
}
