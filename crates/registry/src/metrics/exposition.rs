//! The text format of Prometheus, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::fmt::Write as _;

/// The type of the format's text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric's value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    /// As the format names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A metric, of which there is a sample for each combination of its labels.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its value does.
    pub kind: Kind,
    /// What it counts, in one line without `\`.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// Metrics as text.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Adds a metric with its samples: the values of the labels, in their order, and the value.
    pub fn add<'v>(&mut self, metric: &Metric, samples: impl IntoIterator<Item = (Vec<&'v str>, u64)>) {
        let Metric { name, kind, help, labels } = metric;
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
        for (values, value) in samples {
            self.0 += name;
            let mut before = '{';
            for (label, value) in labels.iter().zip(values) {
                self.0.push(before);
                self.0 += label;
                self.0 += "=\"";
                self.add_escaped(value);
                self.0.push('"');
                before = ',';
            }
            if before == ',' {
                self.0.push('}');
            }
            let _ = writeln!(self.0, " {value}");
        }
    }

    fn add_escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\n' => self.0 += "\\n",
                '\\' | '"' => self.0.extend(['\\', character]),
                other => self.0.push(other),
            }
        }
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}
