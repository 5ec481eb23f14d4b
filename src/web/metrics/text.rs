//! Prometheus' text format, version 0.0.4: families of samples, each with its help and type said once.

use std::fmt::Write as _;

use crate::base::meter::{BOUNDS_MS, Histogram};

/// What kind of number a family holds.
#[derive(Clone, Copy)]
pub(super) enum Type {
    /// One that only grows.
    Counter,
    /// One that goes up and down.
    Gauge,
}

/// A document that grows family by family.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// A family of counters or gauges: labels and number of each sample. One without samples is left out.
    pub(super) fn family<'l>(
        &mut self,
        name: &str,
        kind: Type,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.head(name, if matches!(kind, Type::Counter) { "counter" } else { "gauge" }, help);
        for (labels, value) in samples {
            self.sample(name, "", &labels, value);
        }
    }

    /// A family of one number.
    pub(super) fn single(&mut self, name: &str, kind: Type, help: &str, value: f64) {
        self.family(name, kind, help, [(Vec::new(), value)]);
    }

    /// A family of histograms, in seconds.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, &'l Histogram)>,
    ) {
        self.head(name, "histogram", help);
        for (labels, took) in samples {
            let counts = took.cumulative();
            let bounds = BOUNDS_MS.iter().map(|ms| (*ms as f64 / 1e3).to_string()).chain(["+Inf".to_owned()]);
            for (bound, count) in bounds.zip(counts) {
                let mut labels = labels.clone();
                labels.push(("le", &bound));
                self.sample(name, "_bucket", &labels, count as f64);
            }
            self.sample(name, "_sum", &labels, took.sum_seconds());
            self.sample(name, "_count", &labels, counts[BOUNDS_MS.len()] as f64);
        }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, end: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        self.0.push_str(end);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_empty_families_left_out() {
        let mut text = Text::default();
        text.family("a_total", Type::Counter, "Things.", [(vec![("x", "a\"b\\c\nd"), ("y", "")], 2.0)]);
        text.family("b", Type::Gauge, "Nothing.", []);
        text.single("c", Type::Gauge, "One.", 0.5);
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 2\n\
                        # HELP c One.\n# TYPE c gauge\nc 0.5\n";
        assert_eq!(text.into_string(), expected);
    }
}
