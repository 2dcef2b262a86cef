//! What the writer writes is OpenMetrics, whatever it is given. Checked against the grammar by a reader of our own.

mod grammar;

use grammar::check;
use sx_http::MetricsText;

fn written(fill: impl FnOnce(&mut MetricsText)) -> String {
    let mut text = MetricsText::default();
    fill(&mut text);
    let text = text.finish();
    if let Err(error) = check(&text) {
        panic!("{error}\n{text}");
    }
    text
}

#[test]
fn families_have_their_help_type_unit_and_samples() {
    let text = written(|out| {
        out.counter("strowger_calls_ended", "", "Calls that ended.").sample(&[("cause", "16")], 7u64);
        out.gauge("strowger_uptime", "seconds", "Since the start.").sample(&[], 1.5);
        out.histogram("strowger_setup_seconds", "seconds", "Time to answer.").sample(
            &[("trunk", "a")],
            &[0.5, 1.0],
            &[3, 2, 1],
            4.25,
        );
    });
    assert_eq!(
        text,
        "# HELP strowger_calls_ended Calls that ended.\n\
         # TYPE strowger_calls_ended counter\n\
         strowger_calls_ended_total{cause=\"16\"} 7\n\
         # HELP strowger_uptime_seconds Since the start.\n\
         # TYPE strowger_uptime_seconds gauge\n\
         # UNIT strowger_uptime_seconds seconds\n\
         strowger_uptime_seconds 1.5\n\
         # HELP strowger_setup_seconds Time to answer.\n\
         # TYPE strowger_setup_seconds histogram\n\
         # UNIT strowger_setup_seconds seconds\n\
         strowger_setup_seconds_bucket{trunk=\"a\",le=\"0.5\"} 3\n\
         strowger_setup_seconds_bucket{trunk=\"a\",le=\"1.0\"} 5\n\
         strowger_setup_seconds_bucket{trunk=\"a\",le=\"+Inf\"} 6\n\
         strowger_setup_seconds_count{trunk=\"a\"} 6\n\
         strowger_setup_seconds_sum{trunk=\"a\"} 4.25\n\
         # EOF\n"
    );
}

#[test]
fn a_family_opened_twice_stays_in_one_piece() {
    let text = written(|out| {
        out.gauge("a", "", "A.").sample(&[("n", "1")], 1u32);
        out.gauge("b", "", "B.").sample(&[], 2u32);
        out.gauge("a", "", "A.").sample(&[("n", "2")], 3u32);
    });
    assert!(text.contains("a{n=\"1\"} 1\na{n=\"2\"} 3\n"), "{text}");
}

#[test]
fn a_name_has_one_type() {
    let text = written(|out| {
        out.gauge("a", "", "A.").sample(&[], 1u32);
        out.counter("a", "", "A.").sample(&[], 1u32);
    });
    assert!(text.contains("# TYPE a gauge") && text.contains("# TYPE a_other counter"), "{text}");
}

#[test]
fn labels_and_names_cannot_break_the_text() {
    let text = written(|out| {
        out.counter("1 bad\nname_total", "", "A \"help\"\nwith \\ lines")
            .sample(&[("le", "x"), ("bad label", "a\"b\\c\nd # EOF"), ("bad_label", "twice"), ("", "é")], 1u64);
    });
    assert!(text.contains("_1_bad_name_total{le_=\"x\",bad_label=\"a\\\"b\\\\c\\nd # EOF\",_=\"é\"} 1\n"), "{text}");
}

#[test]
fn values_are_written_as_the_format_wants_them() {
    let text = written(|out| {
        let mut gauge = out.gauge("g", "", "G.");
        for (n, value) in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1, -2.0, 1e300].into_iter().enumerate() {
            gauge.sample(&[("n", &n.to_string())], value);
        }
        gauge.sample(&[("n", "max")], u64::MAX);
        let mut counter = out.counter("c", "", "C.");
        counter.sample(&[("n", "0")], -1i32).sample(&[("n", "1")], f64::NAN).sample(&[("n", "2")], 0.5);
    });
    assert!(
        text.contains("g{n=\"0\"} +Inf\ng{n=\"1\"} -Inf\ng{n=\"2\"} NaN\ng{n=\"3\"} 0.1\ng{n=\"4\"} -2\n"),
        "{text}"
    );
    assert!(text.contains("g{n=\"max\"} 18446744073709551615\n"), "{text}");
    assert!(!text.contains("c_total{n=\"0\"}") && !text.contains("c_total{n=\"1\"}"), "{text}");
}

#[test]
fn a_histogram_with_strange_bounds_is_still_one() {
    written(|out| {
        let mut histogram = out.histogram("h", "", "H.");
        histogram.sample(&[("n", "none")], &[], &[4], 1.0);
        histogram.sample(&[("n", "falling")], &[2.0, 1.0, f64::NAN, f64::INFINITY], &[1, 1, 1, 1, 1], 1.0);
        histogram.sample(&[("n", "short")], &[1.0, 2.0], &[1], f64::NAN);
        histogram.sample(&[("n", "huge")], &[1.0], &[u64::MAX, u64::MAX], 1.0);
        histogram.sample(&[("n", "negative")], &[-1.0, 1.0], &[1, 1, 1], 1.0);
    });
}

#[test]
fn an_empty_text_has_its_end() {
    assert_eq!(written(|_| ()), "# EOF\n");
}

#[test]
fn the_checker_refuses_what_is_no_openmetrics() {
    for text in [
        "",
        "# EOF",
        "# EOF\n# EOF\n",
        "a 1\n# EOF\n",
        "# TYPE a gauge\na 1\n",
        "# TYPE a gauge\na{} 1 \n# EOF\n",
        "# TYPE a gauge\na one\n# EOF\n",
        "# TYPE a gauge\na 1\na 2\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
        "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"y\"} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"y} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
        "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_count 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\n# EOF\n",
    ] {
        assert!(check(text).is_err(), "{text}");
    }
}
