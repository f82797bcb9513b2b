//! Figures as pictures: SVG, drawn here.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const COLOURS: [&str; 8] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7ea4", "#bf3989", "#57606a"];

/// A figure, and between what it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What stands before the first comma gives the colour.
    pub label: String,
    pub value: f64,
    pub range: Option<(f64, f64)>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn begun(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"12\" y=\"20\" \
         font-weight=\"bold\">{}</text>",
        escaped(title)
    )
}

/// Bars from zero, one under another, with what each may be.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    const LEFT: f64 = 300.0;
    const RIGHT: f64 = WIDTH - 60.0;
    const STEP: f64 = 20.0;
    const TOP: f64 = 40.0;
    let ends = bars.iter().flat_map(|bar| {
        [bar.value, bar.range.map_or(bar.value, |range| range.0), bar.range.map_or(bar.value, |range| range.1)]
    });
    let (low, high) = ends.filter(|v| v.is_finite()).fold((0.0, 0.0), |(l, h): (f64, f64), v| (l.min(v), h.max(v)));
    let high = if high - low > 0.0 { high } else { low + 1.0 };
    let place = |v: f64| LEFT + (v - low) / (high - low) * (RIGHT - LEFT);
    let mut out = begun(title, TOP + STEP * bars.len() as f64 + 24.0);
    let mut parts: Vec<&str> = Vec::new();
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.value.is_finite()) {
        let part = bar.label.split(',').next().unwrap_or_default();
        let number = parts.iter().position(|known| *known == part).unwrap_or_else(|| {
            parts.push(part);
            parts.len() - 1
        });
        let (y, middle) = (TOP + STEP * at as f64, TOP + STEP * at as f64 + 8.0);
        let (from, to) = (place(bar.value.min(0.0)), place(bar.value.max(0.0)));
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{from:.1}\" y=\"{y:.1}\" \
             width=\"{:.1}\" height=\"14\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{:.3}</text>",
            LEFT - 8.0,
            middle + 3.0,
            escaped(&bar.label),
            (to - from).max(0.5),
            COLOURS[number % COLOURS.len()],
            RIGHT + 8.0,
            middle + 3.0,
            bar.value
        );
        if let Some((low, high)) = bar.range.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            let (low, high) = (place(low), place(high));
            let _ = write!(
                out,
                "<path d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\" stroke=\"black\" \
                 fill=\"none\"/>",
                middle - 4.0,
                middle - 4.0
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// A point for every pair of numbers.
pub fn scatter(title: &str, [across, up]: [&str; 2], points: &[(f64, f64)]) -> String {
    const SIDE: f64 = 480.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 40.0;
    let finite = || points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = finite().map(pick).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if high > low { (low, high) } else { (low.min(high).min(0.0), high.max(low).max(1.0)) }
    };
    let mut out = begun(title, TOP + SIDE + 50.0);
    if finite().next().is_some() {
        let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
        for step in 0..=4 {
            let share = f64::from(step) / 4.0;
            let (x, y) = (LEFT + SIDE * share, TOP + SIDE * (1.0 - share));
            let _ = write!(
                out,
                "<path d=\"M{LEFT} {y:.1}h{SIDE}M{x:.1} {TOP}v{SIDE}\" stroke=\"#d8dee4\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\" text-anchor=\"end\">{:.3}</text><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{:.3}</text>",
                LEFT - 5.0,
                y + 4.0,
                y0 + (y1 - y0) * share,
                TOP + SIDE + 16.0,
                x0 + (x1 - x0) * share
            );
        }
        for (x, y) in finite() {
            let _ = write!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{}\" fill-opacity=\"0.4\"/>",
                LEFT + (x - x0) / (x1 - x0) * SIDE,
                TOP + SIDE * (1.0 - (y - y0) / (y1 - y0)),
                COLOURS[0]
            );
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"{:.1}\" y=\"{:.1}\">{}</text></svg>",
        LEFT + SIDE / 2.0,
        TOP + SIDE + 36.0,
        escaped(across),
        LEFT + SIDE + 10.0,
        TOP + 12.0,
        escaped(up)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_drawn_and_what_is_no_number_is_not() {
        let bar = |label: &str, value, range| Bar { label: label.into(), value, range };
        let drawn = bars("a < b", &[bar("all, x", 0.5, Some((0.4, 0.6))), bar("all, y", f64::NAN, None)]);
        assert_eq!((drawn.matches("<rect x=").count(), drawn.matches("<path").count()), (1, 1));
        assert!(drawn.contains("a &lt; b") && drawn.contains("0.500") && !drawn.contains("NaN"));
        let drawn = scatter("s", ["x", "y"], &[(0.0, 1.0), (1.0, 2.0), (f64::INFINITY, 0.0)]);
        assert_eq!(drawn.matches("<circle").count(), 2);
        for empty in [bars("none", &[]), scatter("none", ["", ""], &[]), scatter("one", ["", ""], &[(1.0, 1.0)])] {
            assert!(empty.ends_with("</svg>\n") && !empty.contains("NaN"), "{empty}");
        }
    }
}
