//! A plot as SVG: dots, lines, two axes.

use std::fmt::Write;

/// What is drawn.
pub struct Plot {
    pub title: String,
    pub x_max: f64,
    pub x_unit: &'static str,
    pub y_max: f64,
    pub dots: Vec<(f64, f64)>,
    pub lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Around the axes: left, top, right, bottom.
const MARGINS: [f64; 4] = [44.0, 34.0, 12.0, 44.0];
const COLOURS: [&str; 2] = ["#c03020", "#2060b0"];

impl Plot {
    pub fn to_svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{}\" y=\"20\" font-size=\"14\">{}</text>\n",
            MARGINS[0], self.title,
        );
        self.axes(&mut svg);
        if !self.dots.is_empty() {
            // A line of no length with round ends is a dot.
            let dots: String = self.dots.iter().map(|dot| format!("M{}h0", self.place(*dot))).collect();
            let style = "stroke=\"#555\" stroke-width=\"2\" stroke-linecap=\"round\" opacity=\"0.6\"";
            let _ = writeln!(svg, "<path d=\"{dots}\" fill=\"none\" {style}/>");
        }
        for (index, (name, points)) in self.lines.iter().enumerate() {
            self.line(&mut svg, index, name, points);
        }
        svg + "</svg>\n"
    }

    fn line(&self, svg: &mut String, index: usize, name: &str, points: &[(f64, f64)]) {
        let (mut path, mut last) = (String::new(), None);
        for (n, point) in points.iter().enumerate() {
            // Where nothing changes, the ends are enough.
            let straight = |next: &(f64, f64)| (next.1 - point.1).abs() < 0.1;
            if last == Some((point.1 * 10.0).round()) && points.get(n + 1).is_some_and(straight) {
                continue;
            }
            last = Some((point.1 * 10.0).round());
            let _ = write!(path, "{}{}", if n == 0 { "M" } else { "L" }, self.place(*point));
        }
        let (colour, x) = (COLOURS[index % COLOURS.len()], MARGINS[0] + 20.0 + 260.0 * index as f64);
        let y = HEIGHT - 8.0;
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
        let _ = writeln!(svg, "<path d=\"M{} {}h16\" stroke=\"{colour}\" stroke-width=\"3\"/>", x - 20.0, y - 4.0);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{name}</text>");
    }

    fn axes(&self, svg: &mut String) {
        const PARTS: u32 = 4;
        let (left, right) = (MARGINS[0], WIDTH - MARGINS[2]);
        for part in 0..=PARTS {
            let share = f64::from(part) / f64::from(PARTS);
            let [x, y] = self.scale((self.x_max * share, self.y_max * share));
            let _ = writeln!(svg, "<path d=\"M{left} {y}H{right}\" stroke=\"#ddd\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                self.y_max * share
            );
            let (anchor, label) = (if part == PARTS { "end" } else { "middle" }, self.x_max * share);
            let y = HEIGHT - MARGINS[3] + 16.0;
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{label} {}</text>", self.x_unit);
        }
    }

    fn place(&self, point: (f64, f64)) -> String {
        let [x, y] = self.scale(point);
        format!("{} {}", (x * 10.0).round() / 10.0, (y * 10.0).round() / 10.0)
    }

    fn scale(&self, (x, y): (f64, f64)) -> [f64; 2] {
        let [left, top, right, bottom] = MARGINS;
        let height = HEIGHT - top - bottom;
        let y = y.clamp(0.0, self.y_max);
        [left + x / self.x_max * (WIDTH - left - right), top + height - y / self.y_max * height]
    }
}
