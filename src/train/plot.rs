//! Draws SVG charts.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const COLOURS: [&str; 8] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7ea4", "#bf3989", "#57606a"];

/// A bar: a value and its confidence interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Bars whose labels agree up to the first comma have the same colour.
    pub label: String,
    pub value: f64,
    pub range: Option<(f64, f64)>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn svg_head(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"12\" y=\"20\" \
         font-weight=\"bold\">{}</text>",
        escaped(title)
    )
}

/// A chart of horizontal bars from zero, with their confidence intervals.
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
    let mut out = svg_head(title, TOP + STEP * bars.len() as f64 + 24.0);
    let mut groups: Vec<&str> = Vec::new();
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.value.is_finite()) {
        let group = bar.label.split(',').next().unwrap_or_default();
        let number = groups.iter().position(|known| *known == group).unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
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

/// A scatter plot; `across` and `up` name the axes.
pub fn scatter(title: &str, [across, up]: [&str; 2], points: &[(f64, f64)]) -> String {
    const SIDE: f64 = 480.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 40.0;
    let mut out = svg_head(title, TOP + SIDE + 50.0);
    if let Some(frame) = Frame::around(points, [LEFT, TOP, SIDE, SIDE]) {
        frame.rows(&mut out);
        frame.columns(&mut out, 4, |x| format!("{x:.3}"));
        for (x, y) in finite(points).map(|point| frame.place(point)) {
            let colour = COLOURS[0];
            let _ = write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"{colour}\" fill-opacity=\"0.4\"/>");
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

/// A named line through points.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Line charts, one below another, each with its title; `across` names the integers on the x axis.
pub fn charts(charts: &[(&str, Vec<Line>)], across: &str) -> String {
    const HEIGHT: f64 = 220.0;
    const INSIDE: [f64; 4] = [52.0, 34.0, WIDTH - 232.0, HEIGHT - 62.0];
    let [left, top, width, height] = INSIDE;
    let mut out = svg_head("", HEIGHT * charts.len() as f64);
    for (at, (title, lines)) in charts.iter().enumerate() {
        let above = HEIGHT * at as f64;
        let title = escaped(title);
        let _ = write!(out, "<text x=\"{left}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>", above + 18.0);
        let points: Vec<(f64, f64)> = lines.iter().flat_map(|line| line.points.iter().copied()).collect();
        let Some(frame) = Frame::around(&points, [left, above + top, width, height]) else { continue };
        frame.rows(&mut out);
        frame.columns(&mut out, 1, |x| format!("{across} {x:.0}"));
        for (number, line) in lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let place = |point| {
                let (x, y) = frame.place(point);
                format!("{x:.1},{y:.1}")
            };
            let path: Vec<String> = finite(&line.points).map(place).collect();
            let _ = write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                path.join(" "),
                left + width + 8.0,
                above + top + 10.0 + 15.0 * number as f64,
                escaped(&line.name)
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
}

/// The plot area in pixels, and the ranges of its axes.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    /// The frame around the finite points; `None` if there are none.
    fn around(points: &[(f64, f64)], [left, top, width, height]: [f64; 4]) -> Option<Self> {
        finite(points).next()?;
        let range = |pick: fn((f64, f64)) -> f64| {
            let (low, high) = finite(points).map(pick).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            if high > low { (low, high) } else { (low - 0.5, high + 0.5) }
        };
        Some(Self { left, top, width, height, x: range(|p| p.0), y: range(|p| p.1) })
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        (self.left + share(x, self.x) * self.width, self.top + (1.0 - share(y, self.y)) * self.height)
    }

    /// Draws horizontal grid lines with their values.
    fn rows(&self, out: &mut String) {
        for step in 0..=4 {
            let value = self.y.0 + (self.y.1 - self.y.0) * f64::from(step) / 4.0;
            let y = self.place((self.x.0, value)).1;
            let _ = write!(
                out,
                "<path d=\"M{} {y:.1}h{}\" stroke=\"#d8dee4\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{value:.3}</text>",
                self.left,
                self.width,
                self.left - 5.0,
                y + 4.0
            );
        }
    }

    /// Draws vertical grid lines with their labels.
    fn columns(&self, out: &mut String, steps: u32, label_of: impl Fn(f64) -> String) {
        for step in 0..=steps {
            let value = self.x.0 + (self.x.1 - self.x.0) * f64::from(step) / f64::from(steps);
            let x = self.place((value, self.y.0)).0;
            let _ = write!(
                out,
                "<path d=\"M{x:.1} {}v{}\" stroke=\"#d8dee4\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{}</text>",
                self.top,
                self.height,
                self.top + self.height + 16.0,
                escaped(&label_of(value))
            );
        }
    }
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
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.into(), points: points.to_vec() };
        let drawn = charts(
            &[
                ("a < b", vec![line("srcc", &[(1.0, 0.1), (2.0, f64::NAN), (3.0, 0.3)])]),
                ("two", vec![line("x", &[(1.0, 1.0)]), line("y", &[(1.0, 2.0)])]),
            ],
            "epoch",
        );
        assert_eq!((drawn.matches("<polyline").count(), drawn.matches(">epoch 3<").count()), (3, 1));
        assert!(drawn.contains(">srcc<") && drawn.contains("a &lt; b") && !drawn.contains("NaN"), "{drawn}");
        assert!(!charts(&[("nothing yet", vec![line("x", &[])])], "epoch").contains("polyline"));
        for empty in [bars("none", &[]), scatter("none", ["", ""], &[]), scatter("one", ["", ""], &[(1.0, 1.0)])] {
            assert!(empty.ends_with("</svg>\n") && !empty.contains("NaN"), "{empty}");
        }
    }
}
