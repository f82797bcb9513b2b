//! The course of a training run as a picture: SVG, drawn here.

use std::fmt::Write as _;

use super::checkpoint::Epoch;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const MARGIN: [f64; 4] = [34.0, 150.0, 28.0, 52.0];
const COLOURS: [&str; 8] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7ea4", "#bf3989", "#57606a"];

/// One panel for losses, one for every figure measured after epochs.
pub fn svg(title: &str, history: &[Epoch]) -> String {
    let loss = vec![("train loss".to_owned(), history.iter().map(|e| (e.epoch as f64, e.train_loss)).collect())];
    let mut names: Vec<&String> = history.iter().flat_map(|epoch| epoch.metrics.keys()).collect();
    names.sort();
    names.dedup();
    let figure = |name: &String| {
        let points = history.iter().filter_map(|epoch| Some((epoch.epoch as f64, *epoch.metrics.get(name)?)));
        (name.clone(), points.collect())
    };
    let figures: Vec<Line> = names.into_iter().map(figure).collect();
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"11\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
        2.0 * HEIGHT
    );
    panel(&mut out, 0.0, title, &loss);
    panel(&mut out, HEIGHT, "measured after each epoch", &figures);
    out.push_str("</svg>\n");
    out
}

type Line = (String, Vec<(f64, f64)>);

fn panel(out: &mut String, top: f64, title: &str, lines: &[Line]) {
    let points = || lines.iter().flat_map(|(_, points)| points).filter(|(_, y)| y.is_finite());
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = points().map(pick).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if high > low { (low, high) } else { (low.min(high) - 0.5, low.max(high) + 0.5) }
    };
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let _ = write!(out, "<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{title}</text>", MARGIN[3], top + 18.0);
    if points().next().is_none() {
        return;
    }
    let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
    let (left, right) = (MARGIN[3], WIDTH - MARGIN[1]);
    let (high, low) = (top + MARGIN[0], top + HEIGHT - MARGIN[2]);
    let place =
        |(x, y): (f64, f64)| (left + (x - x0) / (x1 - x0) * (right - left), low - (y - y0) / (y1 - y0) * (low - high));
    for step in 0..=4 {
        let y = y0 + (y1 - y0) * f64::from(step) / 4.0;
        let at = place((x0, y)).1;
        let _ = write!(
            out,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d8dee4\"/><text x=\"{}\" \
             y=\"{:.1}\" text-anchor=\"end\">{y:.3}</text>",
            left - 5.0,
            at + 4.0
        );
    }
    for (x, anchor) in [(x0, "start"), (x1, "end")] {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">epoch {x:.0}</text>",
            place((x, y0)).0,
            low + 16.0
        );
    }
    for (i, (name, line)) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let path: Vec<String> = line
            .iter()
            .filter(|(_, y)| y.is_finite())
            .map(|&point| {
                let (x, y) = place(point);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = write!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/><text x=\"{}\" y=\"{:.1}\" \
             fill=\"{colour}\">{name}</text>",
            path.join(" "),
            right + 8.0,
            high + 10.0 + 15.0 * i as f64
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_gets_a_line_and_a_name() {
        let epoch = |epoch| Epoch {
            epoch,
            steps: epoch * 10,
            learning_rate: 1e-3,
            train_loss: 1.0 / epoch as f64,
            gradient: 1.0,
            seconds: 1.0,
            best: false,
            metrics: [("srcc".to_owned(), 0.1 * epoch as f64)].into(),
        };
        let picture = svg("a < b", &[epoch(1), epoch(2), epoch(3)]);
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains(">srcc<") && picture.contains("a &lt; b") && picture.ends_with("</svg>\n"));
        assert!(!svg("nothing yet", &[]).contains("polyline"));
    }
}
